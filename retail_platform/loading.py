"""Headless loading: what the sensors do, done by one command in one process.

Takes everything new in landing through to the warehouse. Work that touches one range of days is one run. More than one
range goes in two waves, first every range's bronze, then the rest, so that look-ups and moved keys see all that came
before any day is computed; and it is published once, at the end, so that no reader sees half a load. Then the
snapshots that are out of date are taken, the newest day first.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from retail_platform.components.days import DAYS, FINISHES, PUBLISH, SCANNED, TICKET, job_name
from retail_platform.components.snapshot_sensor import selected
from retail_platform.components.snapshots import shelf
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.instance.headless import run_range
from retail_platform.landing.planning import Days, merge_ranges, plan, spoken
from retail_platform.platform import Platform

_MOST_ROUNDS = 5
"""Loading a day may dirty others, once; more rounds than this would mean that somebody else never stops dirtying."""

OnStep = Callable[[str, Days, dg.DagsterEvent], None]


@dataclass(kw_only=True)
class LoadReport:
    """What a load did: its runs, those that took snapshots after them, the days it computed, and what went wrong."""

    runs: int = 0
    snapshot_runs: int = 0
    ranges: dict[str, list[Days]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Loads a platform through a Dagster instance.

    Attributes:
        platform: What is loaded.
        definitions: Its assets and jobs.
        instance: Where the runs are recorded.
        on_step: Told of each event of each run: job, days, event.
    """

    platform: Platform
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    on_step: OnStep

    def load(self, sources: Iterable[str], *, first: date | None = None, last: date | None = None) -> LoadReport:
        """Take the waiting days of these sources, between `first` and `last`, to the warehouse."""
        report = LoadReport()
        sources = list(sources)
        for _ in range(_MOST_ROUNDS):
            # The ticket comes first: what is dirtied after it is not finished by this round, planned or not.
            ticket = self.platform.ledger.last_ticket()
            work = self._plan(sources, first, last)
            if report.errors or not work:
                break
            for source, ranges in work.items():
                report.ranges.setdefault(source, []).extend(ranges)
            if sum(len(ranges) for ranges in work.values()) == 1:
                ((source, (days,)),) = work.items()
                self._run(job_name(source), days, report, tags={FINISHES: source, TICKET: str(ticket)})
            else:
                failed = self._wave(work, report, layers=("bronze",), ticket=ticket)
                ticket = self.platform.ledger.last_ticket()
                self._compute(self._plan(sources, first, last), report, ticket=ticket, failed=failed)
        self.take_snapshots(report)
        return report

    def take_snapshots(self, report: LoadReport) -> None:
        """Take every snapshot that is out of date, the newest day first, and publish them."""
        for overdue in shelf(self.platform).overdue(self.platform.last_day):
            self._run(SNAPSHOTS, overdue.days, report, tags={}, assets=selected(overdue.marts))

    def publish(self) -> LoadReport:
        """Bring snapshots and the warehouse up to date; no other day is computed."""
        report = LoadReport()
        today = self.platform.last_day
        self._run(PUBLISH, (today, today), report, tags={})
        self.take_snapshots(report)
        return report

    def _plan(self, sources: list[str], first: date | None, last: date | None) -> dict[str, list[Days]]:
        return plan(self.platform.ledger, self.platform.settings, sources, first=first, last=last)

    def _compute(self, work: Mapping[str, list[Days]], report: LoadReport, *, ticket: int, failed: set[str]) -> None:
        failed |= self._wave(work, report, layers=("silver", "gold", "marts"), ticket=ticket)
        finished = {source: ranges for source, ranges in work.items() if source not in failed}
        tags = {FINISHES: ",".join(finished), TICKET: str(ticket)}
        for days in merge_ranges([days for ranges in finished.values() for days in ranges]):
            self._run(PUBLISH, days, report, tags=tags)

    def _wave(
        self, work: Mapping[str, list[Days]], report: LoadReport, *, layers: tuple[str, ...], ticket: int
    ) -> set[str]:
        """Run some layers of every range; one source's failure stops no other's."""
        failed: set[str] = set()
        for source, ranges in work.items():
            keys = self.definitions.resolve_job_def(job_name(source)).asset_layer.executable_asset_keys
            wanted = [key for key in keys if key.path[0] in layers]
            for days in ranges:
                if not self._run(job_name(source), days, report, tags={TICKET: str(ticket)}, assets=wanted):
                    failed.add(source)
        return failed

    def _run(
        self,
        job: str,
        days: Days,
        report: LoadReport,
        *,
        tags: Mapping[str, str],
        assets: list[dg.AssetKey] | None = None,
    ) -> bool:
        result = run_range(
            self.definitions,
            job,
            instance=self.instance,
            start_day=days[0].isoformat(),
            end_day=days[1].isoformat(),
            tags={SCANNED: "true", DAYS: spoken(days), **tags},
            asset_selection=assets,
            on_event=lambda event: self.on_step(job, days, event),
        )
        if job == SNAPSHOTS:
            report.snapshot_runs += 1
        else:
            report.runs += 1
        report.errors += [f"{job} {spoken(days)}: {error}" for error in result.errors]
        return result.success
