"""The ledger: which drops there are, which days they touch, and which days wait to be computed.

A real database (SQLite by default, PostgreSQL by URL), since sensors, runs and the command line use it at once. It is
what makes work neither missed nor repeated: a day stays dirty until a run has taken it all the way to the warehouse.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from retail_platform.landing.ledger_tables import BOOKS, DIRTY_DAYS, DROP_DAYS, DROPS, FILES, METADATA, Instant

Status = Literal["pending", "loaded", "replaced", "held", "rejected"]

T = TypeVar("T")

_CHUNK = 500
_BUSY_MILLISECONDS = 60_000


_POLARS_TYPES: Mapping[type[sa.types.TypeEngine[Any]], pl.DataType] = {
    sa.String: pl.String(),
    sa.Integer: pl.Int64(),
    sa.BigInteger: pl.Int64(),
    sa.Boolean: pl.Boolean(),
    sa.Date: pl.Date(),
    Instant: pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, kw_only=True)
class Drop:
    """One content of one landing path, as of when it was first seen.

    `drop_date` orders it among others; `latest_date` is the later of name and modification date, beyond which (and the
    day after) a row's date lies in the future. `new_columns` and the like are names joined by ", ".
    """

    drop_id: str
    source: str
    feed: str
    path: str
    file_id: str
    fingerprint: str
    size: int
    drop_date: date
    latest_date: date
    dropped_at: datetime
    seen_at: datetime
    rows: int = 0
    malformed_rows: int = 0
    status: Status = "pending"
    message: str = ""
    new_columns: str = ""
    renamed_columns: str = ""
    missing_columns: str = ""


@dataclass(frozen=True, kw_only=True)
class FileState:
    """A landing file as it was when last looked at."""

    size: int
    modified_ns: int
    drop_id: str


@dataclass(frozen=True, kw_only=True)
class DirtyMark:
    """Why a day waits: the drop that made it wait, if it was one; `ticket` tells older marks from newer."""

    ticket: int
    day: date
    drop_id: str | None


@dataclass(frozen=True, kw_only=True)
class Book:
    """What became of one day's rows of one entity's driving feed; `blocked_because` is empty where it was written."""

    source: str
    entity: str
    day: date
    bronze_rows: int
    silver_rows: int
    quarantined_rows: int
    superseded_rows: int
    blocked_because: str = ""


class Ledger:
    """The ledger at a SQLAlchemy URL. Tables are made when it is first used."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        if self._url.drivername == "postgresql":
            # SQLAlchemy would take psycopg2; ours (extra `postgres`) is its successor.
            self._url = self._url.set(drivername="postgresql+psycopg")

    @cached_property
    def engine(self) -> sa.Engine:
        """The open database."""
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _prepare_sqlite)
        with engine.begin() as con:
            for table in METADATA.sorted_tables:
                con.execute(CreateTable(table, if_not_exists=True))
                _add_new_columns(con, table)
                for index in table.indexes:
                    con.execute(CreateIndex(index, if_not_exists=True))
        return engine

    def close(self) -> None:
        """Let go of the database."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that writes; it holds all its changes or none."""
        with self.engine.begin() as con:
            yield con

    # Files and drops

    def file_states(self, source: str) -> dict[str, FileState]:
        """Landing files of a source by path, as they were when last looked at."""
        query = sa.select(FILES.c.path, FILES.c.size, FILES.c.modified_ns, FILES.c.drop_id)
        with self.engine.connect() as con:
            rows = con.execute(query.where(FILES.c.source == source)).all()
        return {path: FileState(size=size, modified_ns=ns, drop_id=drop) for path, size, ns, drop in rows}

    def note_file(self, path: str, source: str, state: FileState) -> None:
        """Remember a file's state."""
        with self.writing() as con:
            _note_file(con, path, source, state)

    def register(
        self,
        drop: Drop,
        state: FileState,
        *,
        days: Mapping[date, int],
        replaces: Collection[str],
        dirty: Iterable[date],
    ) -> None:
        """Take a drop into the ledger, in one transaction with the work that it makes.

        Args:
            drop: The drop.
            state: The file it was read from.
            days: The days it touches, with their rows.
            replaces: The drops whose place it takes.
            dirty: The days to compute because of it.
        """
        with self.writing() as con:
            _replace(con, replaces)
            con.execute(sa.delete(DROPS).where(DROPS.c.drop_id == drop.drop_id))
            con.execute(sa.delete(DROP_DAYS).where(DROP_DAYS.c.drop_id == drop.drop_id))
            con.execute(sa.insert(DROPS), [asdict(drop)])
            _insert(con, DROP_DAYS, _day_rows(drop.drop_id, days))
            _note_file(con, drop.path, drop.source, state)
            _add_dirty(con, drop.source, dirty, reason=f"drop {drop.path}", drop_id=drop.drop_id)

    def accept(self, drop_id: str, *, replaces: Collection[str], dirty: Iterable[date]) -> None:
        """Let a held drop take the place of others."""
        source = self.drop(drop_id).source
        with self.writing() as con:
            _replace(con, replaces)
            values = {"status": "pending", "message": "accepted by hand"}
            con.execute(sa.update(DROPS).where(DROPS.c.drop_id == drop_id).values(values))
            _add_dirty(con, source, dirty, reason=f"drop {drop_id} accepted", drop_id=drop_id)

    def reject(self, drop_id: str, message: str) -> None:
        """Give up a drop whose content has gone; one that something else has replaced stays so.

        The file is forgotten, so that it is looked at again if it comes back as it was.
        """
        with self.writing() as con:
            is_pending = (DROPS.c.drop_id == drop_id) & (DROPS.c.status == "pending")
            con.execute(sa.update(DROPS).where(is_pending).values(status="rejected", message=message))
            con.execute(sa.delete(FILES).where(FILES.c.drop_id == drop_id))

    def hold(self, drop_id: str, message: str, *, dirty: Iterable[date]) -> None:
        """Take a drop out; it waits until it is accepted, or its path delivered anew.

        Args:
            drop_id: The drop, pending or loaded; any other stays as it is.
            message: Why.
            dirty: The days to compute again without it. What bronze may hold of it is withdrawn by their run.
        """
        drop = self.drop(drop_id)
        with self.writing() as con:
            is_current = (DROPS.c.drop_id == drop_id) & DROPS.c.status.in_(("pending", "loaded"))
            held = con.execute(sa.update(DROPS).where(is_current).values(status="held", message=message))
            if held.rowcount:
                of_drop = DROP_DAYS.c.drop_id == drop_id
                con.execute(sa.update(DROP_DAYS).where(of_drop).values(is_loaded=True))
                _add_dirty(con, drop.source, dirty, reason=f"drop {drop.path} is held")

    def withdrawals(
        self, *, source: str, feed: str | None = None, path: str | None = None, days: tuple[date, date] | None = None
    ) -> list[Drop]:
        """The held drops of which bronze may hold rows, all in all or on some days of a range."""
        loaded = (
            sa.select(DROPS.c.drop_id)
            .join(DROP_DAYS, DROP_DAYS.c.drop_id == DROPS.c.drop_id)
            .where(DROPS.c.source == source, DROPS.c.status == "held", DROP_DAYS.c.is_loaded)
        )
        if days is not None:
            loaded = loaded.where(DROP_DAYS.c.day.between(*days))
        with self.engine.connect() as con:
            drop_ids = set(con.scalars(loaded))
        return self.drops(source=source, feed=feed, path=path, drop_ids=drop_ids) if drop_ids else []

    def mark_withdrawn(self, drop_ids: Collection[str], *, first: date, last: date) -> None:
        """Bronze holds nothing of these drops any more on the days of a range."""
        with self.writing() as con:
            con.execute(
                sa.update(DROP_DAYS)
                .where(DROP_DAYS.c.drop_id.in_(drop_ids), DROP_DAYS.c.day.between(first, last))
                .values(is_loaded=False)
            )

    def drop(self, drop_id: str) -> Drop:
        """One drop.

        Raises:
            KeyError: there is none of that id.
        """
        found = self.drops(drop_ids=[drop_id])
        if not found:
            raise KeyError(drop_id)
        return found[0]

    def drops(
        self,
        *,
        source: str | None = None,
        feed: str | None = None,
        statuses: Collection[Status] = (),
        drop_ids: Collection[str] = (),
        path: str | None = None,
        days: tuple[date, date] | None = None,
    ) -> list[Drop]:
        """Drops, in the order in which they count: by drop date and path. Every argument narrows the list."""
        query = sa.select(DROPS).order_by(DROPS.c.drop_date, DROPS.c.path, DROPS.c.dropped_at)
        for column, value in ((DROPS.c.source, source), (DROPS.c.feed, feed), (DROPS.c.path, path)):
            if value is not None:
                query = query.where(column == value)
        if statuses:
            query = query.where(DROPS.c.status.in_(statuses))
        if drop_ids:
            query = query.where(DROPS.c.drop_id.in_(drop_ids))
        if days is not None:
            touching = sa.select(DROP_DAYS.c.drop_id).where(DROP_DAYS.c.day.between(*days))
            query = query.where(DROPS.c.drop_id.in_(touching))
        with self.engine.connect() as con:
            return [_record(Drop, row) for row in con.execute(query).mappings()]

    def days_of(self, drop_ids: Collection[str]) -> dict[str, dict[date, int]]:
        """The days of drops, with their rows."""
        found: dict[str, dict[date, int]] = {drop_id: {} for drop_id in drop_ids}
        with self.engine.connect() as con:
            for some in _chunks(drop_ids):
                query = sa.select(DROP_DAYS.c.drop_id, DROP_DAYS.c.day, DROP_DAYS.c.rows)
                for drop_id, day, rows in con.execute(query.where(DROP_DAYS.c.drop_id.in_(some))):
                    found[drop_id][day] = rows
        return found

    def is_loaded(self, drop_ids: Collection[str], *, first: date, last: date) -> set[str]:
        """Those of the drops that bronze already holds on all their days of a range."""
        waiting: set[str] = set()
        with self.engine.connect() as con:
            for some in _chunks(drop_ids):
                query = sa.select(DROP_DAYS.c.drop_id).where(
                    DROP_DAYS.c.drop_id.in_(some), DROP_DAYS.c.day.between(first, last), ~DROP_DAYS.c.is_loaded
                )
                waiting.update(con.scalars(query))
        return set(drop_ids) - waiting

    def mark_loaded(self, days: Mapping[str, Collection[date]], *, source: str, also_dirty: Iterable[date]) -> None:
        """Bronze holds these days of these drops; `also_dirty` are further days that must follow."""
        with self.writing() as con:
            for drop_id, loaded in days.items():
                for some in _chunks(loaded):
                    con.execute(
                        sa.update(DROP_DAYS)
                        .where(DROP_DAYS.c.drop_id == drop_id, DROP_DAYS.c.day.in_(some))
                        .values(is_loaded=True)
                    )
            unfinished = sa.select(DROP_DAYS.c.drop_id).where(~DROP_DAYS.c.is_loaded)
            for some in _chunks(days):
                con.execute(
                    sa.update(DROPS)
                    .where(DROPS.c.drop_id.in_(some), DROPS.c.status == "pending", DROPS.c.drop_id.not_in(unfinished))
                    .values(status="loaded")
                )
            _add_dirty(con, source, also_dirty, reason="keys changed elsewhere")

    def rows_by_day(self, source: str, feed: str, *, first: date, last: date) -> dict[date, int]:
        """How many rows the files of a feed hold for each day of a range, of drops that bronze has."""
        query = (
            sa.select(DROP_DAYS.c.day, sa.func.sum(DROP_DAYS.c.rows))
            .join(DROPS, DROPS.c.drop_id == DROP_DAYS.c.drop_id)
            .where(DROPS.c.source == source, DROPS.c.feed == feed, DROPS.c.status.in_(("pending", "loaded")))
            .where(DROP_DAYS.c.is_loaded, DROP_DAYS.c.day.between(first, last))
            .group_by(DROP_DAYS.c.day)
        )
        with self.engine.connect() as con:
            return {day: int(rows) for day, rows in con.execute(query)}

    # Work

    def last_ticket(self) -> int:
        """The newest ticket; what is dirtied later has a higher one."""
        with self.engine.connect() as con:
            return con.scalar(sa.select(sa.func.max(DIRTY_DAYS.c.ticket))) or 0

    def dirty_days(self, source: str) -> list[date]:
        """The days of a source that wait to be computed, in order.

        These are the days that were dirtied and not finished, and those of drops that bronze has yet to take.
        """
        return sorted({mark.day for mark in self.dirty_marks(source)})

    def dirty_marks(self, source: str) -> list[DirtyMark]:
        """All that makes days of a source wait, the oldest mark first; drops that bronze has yet to take are 0."""
        dirt = sa.select(DIRTY_DAYS.c.ticket, DIRTY_DAYS.c.day, DIRTY_DAYS.c.drop_id).where(
            DIRTY_DAYS.c.source == source
        )
        unloaded = (
            sa.select(sa.literal(0).label("ticket"), DROP_DAYS.c.day, DROP_DAYS.c.drop_id)
            .join(DROPS, DROPS.c.drop_id == DROP_DAYS.c.drop_id)
            .where(DROPS.c.source == source, DROPS.c.status == "pending", ~DROP_DAYS.c.is_loaded)
        )
        with self.engine.connect() as con:
            rows = [*con.execute(unloaded), *con.execute(dirt.order_by(DIRTY_DAYS.c.ticket))]
        return [DirtyMark(ticket=ticket, day=day, drop_id=drop_id) for ticket, day, drop_id in rows]

    def unloaded_days(self, source: str, feeds: Collection[str]) -> set[date]:
        """The days of drops of these feeds that bronze has yet to take."""
        unloaded = (
            sa.select(DROP_DAYS.c.day)
            .join(DROPS, DROPS.c.drop_id == DROP_DAYS.c.drop_id)
            .where(DROPS.c.source == source, DROPS.c.feed.in_(feeds))
            .where(DROPS.c.status == "pending", ~DROP_DAYS.c.is_loaded)
        )
        with self.engine.connect() as con:
            return set(con.scalars(unloaded))

    def make_dirty(self, source: str, days: Iterable[date], *, reason: str) -> None:
        """Ask for days of a source to be computed again."""
        with self.writing() as con:
            _add_dirty(con, source, days, reason=reason)

    def finish(self, source: str, *, first: date, last: date, ticket: int) -> None:
        """The range has reached the warehouse, as it was when `ticket` was the newest."""
        with self.writing() as con:
            con.execute(
                sa.delete(DIRTY_DAYS).where(
                    DIRTY_DAYS.c.source == source,
                    DIRTY_DAYS.c.day.between(first, last),
                    DIRTY_DAYS.c.ticket <= ticket,
                )
            )

    # Books

    def write_books(self, books: Sequence[Book]) -> None:
        """Replace the books of these entities and days."""
        with self.writing() as con:
            for (source, entity), some in _by_entity(books).items():
                for days in _chunks([book.day for book in some]):
                    con.execute(
                        sa.delete(BOOKS).where(
                            BOOKS.c.source == source, BOOKS.c.entity == entity, BOOKS.c.day.in_(days)
                        )
                    )
            _insert(con, BOOKS, [asdict(book) for book in books])

    def books(self, *, source: str | None = None, blocked: bool = False) -> list[Book]:
        """The books, by source, entity and day; only those of blocked days where `blocked`."""
        query = sa.select(BOOKS).order_by(BOOKS.c.source, BOOKS.c.entity, BOOKS.c.day)
        if source is not None:
            query = query.where(BOOKS.c.source == source)
        if blocked:
            query = query.where(BOOKS.c.blocked_because != "")
        with self.engine.connect() as con:
            return [_record(Book, row) for row in con.execute(query).mappings()]

    def read_table(self, table: sa.Table) -> pl.DataFrame:
        """A whole table of the ledger, sorted by its key."""
        with self.engine.connect() as con:
            rows = con.execute(sa.select(table).order_by(*table.primary_key)).all()
        schema = {column.name: _POLARS_TYPES[type(column.type)] for column in table.columns}
        return pl.DataFrame(rows, schema=schema, orient="row")


def _record(kind: type[T], row: sa.RowMapping) -> T:
    return kind(**{str(name): value for name, value in row.items()})


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
    cursor.close()


def _add_new_columns(con: sa.Connection, table: sa.Table) -> None:
    """A ledger that an earlier release made lacks what was added since."""
    present = {column["name"] for column in sa.inspect(con).get_columns(table.name)}
    for column in table.columns:
        if column.name not in present:
            kind = column.type.compile(con.dialect)
            con.execute(sa.text(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}'))


def _replace(con: sa.Connection, drop_ids: Collection[str]) -> None:
    con.execute(sa.update(DROPS).where(DROPS.c.drop_id.in_(drop_ids)).values(status="replaced"))


def _note_file(con: sa.Connection, path: str, source: str, state: FileState) -> None:
    con.execute(sa.delete(FILES).where(FILES.c.path == path))
    con.execute(sa.insert(FILES), [{"path": path, "source": source, **asdict(state)}])


def _day_rows(drop_id: str, days: Mapping[date, int]) -> list[dict[str, Any]]:
    return [{"drop_id": drop_id, "day": day, "rows": rows, "is_loaded": False} for day, rows in days.items()]


def _add_dirty(
    con: sa.Connection, source: str, days: Iterable[date], *, reason: str, drop_id: str | None = None
) -> None:
    mark = {"source": source, "reason": reason, "drop_id": drop_id, "since": datetime.now(UTC)}
    _insert(con, DIRTY_DAYS, [{**mark, "day": day} for day in sorted(days)])


def _insert(con: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        con.execute(sa.insert(table), rows)


def _by_entity(books: Sequence[Book]) -> dict[tuple[str, str], list[Book]]:
    found: dict[tuple[str, str], list[Book]] = {}
    for book in books:
        found.setdefault((book.source, book.entity), []).append(book)
    return found


def _chunks(values: Collection[T]) -> Iterator[list[T]]:
    """Databases bound the number of parameters of a statement."""
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
