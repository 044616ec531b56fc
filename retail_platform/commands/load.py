"""`retail load` and `retail rebuild-warehouse`."""

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from retail_platform.commands.console import Landing, open_landing
from retail_platform.landing.drops import scan
from retail_platform.landing.ledger import Drop
from retail_platform.landing.planning import plan, spoken

if TYPE_CHECKING:
    import dagster as dg

    from retail_platform.landing.planning import Days
    from retail_platform.loading import LoadReport

# ruff: noqa: PLC0415 - a load that finds nothing to do need not wait for Dagster and pandera

_GROWING = "it is still being written: load again when it is complete"


def load(out: Console, err: Console, *, source: str | None, first: date | None, last: date | None) -> int:
    """Load what is new; the exit code is 1 if anything was left undone."""
    started = time.monotonic()
    landing = open_landing()
    sources = landing.named(source)
    new, unreadable = _scan(landing, sources, out, err)
    work = plan(landing.ledger, landing.settings, sources, first=first, last=last)
    report = None
    if work or not (landing.settings.warehouse_dir / "retail.duckdb").exists() or _overdue(landing):
        report = _run(sources, err, first=first, last=last, work_days=bool(work))
        for error in report.errors:
            err.print(f"[red]failed[/red] {escape(error)}")
    undone = unreadable + _tell_undone(landing, sources, out) + len(report.errors if report else [])
    seconds = time.monotonic() - started
    if report is None:
        out.print(f"Nothing to do: {new} new files, and all {len(sources)} sources are up to date ({seconds:.1f} s).")
    else:
        _tell_days(landing, report, out)
        snapshots = f" and {report.snapshot_runs} for snapshots" if report.snapshot_runs else ""
        out.print(f"Loaded {new} new files in {report.runs} runs{snapshots}, {seconds:.1f} s.")
        out.print(f"The answers are in {landing.settings.warehouse_dir / 'retail.duckdb'}", markup=False)
    return 1 if undone else 0


def rebuild(out: Console) -> None:
    """Make the warehouse again from Parquet."""
    from retail_platform.platform import Platform
    from retail_platform.serving.duckdb import rebuild as rebuild_warehouse
    from retail_platform.settings import current_settings

    report = rebuild_warehouse(Platform.from_settings(current_settings()))
    out.print(f"Rebuilt {report.version} from the lake in {report.seconds:.1f} s.", markup=False)


def _scan(landing: Landing, sources: Iterable[str], out: Console, err: Console) -> tuple[int, int]:
    """Take what is new into the ledger; how many drops that are, and how many files could not be read."""
    new: list[Drop] = []
    ignored: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    with err.status("Looking at landing ...") as shown:
        for name in sources:
            shown.update(f"Looking at landing/{name} ...")
            found = scan(landing.lanes[name])
            new += found.new
            ignored |= found.ignored
            unreadable |= found.unreadable | dict.fromkeys(found.growing, _GROWING)
    for drop in new:
        if drop.message and drop.status == "pending":
            out.print(f"[yellow]note[/yellow] {escape(drop.path)}: {escape(drop.message)}")
    for path, why in ignored.items():
        out.print(f"[yellow]ignored[/yellow] {escape(path)}: {why}")
    for path, why in unreadable.items():
        out.print(f"[red]unreadable[/red] {escape(path)}: {escape(why)}")
    return len(new), len(unreadable)


def _run(sources: list[str], err: Console, *, first: date | None, last: date | None, work_days: bool) -> "LoadReport":
    from retail_platform.definitions import build_defs
    from retail_platform.instance.home import open_instance
    from retail_platform.instance.orphans import release_orphans
    from retail_platform.loading import Loader
    from retail_platform.platform import Platform
    from retail_platform.settings import current_settings

    settings = current_settings()
    platform = Platform.from_settings(settings)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with open_instance(settings.root) as instance, Progress(*columns, console=err, transient=True) as progress:
        for run in release_orphans(instance):
            err.print(f"Run {run} had died; its place is free again.")
        task = progress.add_task("Starting", total=None)

        def show(job: str, days: "Days", event: "dg.DagsterEvent") -> None:
            if event.is_step_start:
                progress.update(task, description=f"{job} {spoken(days)}: {event.step_key}")

        loader = Loader(platform=platform, definitions=build_defs(platform), instance=instance, on_step=show)
        return loader.load(sources, first=first, last=last) if work_days else loader.publish()


def _overdue(landing: Landing) -> bool:
    """Whether snapshots are out of date: a load was killed before it took them, or a day was computed by hand."""
    from retail_platform.lake.snapshots import SnapshotShelf

    settings = landing.settings
    shelf = SnapshotShelf(lake_dir=settings.lake_dir, thresholds=settings.snapshot_thresholds)
    return bool(shelf.overdue(datetime.now(UTC).date()))


def _tell_days(landing: Landing, report: "LoadReport", out: Console) -> None:
    for source, ranges in report.ranges.items():
        for first, last in ranges:
            books = [book for book in landing.ledger.books(source=source) if first <= book.day <= last]
            for entity in dict.fromkeys(book.entity for book in books):
                some = [book for book in books if book.entity == entity]
                rows = sum(book.bronze_rows for book in some)
                if rows:
                    out.print(
                        f"{source}/{entity} {spoken((first, last))}: {rows:,} rows = "
                        f"{sum(book.silver_rows for book in some):,} silver + "
                        f"{sum(book.quarantined_rows for book in some):,} quarantined + "
                        f"{sum(book.superseded_rows for book in some):,} superseded",
                        highlight=False,
                    )


def _tell_undone(landing: Landing, sources: Iterable[str], out: Console) -> int:
    """Say what needs somebody, and how many such things there are."""
    undone = 0
    for name in sources:
        for drop in landing.ledger.drops(source=name, statuses=("rejected", "held")):
            out.print(f"[red]{drop.status}[/red] {escape(drop.path)}: {escape(drop.message)}")
            undone += 1
        for book in landing.ledger.books(source=name, blocked=True):
            out.print(f"[red]blocked[/red] {name}/{book.entity} {book.day}: {escape(book.blocked_because)}")
            undone += 1
        waiting = plan(landing.ledger, landing.settings, [name]).get(name, [])
        for first, last in waiting:
            out.print(f"[red]waiting[/red] {name}: days from {first} to {last} are not loaded yet: load again")
            undone += 1
    return undone
