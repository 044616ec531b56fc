"""Runs of a real code server: forked warm, seen and stopped like any other, and gone when they should be."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.client.query import LAUNCH_PIPELINE_EXECUTION_MUTATION
from dagster_graphql.test.utils import execute_dagster_graphql

from retail_platform.instance.home import ensure_home, open_instance
from retail_platform.instance.orphans import release_orphans
from retail_platform_tests import scenario

pytestmark = pytest.mark.slow

KIOSK = """
import json, os, time
from pathlib import Path

import dagster as dg
import polars as pl

from retail_platform.instance.warm_runs import built_before_forks, fork_runs_of_this_code_server

EDITION = "first"
BUILT_BY = []


@dg.op
def sell():
    total = pl.LazyFrame({"shelf": [1, 2, 1], "sold": [1, 2, 3]}).group_by("shelf").agg(pl.col("sold").sum()).collect()
    print("sold out")
    facts = {
        "parent": os.getppid(),
        "edition": EDITION,
        "is_built_here": os.getpid() in BUILT_BY,
        "greeting": os.environ.get("GREETING"),
        "sold": total["sold"].sum(),
    }
    Path(os.environ["FACTS"]).write_text(json.dumps(facts))


@dg.op
def doze():
    Path(os.environ["FACTS"]).write_text("{}")
    time.sleep(float(os.environ["DOZE"]))


@dg.job(executor_def=dg.in_process_executor)
def selling():
    sell()


@dg.job(executor_def=dg.in_process_executor)
def dozing():
    doze()


def build():
    BUILT_BY.append(os.getpid())
    return dg.Definitions(jobs=[selling, dozing])


@dg.definitions
def definitions():
    fork_runs_of_this_code_server("kiosk_prebuilt")
    return built_before_forks() or build()
"""
PREBUILT = """
from kiosk import build
from retail_platform.instance.warm_runs import build_before_forks

build_before_forks(build)
"""
WAIT_FOR_CODE_SERVERS = "code_servers: {wait_for_local_processes_on_shutdown: true}\n"
TERMINATE = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"


def wait_until(what: Callable[[], Any], *, seconds: float = 30) -> Any:
    """What comes of it, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


class Place:
    """A workspace with one code location, whose code server is a process of its own."""

    def __init__(self, instance: dg.DagsterInstance, module: str, facts: Path) -> None:
        target = ModuleTarget(module_name=module, attribute=None, working_directory=None, location_name="place")
        self.instance = instance
        self.facts = facts
        self.context = WorkspaceProcessContext(instance, target)

    def launch(self, job: str, **tags: str) -> str:
        """Launch a run as the UI and the daemon do."""
        context = self.context.create_request_context()
        (repository,) = context.get_code_location("place").get_repositories().values()
        selector = {"repositoryLocationName": "place", "repositoryName": repository.name, "jobName": job}
        parameters = {
            "selector": selector,
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = execute_dagster_graphql(
            context, LAUNCH_PIPELINE_EXECUTION_MUTATION, variables={"executionParams": parameters}
        )
        run_id = answer.data["launchPipelineExecution"]["run"]["runId"]
        self.instance.launch_run(run_id, context)
        return run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """A run's status."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def end(self, run_id: str) -> dg.DagsterRunStatus:
        """A run's status when it has ended."""
        finished = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
        wait_until(lambda: self.status(run_id) in finished)
        return self.status(run_id)

    def doze(self) -> tuple[str, psutil.Process]:
        """Launch a run that sleeps; its process."""
        run_id = self.launch("dozing")
        wait_until(self.facts.exists)
        return run_id, psutil.Process(self.pid(run_id))

    def sell(self) -> dict[str, Any]:
        """What a run tells about itself."""
        self.facts.unlink(missing_ok=True)
        assert self.end(self.launch("selling")) == dg.DagsterRunStatus.SUCCESS
        return json.loads(self.facts.read_text(encoding="utf-8"))

    def pid(self, run_id: str) -> int:
        """The process that reported to execute a run."""
        for entry in self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            metadata = entry.get_dagster_event().engine_event_data.metadata
            if "pid" in metadata:
                return int(str(metadata["pid"].value))
        raise AssertionError(run_id)

    @property
    def code_server(self) -> psutil.Process:
        """The code server that answers now."""
        servers = [child for child in psutil.Process().children() if "grpc" in child.cmdline()]
        return max(servers, key=psutil.Process.create_time)

    @property
    def fork_servers(self) -> list[psutil.Process]:
        """Its fork server."""
        return [child for child in self.code_server.children() if is_fork_server(child)]


def is_fork_server(process: psutil.Process) -> bool:
    """Whether a process is a fork server, or a child of one."""
    return "multiprocessing.forkserver" in " ".join(process.cmdline())


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def open_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Place]]:
    """Opens a place of a module; afterwards none of its processes is left."""
    for name in ("DAGSTER_HOME", "RETAIL_DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    facts = tmp_path / "facts.json"
    code = tmp_path / "code"
    code.mkdir()
    (code / "kiosk.py").write_text(KIOSK, encoding="utf-8")
    (code / "kiosk_prebuilt.py").write_text(PREBUILT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(code))
    monkeypatch.setenv("FACTS", str(facts))
    monkeypatch.setenv("DOZE", "60")
    monkeypatch.setenv("RETAIL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RETAIL_SOURCES", "storefront")
    before = set(psutil.Process().children(recursive=True))
    settings = ensure_home(tmp_path / "data") / "dagster.yaml"
    with settings.open("a", encoding="utf-8") as file:
        file.write(WAIT_FOR_CODE_SERVERS)
    with open_instance(tmp_path / "data") as instance:
        places: list[Place] = []

        def opened(module: str = "kiosk", *changes: tuple[str, str]) -> Place:
            edit(code, *changes)
            places.append(Place(instance, module, facts))
            return places[-1]

        yield opened
        for place in places:
            place.context.__exit__(None, None, None)
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    _, alive = psutil.wait_procs(left, timeout=20)
    for process in alive:
        process.kill()
    assert alive == []


def edit(code: Path, *changes: tuple[str, str]) -> None:
    """Change the kiosk's code."""
    source = (code / "kiosk.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    (code / "kiosk.py").write_text(source, encoding="utf-8")
    # A second edit of equal length within a second would look like the first to Python's cache.
    shutil.rmtree(code / "__pycache__", ignore_errors=True)


@pytest.fixture
def kiosk(open_place: Callable[..., Place]) -> Place:
    """A code location with two little jobs."""
    return open_place()


def test_runs_are_forked_with_everything_built(kiosk: Place) -> None:
    (fork_server,) = kiosk.fork_servers
    expected = {"parent": fork_server.pid, "edition": "first", "is_built_here": False, "greeting": None, "sold": 6}
    # Many, for a Polars that does not survive a fork hangs now and then, not always.
    assert [kiosk.sell() for _ in range(20)] == [expected] * 20
    assert kiosk.fork_servers == [fork_server]


def test_a_run_has_the_environment_of_its_code_server_now(open_place: Callable[..., Place]) -> None:
    """Also what it has set after the fork server was started."""
    place = open_place(
        "kiosk", ("    return built_before", '    os.environ["GREETING"] = "hello"\n    return built_before')
    )
    assert place.sell()["greeting"] == "hello"


def test_what_a_run_prints_is_kept(kiosk: Place) -> None:
    run_id = kiosk.launch("selling")
    kiosk.end(run_id)
    (captured,) = kiosk.instance.all_logs(run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
    data = captured.get_dagster_event().logs_captured_data
    log = kiosk.instance.compute_log_manager.get_log_data([run_id, "compute_logs", data.file_key])
    assert log.stdout is not None
    assert b"sold out" in log.stdout


def test_a_run_can_be_terminated(kiosk: Place) -> None:
    run_id, process = kiosk.doze()
    answer = execute_dagster_graphql(kiosk.context.create_request_context(), TERMINATE, variables={"id": run_id})
    assert answer.data == {"terminateRun": {"__typename": "TerminateRunSuccess"}}
    assert kiosk.end(run_id) == dg.DagsterRunStatus.CANCELED
    wait_until(lambda: is_gone(process))
    assert kiosk.sell()


def test_a_killed_run_is_failed_by_its_code_server(kiosk: Place) -> None:
    run_id, process = kiosk.doze()
    assert release_orphans(kiosk.instance) == []
    process.kill()
    assert kiosk.end(run_id) == dg.DagsterRunStatus.FAILURE
    messages = [entry.message for entry in kiosk.instance.all_logs(run_id)]
    assert any("SIGKILL" in message for message in messages), messages
    assert kiosk.sell()


def test_a_run_stops_in_good_order_when_everything_is_asked_to_stop(kiosk: Place) -> None:
    """A service manager sends SIGTERM to every process at once: the fork server must not take the run down."""
    run_id, process = kiosk.doze()
    for asked in (*kiosk.fork_servers, process):
        asked.send_signal(signal.SIGTERM)
    assert kiosk.end(run_id) == dg.DagsterRunStatus.FAILURE
    events = {entry.dagster_event_type for entry in kiosk.instance.all_logs(run_id) if entry.is_dagster_event}
    assert dg.DagsterEventType.STEP_FAILURE in events


def test_runs_do_not_outlive_a_killed_fork_server_and_the_next_gets_a_new_one(kiosk: Place) -> None:
    """The code server reports them failed, so that others may do their work: they must not go on with it."""
    run_id, process = kiosk.doze()
    (killed,) = kiosk.fork_servers
    killed.kill()
    assert kiosk.end(run_id) == dg.DagsterRunStatus.FAILURE
    assert is_gone(process)
    assert kiosk.sell()["parent"] != killed.pid
    (new,) = [server for server in kiosk.fork_servers if not is_gone(server)]
    assert kiosk.sell()["parent"] == new.pid


def test_edited_code_is_run_after_a_reload(kiosk: Place, tmp_path: Path) -> None:
    old = kiosk.fork_servers
    assert kiosk.sell()["edition"] == "first"
    edit(tmp_path / "code", ('EDITION = "first"', 'EDITION = "second"'))
    assert kiosk.sell()["edition"] == "first"
    kiosk.context.reload_code_location("place")
    facts = kiosk.sell()
    assert (facts["edition"], facts["is_built_here"]) == ("second", False)
    assert old != kiosk.fork_servers


def test_a_killed_code_server_leaves_its_run_but_no_other_process(
    open_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOZE", "3")
    place = open_place()
    run_id, run = place.doze()
    server, (fork_server,) = place.code_server, place.fork_servers
    others = server.children()
    server.kill()
    assert not is_gone(run)
    assert place.end(run_id) == dg.DagsterRunStatus.SUCCESS
    wait_until(lambda: all(map(is_gone, [server, fork_server, run, *others])))


def test_runs_are_spawned_where_loading_starts_threads(open_place: Callable[..., Place]) -> None:
    """A pool of Polars that was started before the fork would hang every run."""
    computes = 'pl.LazyFrame({"a": [1]}).group_by("a").len().collect()'
    place = open_place("kiosk", ("BUILT_BY = []", f"BUILT_BY = []\n{computes}"))
    for _ in range(2):
        facts = place.sell()
        assert (facts["parent"], facts["is_built_here"]) == (place.code_server.pid, True)


def test_runs_are_spawned_where_the_user_says_so(
    open_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_WARM_RUNS", "off")
    place = open_place()
    assert place.fork_servers == []
    assert place.sell()["parent"] == place.code_server.pid


def test_what_the_fork_server_cannot_build_is_built_by_each_run(open_place: Callable[..., Place]) -> None:
    broken = '    if "grpc" not in sys.argv:\n        raise ValueError("sold out of definitions")\n'
    place = open_place(
        "kiosk", ("def build():\n", f"def build():\n{broken}"), ("import json, os, time", "import json, os, sys, time")
    )
    assert place.sell()["is_built_here"]


def test_the_platform_itself_is_loaded_by_a_forked_run(open_place: Callable[..., Place], tmp_path: Path) -> None:
    for path, text in scenario.FILES.items():
        file = tmp_path / "data" / "landing" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    place = open_place("retail_platform.definitions")
    run_id = place.launch("load_storefront", **{"dagster/partition": "2024-06-01"})
    wait_until(lambda: place.status(run_id) == dg.DagsterRunStatus.STARTED)
    (fork_server,) = place.fork_servers
    assert psutil.Process(place.pid(run_id)).ppid() == fork_server.pid
    assert place.end(run_id) == dg.DagsterRunStatus.SUCCESS
    assert (tmp_path / "data" / "warehouse" / "retail.duckdb").exists()
