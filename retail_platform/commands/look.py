"""`retail status` and `retail drops`: what has arrived, what waits, what needs a look."""

from collections.abc import Sequence
from typing import cast

from rich.console import Console

from retail_platform.commands.console import Landing, UserError, open_landing, print_table
from retail_platform.landing.drops import accept as accept_drop
from retail_platform.landing.ledger import Ledger, Status
from retail_platform.landing.planning import plan, spoken

STATUSES = ("pending", "loaded", "replaced", "held", "rejected")


def status(out: Console) -> int:
    """Print a line per source and what needs a look; the exit code is 1 if something does."""
    landing = open_landing()
    rows = [_line(landing, name) for name in landing.lanes]
    columns = [
        "source",
        "drops",
        "pending",
        "held",
        "rejected",
        "days waiting",
        "rows",
        "silver",
        "quarantine",
        "blocked",
    ]
    print_table(out, columns, rows)
    needs = landing.ledger.drops(statuses=("held", "rejected"))
    for drop in needs:
        out.print(f"{drop.status} {drop.path}: {drop.message}", markup=False)
    blocked = [book for name in landing.lanes for book in landing.ledger.books(source=name, blocked=True)]
    for book in blocked:
        out.print(f"blocked {book.source}/{book.entity} {book.day}: {book.blocked_because}", markup=False)
    return 1 if needs or blocked else 0


def _line(landing: Landing, source: str) -> tuple[object, ...]:
    ledger = landing.ledger
    drops = ledger.drops(source=source)
    books = ledger.books(source=source)
    waiting = plan(ledger, landing.settings, [source]).get(source, [])
    return (
        source,
        len(drops),
        *(sum(drop.status == state for drop in drops) for state in ("pending", "held", "rejected")),
        ", ".join(spoken(days) for days in waiting),
        sum(book.bronze_rows for book in books),
        sum(book.silver_rows for book in books),
        sum(book.quarantined_rows for book in books),
        sum(book.blocked_because != "" for book in books),
    )


def drops(out: Console, *, source: str | None, status: str | None, limit: int) -> None:
    """Print drops, the latest first."""
    landing = open_landing()
    if status is not None and status not in STATUSES:
        raise UserError(f"There is no status {status}; there are {', '.join(STATUSES)}.")
    names = landing.named(source)
    found = landing.ledger.drops(statuses=(cast("Status", status),) if status else ())
    found = [drop for drop in reversed(found) if drop.source in names]
    days = landing.ledger.days_of([drop.drop_id for drop in found[:limit]])
    rows = [
        (drop.drop_id, drop.status, drop.path, drop.drop_date, len(days[drop.drop_id]), drop.rows, drop.message)
        for drop in found[:limit]
    ]
    print_table(out, ["drop", "status", "file", "drop date", "days", "rows", "message"], rows)
    if len(found) > limit:
        out.print(f"{len(found) - limit} more; see them with --limit {len(found)}.")


def accept(out: Console, drop_ids: Sequence[str]) -> None:
    """Let held drops through."""
    landing = open_landing()
    for drop_id in drop_ids:
        lane = landing.lanes[_source_of(landing.ledger, drop_id)]
        try:
            drop = accept_drop(lane, drop_id)
        except ValueError as error:
            raise UserError(str(error)) from error
        out.print(f"{drop.path} is accepted: the next load takes it.", markup=False)


def _source_of(ledger: Ledger, drop_id: str) -> str:
    try:
        return ledger.drop(drop_id).source
    except KeyError:
        raise UserError(f"There is no drop {drop_id}: `retail drops` lists them.") from None
