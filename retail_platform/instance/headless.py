"""Run an asset job over a range of days in this process, without webserver and daemon, as a run like any other."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.dagster_run import DagsterRun

from retail_platform.instance.orphans import run_tags_for_this_process
from retail_platform.instance.run_history import errors_of, range_tags

# The event log has everything; a console line for each day of each check would only slow the run down.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class HeadlessResult:
    """How a headless run ended.

    Attributes:
        run_id: The run's id, under which the UI shows it.
        success: Whether every step succeeded. A failed check alone does not make it False.
        errors: One line per failed step, `step: what went wrong`.
    """

    run_id: str
    success: bool
    errors: list[str]


def run_range(
    definitions: dg.Definitions,
    job_name: str,
    *,
    instance: dg.DagsterInstance,
    start_day: str,
    end_day: str,
    tags: Mapping[str, str] | None = None,
    asset_selection: Collection[dg.AssetKey] | None = None,
    on_event: Callable[[dg.DagsterEvent], None] | None = None,
) -> HeadlessResult:
    """Execute a partitioned asset job over the days from `start_day` to `end_day`, both included.

    It waits for pools that other processes hold, and streams its events. However it ends, by a failing step or by
    Ctrl-C, the run is finished and its pools are free afterwards.

    Args:
        definitions: Where the job is defined.
        job_name: A job of partitioned assets.
        instance: A persistent instance.
        start_day: The first partition key.
        end_day: The last partition key; equal to the first for a run of one partition.
        tags: Further tags of the run.
        asset_selection: Only these of the job's assets.
        on_event: Called with each event as it happens, in this thread. If it raises, it is not called again, and the
            exception is raised when the run has ended: a broken display is no reason to break off a load.

    Raises:
        ValueError: A day is not a partition of the job.
        KeyboardInterrupt: The run was interrupted; it is marked as failed.
    """
    # Any other executor starts processes, which cannot import a job that was handed over as an object.
    job = definitions.resolve_job_def(job_name).with_executor_def(dg.in_process_executor)
    run = instance.create_run_for_job(
        job,
        run_config=_QUIET,
        tags={**job.run_tags, **(tags or {}), **run_tags_for_this_process(), **_range_tags(job, start_day, end_day)},
        asset_selection=frozenset(asset_selection) if asset_selection else None,
    )
    errors: list[str] = []
    is_interrupted = False
    failure: Exception | None = None
    try:
        for event in execute_run_iterator(InMemoryJob(job), run, instance):
            errors.extend(errors_of(event))
            is_interrupted = is_interrupted or _is_interruption(event)
            # Leaving the loop would leave a step in the middle of what it writes, with its pool taken.
            if on_event and failure is None:
                failure = _failure_of(on_event, event)
    finally:
        _finish(instance, run)
    if is_interrupted:
        raise KeyboardInterrupt
    if failure is not None:
        raise failure
    ended = instance.get_run_by_id(run.run_id)
    return HeadlessResult(run_id=run.run_id, success=ended is not None and ended.is_success, errors=errors)


def _failure_of(on_event: Callable[[dg.DagsterEvent], None], event: dg.DagsterEvent) -> Exception | None:
    try:
        on_event(event)
    except Exception as failure:  # noqa: BLE001  raised again when the run has ended
        return failure
    return None


def _range_tags(job: dg.JobDefinition, start_day: str, end_day: str) -> dict[str, str]:
    """Outside the partitions Dagster raises an internal error, or makes ghost days: refuse, and name the days."""
    if job.partitions_def is None:
        raise ValueError(f"Job {job.name} has no partitions.")
    for day in (start_day, end_day):
        if not job.partitions_def.has_partition_key(day):
            days = job.partitions_def.get_first_partition_key(), job.partitions_def.get_last_partition_key()
            raise ValueError(f"{day} is not a day of job {job.name}: its days go from {days[0]} to {days[1]}.")
    return range_tags(start_day, end_day)


def _finish(instance: dg.DagsterInstance, run: DagsterRun) -> None:
    ended = instance.get_run_by_id(run.run_id)
    if ended is not None and not ended.is_finished:
        instance.report_run_failed(ended, "The process that executed this run stopped before its end.")
    # A step that was left in the middle keeps its pool: Dagster frees only what was waiting for one.
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _is_interruption(event: dg.DagsterEvent) -> bool:
    return event.is_run_failure and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
