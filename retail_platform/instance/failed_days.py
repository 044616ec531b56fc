"""Days that failed in a run that succeeded.

Dagster calls a partition failed where its latest run failed. A run over a range of days in which one is blocked
succeeds, since all others went through, and so that day would show as if nobody had tried it. So it gets a failed run
of its own, which did nothing but fail: it shows on the day, says why, and raises the alarm that failed runs raise.
"""

from collections.abc import Mapping

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.utils import make_new_run_id

from retail_platform.instance.run_history import range_tags

FAILED_IN = "retail/failed_in"
"""Run tag: the run in which the days failed."""


def report_failed_days(
    instance: dg.DagsterInstance, run: DagsterRun, asset_key: dg.AssetKey, step_key: str, days: Mapping[str, str]
) -> None:
    """Show days of an asset as failed; to be called after the run's own outputs.

    Args:
        instance: Where the run is recorded.
        run: The run that computed the days.
        asset_key: The asset.
        step_key: The step that failed on them.
        days: Partition key -> why.
    """
    if not days:
        return
    failed = instance.add_run(
        DagsterRun(
            job_name=run.job_name,
            run_id=make_new_run_id(),
            tags={FAILED_IN: run.run_id, **range_tags(min(days), max(days))},
            # From the start: if this process is killed meanwhile, no run is left that never begins.
            status=dg.DagsterRunStatus.FAILURE,
            asset_selection=frozenset({asset_key}),
            job_snapshot_id=run.job_snapshot_id,
            remote_job_origin=run.remote_job_origin,
            job_code_origin=run.job_code_origin,
        )
    )
    for day in days:
        planned = dg.DagsterEvent.build_asset_materialization_planned_event(
            failed.job_name, step_key, AssetMaterializationPlannedData(asset_key=asset_key, partition=day)
        )
        instance.report_dagster_event(planned, failed.run_id)
    instance.report_run_failed(failed, "\n".join(f"{day}: {why}" for day, why in days.items()))
