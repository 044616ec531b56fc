"""The sensor that publishes what was materialized without the warehouse: an asset by hand, a backfill of some layers.

Every publish says up to which event of Dagster's log it knew the lake. What was materialized later is not published.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg
from dagster._core.storage.dagster_run import DagsterRun

from retail_platform.components.days import DAYS, FINISHES, PUBLISH, Job
from retail_platform.instance.orphans import release_orphans
from retail_platform.instance.run_history import has_just_failed, is_under_way, partition_range, range_tags
from retail_platform.landing.planning import Days, spoken
from retail_platform.platform import Platform

POSITION = "event_log_position"
"""Metadata of a materialization of the warehouse: the newest materialization in the event log when it began."""
_TICK_SECONDS = 2


def publish_sensor(warehouse: dg.AssetKey, job: Job) -> dg.SensorDefinition:
    """The sensor that publishes what no run published; `job` materializes the warehouse alone."""

    @dg.sensor(
        name="publish_what_is_not",
        job=job,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Publishes what was materialized by hand to the warehouse.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        keys = [key for key in _lake_assets(context) if key != warehouse]
        return publish_what_is_not(context.instance, platform, warehouse, keys)

    return sensor


def newest_materialization(instance: dg.DagsterInstance, warehouse: dg.AssetKey) -> int:
    """The newest materialization of an asset but the warehouse in the event log; 0 if there is none."""
    return max((at for key, at in _positions(instance, None).items() if key != warehouse), default=0)


def publish_what_is_not(
    instance: dg.DagsterInstance, platform: Platform, warehouse: dg.AssetKey, keys: Sequence[dg.AssetKey]
) -> dg.RunRequest | dg.SkipReason:
    """One tick: ask for a publish if an asset was materialized since the last one, and nobody is at it."""
    # This sensor looks after dead runs, too: those of the sources may be switched off.
    release_orphans(instance)
    position = published_up_to(instance, warehouse)
    later = {key for key, at in _positions(instance, keys).items() if at > position}
    if not later:
        return dg.SkipReason("Everything is published.")
    if is_under_way(instance, PUBLISH):
        return dg.SkipReason("A publish is under way.")
    runs = _runs_of(instance, later)
    if unfinished := [run for run in runs if not run.is_finished]:
        return dg.SkipReason(
            f"{len(unfinished)} runs are still at it: {', '.join(run.run_id[:8] for run in unfinished)}"
        )
    # A drop sensor runs these days again, and publishes them as a whole.
    runs = [run for run in runs if run.is_success or FINISHES not in run.tags]
    if not runs:
        return dg.SkipReason("What is not published belongs to a failed run, which will be tried again.")
    if has_just_failed(instance, PUBLISH):
        return dg.SkipReason("The last publish has just failed; the next is in a minute.")
    days = _days_of(runs, platform)
    names = ", ".join(sorted(key.to_user_string() for key in later))
    tags = {DAYS: spoken(days), "retail/publishes": names[:1000]}
    return dg.RunRequest(tags=tags | range_tags(days[0].isoformat(), days[1].isoformat()))


def _lake_assets(context: dg.SensorEvaluationContext) -> list[dg.AssetKey]:
    definition = context.repository_def
    return list(definition.asset_graph.executable_asset_keys) if definition else []


def _positions(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey] | None) -> Mapping[dg.AssetKey, int]:
    records = instance.get_asset_records(keys)
    return {record.asset_entry.asset_key: record.asset_entry.last_materialization_storage_id or 0 for record in records}


def published_up_to(instance: dg.DagsterInstance, warehouse: dg.AssetKey) -> int:
    """The newest materialization that the last publish knew of; 0 if there was none."""
    event = instance.get_latest_materialization_event(warehouse)
    materialization = event.asset_materialization if event else None
    position = materialization.metadata.get(POSITION) if materialization else None
    return position.value if isinstance(position, dg.IntMetadataValue) and position.value else 0


def _runs_of(instance: dg.DagsterInstance, keys: set[dg.AssetKey]) -> list[DagsterRun]:
    records = instance.get_asset_records(sorted(keys))
    run_ids = {record.asset_entry.last_run_id for record in records if record.asset_entry.last_run_id}
    return list(instance.get_runs(dg.RunsFilter(run_ids=sorted(run_ids))))


def _days_of(runs: Sequence[DagsterRun], platform: Platform) -> Days:
    """From the first to the last day of the runs: the checks of the warehouse are about these."""
    ranges = [keys for run in runs if (keys := partition_range(run.tags)) is not None]
    if not ranges:
        return platform.last_day, platform.last_day
    days = [date.fromisoformat(key) for keys in ranges for key in keys]
    return min(days), max(days)
