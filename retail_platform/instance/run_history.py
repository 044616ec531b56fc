"""What past runs were about, and why they failed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._utils.error import SerializableErrorInfo

_REST_AFTER_FAILURE = timedelta(minutes=1)

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags that make a run one of these partition keys, both included."""
    if first == last:
        return {PARTITION_NAME_TAG: first}
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def partition_range(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """The first and last partition key of a run with these tags; None if it is not a partitioned one."""
    if PARTITION_NAME_TAG in tags:
        return tags[PARTITION_NAME_TAG], tags[PARTITION_NAME_TAG]
    if ASSET_PARTITION_RANGE_START_TAG in tags:
        return tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG]
    return None


def is_under_way(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job waits or runs."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job_name, statuses=list(UNFINISHED))) > 0


def has_just_failed(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether the newest run of the job failed less than a minute ago: another one would most likely fail as well."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1):
        run = record.dagster_run
        since = datetime.now(UTC) - datetime.fromtimestamp(record.end_time or 0, UTC)
        return run.is_finished and not run.is_success and since < _REST_AFTER_FAILURE
    return False


def errors_of(event: dg.DagsterEvent) -> list[str]:
    """What an event of a run says went wrong: one line per failed step, `step: what went wrong`."""
    if event.is_step_failure:
        error = event.step_failure_data.error
        return [f"{event.step_key}: {_root_cause(error)}"]
    # With failed steps this is their number; without, it is the job itself that failed, for example at a resource.
    if event.is_run_failure and event.job_failure_data.first_step_failure_event is None:
        error = event.job_failure_data.error
        return [_root_cause(error) if error else event.message or "The run failed."]
    return []


def why_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """What went wrong in a run, in one line a failed step."""
    failures = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [entry.get_dagster_event() for entry in instance.all_logs(run_id, of_type=failures)]
    errors = [error for event in events if event.is_step_failure for error in errors_of(event)]
    errors = errors or [event.message or "" for event in events]
    return "; ".join(error for error in errors if error) or "the run ended without success"


def _root_cause(error: SerializableErrorInfo | None) -> str:
    """What was raised first, in one paragraph; the stack is in the run's log."""
    if error is None:
        return "failed without an error"
    while error.cause is not None:
        error = error.cause
    return error.message.strip()
