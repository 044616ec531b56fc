"""`retail load` as a process of its own, beside readers, other loads, and a hand that kills it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests import scenario
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow

LOAD = [sys.executable, "-m", "retail_platform.cli", "load"]

READER = """
import json, sys, time
from pathlib import Path
import duckdb

link, stop, reopens = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "reopens"
SQL = '''SELECT (SELECT sum(net_amount) FROM gold.fact_sales), (SELECT sum(net) FROM marts.daily_sales),
         (SELECT count(*) FROM gold.fact_sales), (SELECT count(*) FROM silver.storefront_orders)'''
seen, con = [], None
while not stop.exists():
    if con is None or reopens:
        con = duckdb.connect(str(link), read_only=True)
    fact, mart, facts, _ = con.sql(SQL).fetchall()[0]
    assert fact == mart, (fact, mart)
    seen.append(facts)
    if reopens:
        con.close()
    time.sleep(0.01)
print(json.dumps(seen))
"""


def days_of_orders(first: int, last: int) -> str:
    """An orders file with forty orders on each of some days of June 2024."""
    return scenario.orders(
        *(
            f"O{day:02}-{number},2024-06-{day:02},C1,P1,{number % 5 + 1},Completed,Card,"
            for day in range(first, last + 1)
            for number in range(40)
        )
    )


def environment(shop: Shop) -> dict[str, str]:
    """What a process of its own needs to work on the shop."""
    return os.environ | {"RETAIL_DATA_DIR": str(shop.settings.root), "RETAIL_SOURCES": "storefront"}


def run_load(shop: Shop) -> subprocess.CompletedProcess[str]:
    """Load, and wait for the end."""
    return subprocess.run(LOAD, env=environment(shop), capture_output=True, text=True, check=False)


@contextmanager
def reader(shop: Shop, tmp_path: Path, *, how: str) -> Iterator[list[int]]:
    """A process that queries the warehouse in a loop; gives the numbers of facts it saw, once it has ended."""
    stop = tmp_path / f"stop-{how}"
    seen: list[int] = []
    command = [sys.executable, "-c", READER, str(shop.platform.warehouse.path), str(stop), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield seen
    finally:
        stop.touch()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    seen.extend(json.loads(output))


def test_readers_and_loads_never_hinder_each_other(shop: Shop, tmp_path: Path) -> None:
    """One reader holds the file open, one opens it again and again; neither fails, nor sees half of a load."""
    for path, text in scenario.FILES.items():
        shop.deliver(path, text)
    shop.deliver("storefront/orders/first-2024-06-10.csv", days_of_orders(10, 12))
    assert run_load(shop).returncode == 0
    whole_loads = [shop.rows("SELECT count(*) FROM gold.fact_sales")[0][0]]

    with reader(shop, tmp_path, how="holds") as held, reader(shop, tmp_path, how="reopens") as reopened:
        for day in (14, 17, 20):
            shop.deliver(f"storefront/orders/orders-2024-06-{day}.csv", days_of_orders(day, day + 2))
            # Far from the others: this load is several runs, and still becomes visible at once.
            shop.deliver(f"storefront/orders/late-2024-01-{day}.csv", days_of_orders(day, day).replace("-06-", "-01-"))
            assert run_load(shop).returncode == 0
            whole_loads.append(shop.rows("SELECT count(*) FROM gold.fact_sales")[0][0])

    assert whole_loads == sorted(set(whole_loads))
    assert set(held) == {whole_loads[0]}
    assert set(reopened) <= set(whole_loads)
    assert {whole_loads[0], whole_loads[-1]} <= set(reopened)


def test_two_loads_at_once_end_in_the_same_tables(shop: Shop, tmp_path: Path) -> None:
    """The second takes what the first has not yet; no row is lost or counted twice."""
    for path, text in scenario.FILES.items():
        shop.deliver(path, text)
    first = subprocess.Popen(LOAD, env=environment(shop), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    shop.deliver("storefront/orders/more-2024-06-12.csv", days_of_orders(1, 12))
    second = subprocess.Popen(LOAD, env=environment(shop), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert run_load(shop).returncode == 0, outputs

    with Shop(tmp_path / "alone", sources="storefront") as alone:
        for path, text in scenario.FILES.items():
            alone.deliver(path, text)
        alone.deliver("storefront/orders/more-2024-06-12.csv", days_of_orders(1, 12))
        assert not alone.load(snapshots=True).errors
        assert_same_tables(shop, alone)


def test_a_killed_load_is_made_good_by_the_next(shop: Shop, tmp_path: Path) -> None:
    """Killed at random moments again and again, a load that is let through ends in the tables of an undisturbed one."""
    moments = random.Random(20240601)
    for path, text in scenario.FILES.items():
        shop.deliver(path, text)
    for attempt in range(6):
        shop.deliver(f"storefront/orders/part-{attempt}-2024-06-20.csv", days_of_orders(attempt + 1, attempt + 12))
        process = subprocess.Popen(LOAD, env=environment(shop), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_ledger(shop)
        time.sleep(moments.uniform(0, 7))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = run_load(shop)
    assert last.returncode == 0, last.stdout + last.stderr
    assert "Nothing to do" in run_load(shop).stdout

    with Shop(tmp_path / "undisturbed", sources="storefront") as undisturbed:
        for path, text in scenario.FILES.items():
            undisturbed.deliver(path, text)
        for attempt in range(6):
            name = f"storefront/orders/part-{attempt}-2024-06-20.csv"
            undisturbed.deliver(name, days_of_orders(attempt + 1, attempt + 12))
        assert not undisturbed.load(snapshots=True).errors
        assert_same_tables(shop, undisturbed)


def wait_for_ledger(shop: Shop) -> None:
    """Wait until the load has begun to work."""
    deadline = time.monotonic() + 30
    while not (shop.settings.root / "ledger.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def assert_same_tables(one: Shop, other: Shop) -> None:
    """Every table of silver, gold and marts is equal."""
    tables, expected = one.tables(), other.tables()
    assert list(tables) == list(expected)
    for name, frame in expected.items():
        assert isinstance(frame, pl.DataFrame)
        assert_frame_equal(tables[name], frame)
