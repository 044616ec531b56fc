"""The sensor that brings snapshots up to date after facts or members have changed, by whomever.

Its truth is the lake: each snapshot against what it was made of. The cursor only spares looks at a lake that nobody
wrote to; without it one look is made in vain.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg

from retail_platform.components.days import DAYS, WAREHOUSE, Job, job_name
from retail_platform.components.snapshots import shelf
from retail_platform.contracts.marts import SNAPSHOT_MARTS
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.instance.orphans import release_orphans
from retail_platform.instance.run_history import is_under_way, range_tags
from retail_platform.lake.snapshots import Overdue
from retail_platform.landing.planning import spoken
from retail_platform.platform import Platform

_TICK_SECONDS = 2
_MOST_PATIENCE = 30
"""Seconds for which a snapshot waits for loads to end: each makes it out of date again, but they may never end."""
_FIRST_REST = timedelta(seconds=10)
_LONGEST_REST = timedelta(minutes=5)
_REMEMBERED_FAILURES = 10
_WRITTEN_FOR_THEM = ("fact_sales", "dim_customer", "dim_product")


@dataclass(kw_only=True)
class _Cursor:
    """What a tick hands to the next.

    Attributes:
        position: The event log's newest materialization of what snapshots are made of, when all were found up to date.
        by: The day and the thresholds by which they were.
        waiting_since: When loads under way were first waited for.
    """

    position: int = -1
    by: str = ""
    waiting_since: float | None = None


def snapshot_sensor(job: Job) -> dg.SensorDefinition:
    """The sensor that asks for snapshots; `job` takes and publishes them."""

    @dg.sensor(
        name="snapshots_follow_facts",
        job=job,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes the newest snapshot of each mart, and out-of-date ones again, when facts have changed.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        return refresh_snapshots(context.instance, platform, cursor=context.cursor)

    return sensor


def refresh_snapshots(instance: dg.DagsterInstance, platform: Platform, *, cursor: str | None) -> dg.SensorResult:
    """One tick: ask for what is out of date, the newest day first, one run at a time."""
    release_orphans(instance)
    kept = _Cursor(**json.loads(cursor or "{}"))
    # Before the look: what is written while we look is looked at in the next tick.
    position, by = _position(instance), f"{platform.last_day} {platform.settings.snapshot_thresholds}"
    if (kept.position, kept.by) == (position, by):
        return _told("All snapshots are up to date.", kept)
    if is_under_way(instance, SNAPSHOTS):
        return _told("Snapshots are being taken.", kept)
    overdue = shelf(platform).overdue(platform.last_day)
    if not overdue:
        return _told("All snapshots are up to date.", _Cursor(position=position, by=by))
    now = time.time()
    loading = [source for source in platform.sources if is_under_way(instance, job_name(source))]
    since = now if kept.waiting_since is None else kept.waiting_since
    if loading and now - since < _MOST_PATIENCE:
        kept.waiting_since = since
        return _told(f"Days of {', '.join(loading)} are being loaded: snapshots are taken after them.", kept)
    if rests_until := _rests_until(instance):
        return _told(f"The last run of {SNAPSHOTS} failed; the next is at {rests_until:%H:%M:%S} UTC.", kept)
    return dg.SensorResult(run_requests=[snapshot_request(overdue[0])], cursor=_written(_Cursor()))


def snapshot_request(overdue: Overdue) -> dg.RunRequest:
    """The run that takes these snapshots and publishes them."""
    first, last = overdue.days
    return dg.RunRequest(
        tags={DAYS: spoken(overdue.days), **range_tags(first.isoformat(), last.isoformat())},
        asset_selection=selected(overdue.marts),
    )


def selected(marts: Sequence[str]) -> list[dg.AssetKey]:
    """The assets of a run that takes snapshots of these marts."""
    return [*(dg.AssetKey([SNAPSHOT_MARTS[name].layer, name]) for name in marts), WAREHOUSE]


def _position(instance: dg.DagsterInstance) -> int:
    keys = [dg.AssetKey(["gold", name]) for name in _WRITTEN_FOR_THEM]
    keys += [dg.AssetKey([contract.layer, contract.name]) for contract in SNAPSHOT_MARTS.values()]
    records = instance.get_asset_records(keys)
    return max((record.asset_entry.last_materialization_storage_id or 0 for record in records), default=0)


def _rests_until(instance: dg.DagsterInstance) -> datetime | None:
    """When to try again after failures, the more in a row the later; None if it is time."""
    records = instance.get_run_records(dg.RunsFilter(job_name=SNAPSHOTS), limit=_REMEMBERED_FAILURES)
    failures = list(takewhile(lambda record: not record.dagster_run.is_success, records))
    if not failures:
        return None
    ended = datetime.fromtimestamp(failures[0].end_time or 0, UTC)
    until = ended + min(_FIRST_REST * 2 ** (len(failures) - 1), _LONGEST_REST)
    return until if until > datetime.now(UTC) else None


def _told(reason: str, cursor: _Cursor) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=_written(cursor))


def _written(cursor: _Cursor) -> str:
    return json.dumps(asdict(cursor))
