"""From drops to bronze: the rows of each drop, day by day, and the bookkeeping once they are written."""

import hashlib
from collections.abc import Iterator
from datetime import date

import polars as pl

from retail_platform.contracts.bronze import bronze_schema
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.lake.parquet import FILE_ID, FileRows
from retail_platform.landing.csv_file import match_header
from retail_platform.landing.filing import file_rows
from retail_platform.landing.lane import Lane
from retail_platform.landing.ledger import Drop

_BATCH_ROWS = 500_000
_NO_FILE = pl.lit(None, pl.String).alias(FILE_ID)
_GONE = "the file has gone or changed before it was loaded: deliver it again"


def bronze_batches(lane: Lane, feed: str, *, first: date, last: date, problems: list[str]) -> Iterator[FileRows]:
    """The rows that a feed's current drops hold for a range of days, read from landing.

    Whoever takes a batch must have written it when asking for the next one: only then are its drops marked as loaded
    and the key index follows. A crash between the two leaves them pending, so that they are read again.

    Args:
        lane: The source.
        feed: The feed.
        first: First day of the range.
        last: Last day of the range.
        problems: Gets a message for each drop that could not be taken; the others go through.
    """
    yield from _withdraw(lane, feed, first=first, last=last)
    drops = lane.ledger.drops(source=lane.source, feed=feed, statuses=("pending", "loaded"), days=(first, last))
    loaded = lane.ledger.is_loaded([drop.drop_id for drop in drops], first=first, last=last)
    days = lane.ledger.days_of([drop.drop_id for drop in drops])
    gathered: list[tuple[Drop, pl.DataFrame, list[date]]] = []
    for drop in drops:
        rows = _read(lane, drop)
        if rows is None:
            if drop.drop_id not in loaded:
                lane.ledger.reject(drop.drop_id, _GONE)
                problems.append(f"{drop.path}: {_GONE}")
            continue  # bronze keeps what the file delivered
        in_range = [day for day in days[drop.drop_id] if first <= day <= last]
        gathered.append((drop, rows.filter(pl.col(PARTITION_DATE).is_in(in_range)), in_range))
        if sum(some.height for _, some, _ in gathered) >= _BATCH_ROWS:
            yield _batch(lane, feed, gathered)
            _keep_books(lane, feed, gathered, first=first, last=last)
            gathered = []
    if gathered:
        yield _batch(lane, feed, gathered)
        _keep_books(lane, feed, gathered, first=first, last=last)


def _withdraw(lane: Lane, feed: str, *, first: date, last: date) -> Iterator[FileRows]:
    """Take out what bronze may hold of drops that were held after it had taken them."""
    drops = lane.ledger.withdrawals(source=lane.source, feed=feed, days=(first, last))
    if not drops:
        return
    days = lane.ledger.days_of([drop.drop_id for drop in drops])
    files = [(drop.file_id, day) for drop in drops for day in days[drop.drop_id] if first <= day <= last]
    yield FileRows(rows=bronze_schema(lane.spec.feeds[feed]).to_frame().with_columns(_NO_FILE), files=files)
    index = lane.index(feed)
    changed = index.replace(index.schema.to_frame(), files=files)
    # They were dirty since the drop was held; one may have been computed before this, with the drop's rows.
    affected = lane.affected_days(feed, changed.lazy(), drops) if changed.height else set()
    others = {day for day in affected if not first <= day <= last}
    lane.ledger.make_dirty(lane.source, others, reason="keys withdrawn elsewhere")
    lane.ledger.mark_withdrawn([drop.drop_id for drop in drops], first=first, last=last)


def _read(lane: Lane, drop: Drop) -> pl.DataFrame | None:
    """The filed rows of a drop, or None where landing does not hold its content any more."""
    path = lane.landing_file(drop.path)
    if not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != drop.fingerprint:
        return None
    csv = lane.read(content, drop.feed)
    feed = lane.spec.feeds[drop.feed]
    rows = csv.rows.rename(dict(match_header(csv.header, feed.all_columns).renamed))
    return file_rows(rows, feed, drop, start=lane.settings.start_date)


def _batch(lane: Lane, feed: str, gathered: list[tuple[Drop, pl.DataFrame, list[date]]]) -> FileRows:
    frames = [rows.with_columns(pl.lit(drop.file_id).alias(FILE_ID)) for drop, rows, _ in gathered]
    rows = pl.concat(frames, how="diagonal")
    declared = bronze_schema(lane.spec.feeds[feed]).names()
    unknown = [name for name in rows.columns if name not in declared and name != FILE_ID]
    return FileRows(
        rows=rows.select(*declared, *unknown, FILE_ID),
        files=[(drop.file_id, day) for drop, _, days in gathered for day in days],
    )


def _keep_books(
    lane: Lane, feed: str, gathered: list[tuple[Drop, pl.DataFrame, list[date]]], *, first: date, last: date
) -> None:
    entries = pl.concat([lane.index_entries(feed, rows, file_id=drop.file_id) for drop, rows, _ in gathered])
    files = [(drop.file_id, day) for drop, _, days in gathered for day in days]
    changed = lane.index(feed).replace(entries, files=files)
    drops = [drop for drop, _, _ in gathered]
    known = [drop.drop_id for drop in drops if drop.status == "loaded"]
    affected = lane.affected_days(feed, changed.lazy(), drops, known=known) if changed.height else set()
    lane.ledger.mark_loaded(
        {drop.drop_id: days for drop, _, days in gathered},
        source=lane.source,
        # The run that loads these days computes them, too; other days must be asked for.
        also_dirty={day for day in affected if not first <= day <= last},
    )
