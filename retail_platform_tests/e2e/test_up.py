"""What a newcomer does first: the demo, starting and stopping Dagster."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

import retail_platform
from retail_platform.instance.services import free_port

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
WORKSPACE = Path(retail_platform.__file__).parents[1] / "workspace.yaml"


def retail(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "retail_platform.cli", *arguments]


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"RETAIL_DATA_DIR": str(tmp_path / "data"), "RETAIL_SOURCES": "storefront"}


def wait_until_it_answers(port: int, *, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/server_info", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at port {port}")


def test_the_demo_loads_its_shop_through_the_sensors_and_ends_by_itself(tmp_path: Path):
    demo = subprocess.run(
        retail("demo", "--headless", "--days", "10"),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    counts = """SELECT (SELECT count(DISTINCT order_date) FROM gold.fact_sales), (SELECT count(*) FROM ops.dirty_days),
        (SELECT count(*) FROM marts.top_customers WHERE as_of = (SELECT max(order_date) FROM gold.fact_sales))"""
    asked = subprocess.run(
        retail("query", counts, "--format", "csv"),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.splitlines()[1] == "10,0,100"
    month = demo.stdout.split("Sales by month:")[1].split()
    assert month[:5] == ["month", "orders", "gross", "refunds", "net"]


def test_a_taken_port_is_told(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = subprocess.run(
            retail("up", "--port", str(port)), env=environment(tmp_path), capture_output=True, text=True, check=False
        )
    assert (up.returncode, up.stderr.strip()) == (
        2,
        f"Port {port} of {HOST} is taken: stop what runs there, or choose another with --port.",
    )


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_dagster_goes_when_retail_up_is_stopped(tmp_path: Path, stop: signal.Signals, code: int):
    port = free_port(HOST)
    with subprocess.Popen(
        retail("up", "--port", str(port)), env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        said = [up.stdout.readline()]
        while "Ctrl-C ends it." not in said[-1]:
            said.append(up.stdout.readline())
            assert said[-1], said
        family = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(stop)
        assert up.wait(timeout=90) == code
    assert any(f"http://{HOST}:{port}/asset-groups" in line for line in said)
    assert len(family) > 3
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_dagster_dev_finds_the_instance_that_retail_init_made(tmp_path: Path):
    subprocess.run(retail("init"), env=environment(tmp_path), cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "data" / "landing" / "storefront" / "orders").is_dir()
    port = free_port(HOST)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "--host", HOST, "--port", str(port)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=environment(tmp_path), cwd=tmp_path, stdout=log, stderr=log) as dev,
    ):
        try:
            wait_until_it_answers(port)
            family = psutil.Process(dev.pid).children(recursive=True)
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(timeout=60)
        psutil.wait_procs(family, timeout=30)
    assert (tmp_path / "data" / "dagster" / "history" / "runs.db").is_file()
    assert not list(tmp_path.glob(".tmp_dagster_home_*"))
