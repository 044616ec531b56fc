"""The sensor of a source: what has arrived in landing becomes runs for the days it touches.

Its truth is landing against ledger, and the runs that Dagster knows. The cursor only remembers what was still growing
at the last tick; without it a tick is lost, and no file.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from retail_platform.components.days import DAYS, DROPS, FINISHES, SCANNED, SOURCE, TICKET, Job, job_name, scan_job_name
from retail_platform.instance.orphans import release_orphans
from retail_platform.instance.run_history import has_just_failed, is_under_way, partition_range, range_tags, why_failed
from retail_platform.landing.dispatch import Attempt, Decision, decide
from retail_platform.landing.drops import ScanReport, glance, hold
from retail_platform.landing.ledger import DirtyMark
from retail_platform.landing.planning import Days, spoken, to_ranges
from retail_platform.landing.settling import Sighting
from retail_platform.platform import Platform

_TICK_SECONDS = 2
"""Dagster looks every five seconds whether a sensor is due; less than that is at every such look."""
_REMEMBERED_RUNS = 200
_NAMED_FILES = 5
# What has just arrived goes before a long backfill that waits in the same queue.
_PRIORITY = {PRIORITY_TAG: "1"}


def drop_sensor(source: str, jobs: Sequence[Job]) -> dg.SensorDefinition:
    """The sensor of a source; `jobs` are those that load its days and scan its landing folder."""

    @dg.sensor(
        name=f"{source}_drops",
        jobs=jobs,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Loads what arrives in landing/{source}: new and changed files, once they have stopped growing.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        result, message = look_for_drops(context.instance, platform, source, cursor=context.cursor)
        if result.run_requests:
            # A tick that asks for runs has no reason to show; its log has.
            context.log.info(message)
        return result

    return sensor


@dataclass(kw_only=True)
class _Cursor:
    """What a tick hands to the next: the growing files, and the declaration by which files were rejected."""

    growing: dict[str, Sighting] = field(default_factory=dict)
    declared: str = ""

    @classmethod
    def read(cls, text: str | None) -> "_Cursor":
        kept = json.loads(text or "{}")
        growing = {path: Sighting(**sighting) for path, sighting in kept.get("growing", {}).items()}
        return cls(growing=growing, declared=kept.get("declared", ""))

    def write(self) -> str:
        growing = {path: asdict(sighting) for path, sighting in self.growing.items()}
        return json.dumps({"growing": growing, "declared": self.declared})


def look_for_drops(
    instance: dg.DagsterInstance, platform: Platform, source: str, *, cursor: str | None
) -> tuple[dg.SensorResult, str]:
    """One tick: look at landing, and ask for the runs that are due. Takes less than a second, however much arrives.

    Returns:
        What Dagster is told, and what was seen, in words.
    """
    # A run whose process was killed is not under way, though it says so.
    release_orphans(instance)
    before = _Cursor.read(cursor)
    declared = hashlib.sha256(platform.sources[source].model_dump_json().encode()).hexdigest()[:16]
    if is_under_way(instance, scan_job_name(source)):
        report = ScanReport(is_busy=True, growing=before.growing)
    else:
        report = glance(platform.lanes[source], seen=before.growing, retry_rejected=declared != before.declared)
    said = _said_of_landing(source, report)
    requests = []
    if report.left and not has_just_failed(instance, scan_job_name(source)):
        requests.append(dg.RunRequest(job_name=scan_job_name(source), tags=_PRIORITY))
        said.append("a run reads them")
    elif not report.is_busy:
        ticket, marks, decision = _decide(instance, platform, source)
        if held := _hold_failing(instance, platform, source, marks, decision):
            said += held
            ticket, marks, decision = _decide(instance, platform, source)
        requests += [_request(platform, source, days, marks, ticket) for days in decision.requests]
        said += _said_of_days(decision)
        # Only what was looked at with this declaration need not be looked at again.
        before.declared = before.declared if report.left else declared
    after = _Cursor(growing=report.growing, declared=before.declared)
    message = "; ".join(said)
    result = dg.SensorResult(run_requests=requests, skip_reason=None if requests else message, cursor=after.write())
    return result, message


def _decide(instance: dg.DagsterInstance, platform: Platform, source: str) -> tuple[int, list[DirtyMark], Decision]:
    ledger, settings = platform.ledger, platform.settings
    # The ticket comes first: what is dirtied after it is not finished by the runs asked for now.
    ticket = ledger.last_ticket()
    marks = [mark for mark in ledger.dirty_marks(source) if settings.start_date <= mark.day <= platform.last_day]
    masters = [name for name, feed in platform.sources[source].feeds.items() if feed.kind == "master"]
    waiting: dict[date, int] = {}
    for mark in marks:
        waiting[mark.day] = max(mark.ticket, waiting.get(mark.day, 0))
    decision = decide(
        waiting,
        _attempts(instance, source) if waiting else [],
        master_days=ledger.unloaded_days(source, masters) if waiting else set(),
        gap=settings.run_gap_days,
        most_attempts=settings.run_attempts,
        now=datetime.now(UTC),
    )
    return ticket, marks, decision


def _attempts(instance: dg.DagsterInstance, source: str) -> list[Attempt]:
    """The newest runs that were to take days of a source to the warehouse, the oldest first."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name(source)), limit=_REMEMBERED_RUNS)
    attempts = []
    for record in reversed(records):
        run = record.dagster_run
        keys = partition_range(run.tags)
        if TICKET in run.tags and keys is not None:
            ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
            attempts.append(
                Attempt(
                    run_id=run.run_id,
                    days=(date.fromisoformat(keys[0]), date.fromisoformat(keys[1])),
                    ticket=int(run.tags[TICKET]),
                    ended_at=ended if run.is_finished else None,
                    failed=run.is_finished and not run.is_success,
                )
            )
    return attempts


def _request(platform: Platform, source: str, days: Days, marks: Iterable[DirtyMark], ticket: int) -> dg.RunRequest:
    drop_ids = dict.fromkeys(mark.drop_id for mark in marks if mark.drop_id and days[0] <= mark.day <= days[1])
    named = platform.ledger.drops(drop_ids=list(drop_ids)[:_NAMED_FILES]) if drop_ids else []
    tags = {
        SOURCE: source,
        DAYS: spoken(days),
        DROPS: _named([drop.path.split("/", 1)[1] for drop in named], of=len(drop_ids)) or "none",
        FINISHES: source,
        TICKET: str(ticket),
        SCANNED: "true",
        **_PRIORITY,
        **range_tags(days[0].isoformat(), days[1].isoformat()),
    }
    return dg.RunRequest(job_name=job_name(source), tags=tags)


def _hold_failing(
    instance: dg.DagsterInstance,
    platform: Platform,
    source: str,
    marks: Iterable[DirtyMark],
    decision: Decision,
) -> list[str]:
    """Hold the drops that made the days wait which were given up; what was done, in words."""
    said = []
    for day, attempt in decision.given_up.items():
        why = f"The runs of {day} fail, the last one with: {why_failed(instance, attempt.run_id)}."
        drop_ids = {mark.drop_id for mark in marks if mark.day == day and mark.drop_id}
        drops = platform.ledger.drops(drop_ids=drop_ids, statuses=("pending", "loaded")) if drop_ids else []
        for drop in drops:
            hold(platform.lanes[source], drop, why=why)
            said.append(f"{drop.path} is held: {why}")
    return said


def _said_of_landing(source: str, report: ScanReport) -> list[str]:
    if report.is_busy:
        return ["somebody else is reading new files just now"]
    said = [f"{report.files:,} files in landing/{source}"]
    if report.left:
        said.append(f"{report.left:,} of them are new or changed, too many or too large for a tick")
    if report.new:
        said.append(f"{len(report.new)} new or changed: {_named([drop.path for drop in report.new])}")
    if report.growing:
        said.append(f"{len(report.growing)} may still be written: {_named(list(report.growing))}")
    said += [f"{drop.path} is {drop.status}: {drop.message}" for drop in report.new if drop.status != "pending"]
    said += [f"{path} is ignored: {why}" for path, why in report.ignored.items()]
    said += [f"{path} cannot be read: {why}" for path, why in report.unreadable.items()]
    return said


def _said_of_days(decision: Decision) -> list[str]:
    groups: Mapping[str, list[date]] = {
        "under way": decision.under_way,
        "waiting until master data is loaded": decision.behind_masters,
        "to be tried again after a rest": decision.resting,
        "given up until something new arrives or somebody materializes them": list(decision.given_up),
    }
    said = [f"{what}: {_spoken(days)}" for what, days in groups.items() if days]
    if not said and not decision.requests:
        said.append("all is loaded")
    return said


def _spoken(days: Iterable[date]) -> str:
    return _named([spoken(some) for some in to_ranges(days, gap=0)])


def _named(names: Sequence[str], *, of: int | None = None) -> str:
    others = (len(names) if of is None else of) - _NAMED_FILES
    return ", ".join(names[:_NAMED_FILES]) + (f" and {others:,} more" if others > 0 else "")
