import gc
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from dagster._grpc.server import DagsterApiServer

from retail_platform.instance import warm_runs
from retail_platform.instance.warm_runs import build_before_forks, built_before_forks, fork_runs_of_this_code_server

CODE = """
import dagster as dg
from retail_platform.instance.warm_runs import fork_runs_of_this_code_server

@dg.definitions
def definitions():
    fork_runs_of_this_code_server("late", "built")
    return dg.Definitions()
"""


@dg.job
def nothing() -> None:
    """Does nothing."""


def build() -> dg.Definitions:
    return dg.Definitions(jobs=[nothing])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What each fork server that was started was told to import; none really is."""
    preloads: list[list[str]] = []
    starts: list[list[str]] = []
    monkeypatch.setattr(warm_runs.forkserver, "set_forkserver_preload", preloads.append)
    monkeypatch.setattr(warm_runs.forkserver, "ensure_running", lambda: starts.append(preloads[-1]))
    return starts


@pytest.fixture
def code_server(tmp_path: Path, started: list[list[str]]) -> Iterator[Callable[[], DagsterApiServer]]:  # noqa: ARG001
    """Builds code servers in this process."""
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    origin = LoadableTargetOrigin(python_file=str(tmp_path / "code.py"), working_directory=str(tmp_path))
    with ExitStack() as stack:

        def built() -> DagsterApiServer:
            ended = threading.Event()
            executor = stack.enter_context(FuturesAwareThreadPoolExecutor())
            server = DagsterApiServer(ended, logging.getLogger("test"), executor, loadable_target_origin=origin)
            stack.callback(server.cleanup)
            stack.callback(ended.set)
            return server

        yield built
    DefinitionsLoadContext._instance = None


def test_outside_a_code_server_nothing_is_started(started: list[list[str]]) -> None:
    fork_runs_of_this_code_server("built")
    assert started == []


def test_a_code_server_forks_and_its_fork_server_is_started_at_once(
    code_server: Callable[[], DagsterApiServer], started: list[list[str]]
) -> None:
    assert isinstance(code_server()._mp_ctx, warm_runs._WarmContext)
    # Once for Dagster's look at the module, and once for its definitions; the second finds the first one running.
    assert {tuple(preload) for preload in started} == {("__main__", *warm_runs._LATE_IMPORTS, "late", "built")}


def test_another_release_of_dagster_spawns_and_says_so(
    code_server: Callable[[], DagsterApiServer],
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(warm_runs, "REVIEWED_FINGERPRINT", "another")
    assert not isinstance(code_server()._mp_ctx, warm_runs._WarmContext)
    assert started == []
    assert "Install the pinned release of Dagster" in caplog.text


def test_where_forking_is_off_runs_are_spawned(
    code_server: Callable[[], DagsterApiServer], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_WARM_RUNS", "Off")
    assert not isinstance(code_server()._mp_ctx, warm_runs._WarmContext)
    assert started == []


def test_where_forking_is_unsafe_runs_are_spawned(
    code_server: Callable[[], DagsterApiServer], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not isinstance(code_server()._mp_ctx, warm_runs._WarmContext)
    assert started == []


@pytest.fixture
def fork_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process plays the fork server, and then the run that it forks."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(warm_runs, "_built", [])
    monkeypatch.setattr(warm_runs, "_fork_servers", set())
    monkeypatch.setattr(warm_runs, "strange_threads", list)
    monkeypatch.setattr(warm_runs.forkserver, "get_inherited_fds", list)
    yield
    gc.unfreeze()
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("fork_server")
def test_a_run_finds_what_the_fork_server_built() -> None:
    definitions = build()
    build_before_forks(lambda: definitions)
    assert built_before_forks() is definitions
    assert not DefinitionsLoadContext.is_set()


@pytest.mark.usefixtures("fork_server")
def test_a_spawned_run_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    build_before_forks(build)
    monkeypatch.setattr(warm_runs.forkserver, "get_inherited_fds", lambda: None)
    assert built_before_forks() is None


@pytest.mark.usefixtures("fork_server")
def test_definitions_with_state_are_built_by_each_run() -> None:
    def build_with_state() -> dg.Definitions:
        DefinitionsLoadContext.get().get_defs_key_state_info("prices")
        return build()

    build_before_forks(build_with_state)
    assert built_before_forks() is None


@pytest.mark.usefixtures("fork_server")
def test_what_cannot_be_built_is_logged_and_left_to_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> dg.Definitions:
        raise ValueError("no such source")

    build_before_forks(fail)
    assert built_before_forks() is None
    assert "no such source" in caplog.text


@pytest.mark.usefixtures("fork_server")
def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_runs, "strange_threads", lambda: ["polars-0"])
    with pytest.raises(SystemExit, match=r"\(polars-0\)"):
        build_before_forks(build)


def _strange_threads_after(code: str) -> str:
    script = f"{code}\nfrom retail_platform.instance.warm_runs import strange_threads\nprint(*strange_threads())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_imports_start_no_threads() -> None:
    assert _strange_threads_after("import retail_platform.definitions, duckdb, polars, pyarrow, pandas") == ""


def test_a_pool_of_polars_is_noticed() -> None:
    computes = "import polars\npolars.LazyFrame({'a': [1]}).group_by('a').len().collect()"
    assert "polars-" in _strange_threads_after(computes)


def test_a_thread_of_python_is_noticed() -> None:
    waiting = "import threading\nthreading.Thread(target=threading.Event().wait, name='waiter', daemon=True).start()"
    assert _strange_threads_after(waiting) == "waiter"


def test_a_run_is_spawned_where_the_fork_server_has_died(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def die(_: object) -> None:
        raise EOFError

    monkeypatch.setattr(warm_runs, "_cold", threading.Event())
    monkeypatch.setattr(warm_runs.popen_forkserver, "Popen", die)
    monkeypatch.setattr(warm_runs.popen_spawn_posix, "Popen", lambda process: ("spawned", process))
    process = warm_runs._WarmProcess()
    assert [process._Popen(process) for _ in range(2)] == [("spawned", process)] * 2
    assert caplog.text.count("until a reload they are spawned") == 1
