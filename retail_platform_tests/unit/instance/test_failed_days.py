"""Given days that failed in a run that goes on, then Dagster has a failed run that says so, and nothing else."""

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRun

from retail_platform.instance.failed_days import FAILED_IN, report_failed_days
from retail_platform.instance.run_history import partition_range, why_failed

ASSET = dg.AssetKey(["silver", "till"])
WHY = {"2024-01-02": "blocked: too much of it is wrong", "2024-01-05": "blocked: all of it is wrong"}


@pytest.fixture
def run(instance: dg.DagsterInstance) -> DagsterRun:
    """The run in which the days failed."""
    return instance.add_run(DagsterRun(job_name="load", run_id="5f0b4b3e-0000-4000-8000-000000000001"))


def markers(instance: dg.DagsterInstance, run: DagsterRun) -> list[DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(tags={FAILED_IN: run.run_id})))


def test_one_failed_run_names_all_failed_days(instance: dg.DagsterInstance, run: DagsterRun) -> None:
    report_failed_days(instance, run, ASSET, "till", WHY)
    (marker,) = markers(instance, run)
    assert (marker.status, partition_range(marker.tags)) == (dg.DagsterRunStatus.FAILURE, ("2024-01-02", "2024-01-05"))
    assert why_failed(instance, marker.run_id) == "\n".join(f"{day}: {why}" for day, why in WHY.items())
    record = instance.get_run_record_by_id(marker.run_id)
    assert record is not None
    assert record.end_time is not None


def test_no_failed_days_no_run(instance: dg.DagsterInstance, run: DagsterRun) -> None:
    report_failed_days(instance, run, ASSET, "till", {})
    assert markers(instance, run) == []


def test_a_process_killed_meanwhile_leaves_no_run_that_never_begins(
    instance: dg.DagsterInstance, run: DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(instance, "report_dagster_event", is_killed)
    with pytest.raises(KeyboardInterrupt):
        report_failed_days(instance, run, ASSET, "till", WHY)
    assert [marker.status for marker in markers(instance, run)] == [dg.DagsterRunStatus.FAILURE]
