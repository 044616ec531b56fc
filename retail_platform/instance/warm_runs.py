"""Runs start warm: forked from a process that has imported everything and built the definitions.

Dagster's code server spawns a new Python for each run, which imports it all again. Here it forks them from a *fork
server* of its own, Python's `multiprocessing` one, which is started with the code server and ends with it: reloading
the code location restarts both, so that runs execute what the UI shows. All else stays Dagster's: terminating a run,
noticing that it died, its event log. Wherever anything is not as expected, runs are spawned as before, only slower.

Three processes call into this module: the code server `fork_runs_of_this_code_server`, its fork server
`build_before_forks`, and whoever loads definitions `built_before_forks`. Why, and what forking puts at risk:
docs/adr/0010-runs-are-forked-warm.md.
"""

import atexit
import ctypes
import functools
import gc
import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, popen_fork, popen_forkserver, popen_spawn_posix
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

from retail_platform.instance.reviewed import fingerprint

if TYPE_CHECKING:
    from dagster._grpc.server import DagsterApiServer

WARM_RUNS_VARIABLE = "RETAIL_WARM_RUNS"
"""Set to `off`, runs are spawned as Dagster does it: for who has added code that cannot be forked."""

# After an upgrade of Dagster read them again, and set the new fingerprint, which
# `test_warm_runs_were_reviewed_against_this_dagster` prints.
RELIED_ON_SERVER = (
    *("__init__", "StartRun", "CancelExecution", "CanCancelExecution", "_check_for_orphaned_runs", "_clear_run"),
)
RELIED_ON_RUN = ("start_run_in_subprocess", "_run_in_subprocess")
REVIEWED_FINGERPRINT = "5b3c00bd5cd370bc"

# Threads that may be lost in a fork. jemalloc handles forks itself. The cleaner deletes files that Polars spilled to
# disk: a run's are then deleted by the next process that imports Polars.
_HARMLESS_THREADS = frozenset({"jemalloc_bg_thd", "polars-ooc-clea"})

_SERVER_MODULE = "dagster._grpc.server"
_RUN_MODULE = "dagster._grpc.impl"

# What Dagster imports as late as in a run: 0.4 s. Python skips what a fork server cannot import.
_LATE_IMPORTS = (
    _RUN_MODULE,
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.defs_state.blob_storage_state_storage",
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "retail_platform.instance.event_log",
)

_PR_SET_PDEATHSIG = 1
_TASKS = Path("/proc/self/task")

_logger = logging.getLogger("dagster.code_server.warm_runs")


def fork_runs_of_this_code_server(*preload: str) -> None:
    """Let the code server that is just loading its definitions fork its runs; in any other process do nothing.

    Args:
        preload: Modules that the fork server imports, so that runs need not. The last one calls `build_before_forks`.
    """
    server = _code_server_being_built()
    if server is None or not _is_possible():
        return
    forkserver.set_forkserver_preload(["__main__", *_LATE_IMPORTS, *preload])
    # Now, for the first run to be fast too.
    forkserver.ensure_running()
    server._mp_ctx = _WarmContext()  # noqa: SLF001  # pyrefly: ignore[bad-assignment]


def build_before_forks(build: Callable[[], dg.Definitions]) -> None:
    """Build the definitions in the fork server, for its children to find; never raises.

    They are not kept where a run has to load them with state that its launch has fixed (state-backed components).
    What cannot be built fails again in the run, with an error that its page shows.

    Raises:
        SystemExit: This process cannot be forked safely. The code server then spawns its runs.
    """
    _fork_servers.add(os.getpid())
    # It ends when nobody needs it any more. Stopped together with its runs, it would take them down half-way.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context = DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION)
    try:
        with DefinitionsLoadContext.scoped(context):
            definitions = build()
            definitions.get_repository_def().load_all_definitions()
    except Exception:
        _logger.exception("The definitions could not be built before runs are forked: each run builds them.")
    else:
        if context.accessed_defs_state_info is None and not context.get_pending_reconstruction_metadata():
            _built.append(definitions)
    strange = strange_threads()
    if strange:
        raise SystemExit(
            f"Importing or building the definitions has started threads ({', '.join(strange)}), which a forked run "
            "would lack, and hang. Runs are spawned instead, which takes some seconds each: open and compute nothing "
            "when definitions are loaded."
        )
    # What is there now is there for good: a run's collector need not look at it, nor copy its pages by that.
    gc.freeze()


def built_before_forks() -> dg.Definitions | None:
    """The definitions that the fork server built, in a run forked from it; None in all other processes."""
    return _built[0] if _built and _is_forked_from_server() else None


# Filled in the fork server, and seen by its children.
_built: list[dg.Definitions] = []
_fork_servers: set[int] = set()


def strange_threads() -> list[str]:
    """The names of threads of this process that a forked child would miss; Linux only.

    A Polars pool is the case to fear: in the child all that uses it waits for ever. OpenBLAS' threads have this
    process's own name; it stops them before a fork, and starts them again.
    """
    own = (_TASKS / str(os.getpid()) / "comm").read_text(encoding="utf-8").strip()
    native = {(task / "comm").read_text(encoding="utf-8").strip() for task in _TASKS.iterdir()}
    python = {thread.name for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sorted((native - {own} - _HARMLESS_THREADS) | python)


class _WarmProcess(ForkServerProcess):
    """A process for a run, forked from the fork server, or spawned where that is impossible."""

    _environment: Mapping[str, str]

    def start(self) -> None:
        """Start it, with the environment that a spawned process would have now."""
        # The fork server has that of the moment when it was started itself.
        self._environment = dict(os.environ)
        super().start()

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> popen_fork.Popen:  # noqa: N802  # pyrefly: ignore[bad-override]
        if _cold.is_set():
            return popen_spawn_posix.Popen(process_obj)
        try:
            return popen_forkserver.Popen(process_obj)
        except (OSError, EOFError):
            # It died while it imported, and would again; why is said above, by itself.
            _cold.set()
            _logger.warning("There is no process to fork runs from: until a reload they are spawned.", exc_info=True)
            return popen_spawn_posix.Popen(process_obj)

    def run(self) -> None:
        """Execute the run, as a spawned process would."""
        os.environ.clear()
        os.environ.update(self._environment)
        if not _is_forked_from_server():
            super().run()
            return
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with_parent()
        try:
            super().run()
        finally:
            # As at the end of any Python; multiprocessing leaves it out where it forks.
            atexit._run_exitfuncs()  # noqa: SLF001


class _WarmContext(ForkServerContext):
    """What `DagsterApiServer` makes its queues, events and processes with."""

    Process = _WarmProcess


_cold = threading.Event()


def _is_forked_from_server() -> bool:
    return forkserver.get_inherited_fds() is not None


def _die_with_parent() -> None:
    """A code server that loses its fork server takes the runs for dead: so they shall be, before it starts others."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Dead already, it has not told of this process: the code server has spawned another for the run.
    if _fork_servers and os.getppid() not in _fork_servers:
        os._exit(1)


def _code_server_being_built() -> "DagsterApiServer | None":
    """The code server whose constructor has called us: it alone starts runs, and loads definitions nowhere else."""
    module = sys.modules.get(_SERVER_MODULE)
    frame = inspect.currentframe()
    while module is not None and frame is not None:
        if frame.f_code is module.DagsterApiServer.__init__.__code__:
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def _is_possible() -> bool:
    # On macOS system libraries do not survive a fork, and Windows knows none.
    if sys.platform != "linux" or os.environ.get(WARM_RUNS_VARIABLE, "").lower() == "off":
        return False
    if dagster_fingerprint() != REVIEWED_FINGERPRINT:
        _logger.warning(
            "This Dagster release is not the one retail_platform's warm runs were written for: each run starts some "
            "seconds later. Install the pinned release of Dagster, or upgrade retail_platform."
        )
        return False
    return True


def relied_on() -> Mapping[type | ModuleType, Sequence[str]]:
    """The parts of Dagster that this module changes or takes for granted."""
    server, run = sys.modules[_SERVER_MODULE], sys.modules[_RUN_MODULE]
    return {server.DagsterApiServer: RELIED_ON_SERVER, run: RELIED_ON_RUN}


@functools.cache
def dagster_fingerprint() -> str:
    """A hash of the source of `relied_on()`."""
    return fingerprint(relied_on())
