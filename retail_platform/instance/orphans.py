"""Runs whose process is gone: nobody ends them, and their pools stay taken, so the next run of a table waits for ever.

A code server fails those of its own runs that are killed. But when it goes down with them (a power cut, a killed
container), or where a headless load was killed, nobody does: the run stays STARTED, and keeps the pool of the table it
was writing. `release_orphans` finds such runs by their process, on this host only, and never touches a run whose
process lives, or of which it cannot tell.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.storage.dagster_run import DagsterRun, RunRecord
from dagster._core.storage.tags import GRPC_INFO_TAG
from filelock import FileLock

PID_TAG = "retail/pid"
HOST_TAG = "retail/host"
PROCESS_STARTED_TAG = "retail/process_started"

# A process's start is known to a second, and moves with the clock when that is set right.
CLOCK_TOLERANCE_SECONDS = 5.0

_UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_REASON = "The process of this run is gone: it was killed, or the machine was switched off. Run it again."


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A process of this host, and the latest moment at which it can have started."""

    pid: int
    started_by: float
    started_after: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it is there still, and not another one with its number."""
        try:
            found = psutil.Process(self.pid)
            started = found.create_time()
            is_zombie = found.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True
        is_same = self.started_after - CLOCK_TOLERANCE_SECONDS <= started <= self.started_by + CLOCK_TOLERANCE_SECONDS
        return is_same and not is_zombie


def run_tags_for_this_process() -> dict[str, str]:
    """Tags for a run that this very process executes, by which `release_orphans` knows it."""
    process = psutil.Process()
    return {
        HOST_TAG: socket.gethostname(),
        PID_TAG: str(process.pid),
        PROCESS_STARTED_TAG: f"{process.create_time():.3f}",
    }


def release_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Fail every run whose process is gone, and free the pools of all runs that have ended.

    Returns:
        The ids of the runs it ended: failed, or canceled where that was under way.
    """
    # All sensors look at once after a restart, and each would end the run.
    with FileLock(Path(instance.root_directory) / "orphans.lock"):
        records = instance.get_run_records(dg.RunsFilter(statuses=list(_UNFINISHED)))
        ended = [record.dagster_run.run_id for record in records if _end_if_orphaned(instance, record)]
        _free_pools_of_ended_runs(instance)
    return ended


def _end_if_orphaned(instance: dg.DagsterInstance, record: RunRecord) -> bool:
    process = _process_of(instance, record.dagster_run)
    if process is None or process.is_alive:
        return False
    # It may have come to its end between our two looks.
    run = instance.get_run_by_id(record.dagster_run.run_id)
    if run is None or run.is_finished:
        return False
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, _REASON)
    else:
        instance.report_run_failed(run, _REASON)
    return True


def _free_pools_of_ended_runs(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    if not log.supports_global_concurrency_limits:
        return
    for run_id in log.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            log.free_concurrency_slots_for_run(run_id)


def _process_of(instance: dg.DagsterInstance, run: DagsterRun) -> _Process | None:
    """The process that executes a run; None if it is another host's, or if nothing says which it is."""
    # A run that was re-executed from the UI has its parent's tags, but not its parent's process.
    if PID_TAG in run.tags and run.parent_run_id is None:
        return _tagged_process(run.tags)
    return _launched_process(instance, run)


def _tagged_process(tags: Mapping[str, str]) -> _Process | None:
    if tags.get(HOST_TAG) != socket.gethostname():
        return None
    started = float(tags[PROCESS_STARTED_TAG])
    return _Process(pid=int(tags[PID_TAG]), started_by=started, started_after=started)


def _launched_process(instance: dg.DagsterInstance, run: DagsterRun) -> _Process | None:
    """The child of a code server on this host: it reports `Started process for run (pid: …)` as it begins."""
    code_server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    if code_server.get("host") != "localhost":
        return None
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        metadata = entry.get_dagster_event().engine_event_data.metadata
        if "pid" in metadata:
            return _Process(pid=int(str(metadata["pid"].value)), started_by=entry.timestamp)
    return None
