"""Brings an open database up to date with its catalog and the lake. The caller owns the transaction.

What must be done is always found by looking: at the database's own tables and `ops.manifest` on one side, at the
catalog and the lake's files on the other. So nothing needs to be remembered between two publishes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from retail_platform.lake import manifest
from retail_platform.lake.manifest import Day, Key
from retail_platform.lake.relations import (
    Catalog,
    Column,
    DailyTable,
    SqlView,
    Table,
    View,
    WholeTable,
    exact_path,
    literal,
    parquet_scan,
    qualified,
    quoted,
    view_sql,
)

_FILES_AT_ONCE = 4_000
_LOOKS = 3  # how often a day is read again when its files change under the reading
_WHOLE = "whole_table_rows"


class WarehouseError(RuntimeError):
    """The warehouse cannot be made as declared; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """What a publish did to one table: the days it replaced (none for a whole table), and the rows it wrote."""

    table: str
    days: tuple[date, ...] = ()
    rows: int = 0


@dataclass(frozen=True, kw_only=True)
class _State:
    """What the database holds now."""

    kinds: dict[Key, str] = field(default_factory=dict)
    comments: dict[Key, str] = field(default_factory=dict)
    columns: dict[Key, list[Column]] = field(default_factory=dict)
    recorded: dict[Key, dict[date | None, str]] = field(default_factory=dict)

    @property
    def views(self) -> set[Key]:
        return {key for key, kind in self.kinds.items() if kind == "VIEW"}

    def recorded_of(self, relation: Table | View) -> dict[date | None, str]:
        """The signatures under which the relation was published; null stands for the whole of it."""
        return self.recorded.get(relation.key, {})


def is_current(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> bool:
    """Whether the database holds the catalog and the lake as they are now. Writes nothing."""
    state = _read_state(con)
    if _unwanted_views(catalog, state) or not state.views.issuperset(view.key for view in catalog.all_views):
        return False
    if any(state.recorded_of(view) != {None: _view_signature(view)} for view in catalog.all_views):
        return False
    for table in catalog.daily:
        if not _is_as_declared(con, table, state) or _dirty(state.recorded_of(table), manifest.look_at_days(table)):
            return False
    return all(
        _is_as_declared(con, table, state) and state.recorded_of(table) == {None: _fingerprint(con, table)}
        for table in _wholes(con, catalog)
    )


def bring_up_to_date(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> tuple[list[TableChange], list[str]]:
    """Make the database equal to the catalog and the lake.

    Tables that are no longer declared stay as they are: a source that is switched off loses nothing. Views go.

    Returns:
        The changes to tables, and the names of the views that were made or dropped.
    """
    state = _read_state(con)
    if manifest.KEY not in state.kinds:
        manifest.create_manifest(con)
    views = _drop_views(con, catalog, state)
    changes = [_sync_daily(con, table, state) for table in catalog.daily]
    changes += [_sync_whole(con, table, state) for table in _wholes(con, catalog)]
    views += _make_views(con, catalog, state)
    return [change for change in changes if change], [".".join(key) for key in views]


def _read_state(con: duckdb.DuckDBPyConnection) -> _State:
    state = _State()
    relations = """
        SELECT schema_name, table_name, 'TABLE', comment FROM duckdb_tables()
        WHERE database_name = current_database()
        UNION ALL
        SELECT schema_name, view_name, 'VIEW', comment FROM duckdb_views()
        WHERE database_name = current_database() AND NOT internal"""
    for schema, name, kind, comment in con.execute(relations).fetchall():
        state.kinds[schema, name] = kind
        state.comments[schema, name] = comment or ""
    columns = """
        SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns()
        WHERE database_name = current_database() AND NOT internal
        ORDER BY schema_name, table_name, column_index"""
    for schema, name, column, type_, comment in con.execute(columns).fetchall():
        found = Column(name=column, type=type_, comment=comment or "")
        state.columns.setdefault((schema, name), []).append(found)
    if manifest.KEY in state.kinds:
        state.recorded.update(manifest.read_manifest(con))
    return state


def _has_columns(con: duckdb.DuckDBPyConnection, table: Table, state: _State) -> bool:
    """Whether the table exists with the declared names and types; DuckDB says which spellings of a type are one."""
    nulls = ", ".join(f"NULL::{column.type} AS {quoted(column.name)}" for column in table.columns)
    declared = [(name, type_) for name, type_, *_ in con.execute(f"DESCRIBE SELECT {nulls}").fetchall()]
    found = [(column.name, column.type) for column in state.columns.get(table.key, [])]
    return state.kinds.get(table.key) == "TABLE" and declared == found


def _is_as_declared(con: duckdb.DuckDBPyConnection, table: Table, state: _State) -> bool:
    comments = [column.comment for column in state.columns.get(table.key, [])]
    return (
        _has_columns(con, table, state)
        and state.comments.get(table.key) == table.comment
        and comments == [column.comment for column in table.columns]
    )


def _comment(con: duckdb.DuckDBPyConnection, relation: Table | View, kind: str) -> None:
    name = qualified(relation.key)
    con.execute(f"COMMENT ON {kind} {name} IS {literal(relation.comment) if relation.comment else 'NULL'}")
    if isinstance(relation, SqlView):
        return
    for column in relation.columns:
        text = literal(column.comment) if column.comment else "NULL"
        con.execute(f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {text}")


def _dirty(recorded: Mapping[date | None, str], found: Mapping[date, Day]) -> list[date]:
    """The days whose files differ from what is recorded, those that are gone included; oldest first."""
    changed = {day for day, now in found.items() if recorded.get(day) != now.signature}
    return sorted(changed | {day for day in recorded if day and day not in found})


def _sync_daily(con: duckdb.DuckDBPyConnection, table: DailyTable, state: _State) -> TableChange | None:
    recorded = state.recorded_of(table)
    as_declared = _is_as_declared(con, table, state) and None not in recorded
    if not _has_columns(con, table, state) or None in recorded:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
        columns = ", ".join(f"{quoted(column.name)} {column.type}" for column in table.columns)
        con.execute(f"CREATE OR REPLACE TABLE {qualified(table.key)} ({columns})")
        manifest.forget(con, table.key)
        recorded = {}
    if not as_declared:
        _comment(con, table, "TABLE")
    found = manifest.look_at_days(table)
    dirty = _dirty(recorded, found)
    if as_declared and not dirty:
        return None
    rows = _replace_days(con, table, {day: found.get(day) for day in dirty})
    return TableChange(table=".".join(table.key), days=tuple(dirty), rows=rows)


def _replace_days(con: duckdb.DuckDBPyConnection, table: DailyTable, days: Mapping[date, Day | None]) -> int:
    """Replace days by their files, again where files changed meanwhile.

    What is recorded is the signature from *before* the reading: a day that does not come to rest stays dirty.
    """
    rows: dict[date, int] = {}
    for _ in range(_LOOKS):
        rows |= _replace_once(con, table, days)
        now = {day: manifest.look_at_day(manifest.day_folder(table, day)) for day in days}
        days = {day: look for day, look in now.items() if look != days[day]}
        if not days:
            break
    return sum(rows.values())


def _replace_once(
    con: duckdb.DuckDBPyConnection, table: DailyTable, days: Mapping[date, Day | None]
) -> dict[date, int]:
    name, column = qualified(table.key), quoted(table.partition_column)
    of_days = f"FROM {name} WHERE {column} IN (SELECT unnest($1::DATE[]))"
    con.execute(f"DELETE {of_days}", [list(days)])
    manifest.forget(con, table.key, days)
    present = {day: look for day, look in days.items() if look}
    files = [exact_path(path) for look in present.values() for path in look.paths]
    insert = f"INSERT INTO {name} BY NAME FROM {parquet_scan('$1', table.columns)}"
    written = 0
    for start in range(0, len(files), _FILES_AT_ONCE):
        written += con.execute(insert, [files[start : start + _FILES_AT_ONCE]]).fetchall()[0][0]
    counts = dict(con.execute(f"SELECT {column}, count(*) {of_days} GROUP BY ALL", [list(days)]).fetchall())
    if sum(counts.values()) != written:
        message = (
            f"{table.root}: the files of {min(days)} to {max(days)} hold {written} rows, but {sum(counts.values())} "
            f"rows bear these days in {table.partition_column}. Materialize these days again."
        )
        raise WarehouseError(message)
    manifest.record(con, table.key, ((day, look.signature, counts.get(day, 0)) for day, look in present.items()))
    return {day: counts.get(day, 0) for day in days}


def _wholes(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> Sequence[WholeTable]:
    return catalog.whole(con) if callable(catalog.whole) else catalog.whole


def _source(con: duckdb.DuckDBPyConnection, table: WholeTable) -> str:
    """The rows of a whole table, as declared, for a FROM clause."""
    if isinstance(table.rows, Path):
        return parquet_scan(literal(exact_path(table.rows)), table.columns)
    con.register(_WHOLE, table.rows)
    given = set(table.rows.columns)
    fields = (
        f"CAST({quoted(column.name) if column.name in given else 'NULL'} AS {column.type}) AS {quoted(column.name)}"
        for column in table.columns
    )
    return f"(SELECT {', '.join(fields)} FROM {_WHOLE})"  # noqa: S608 - names and types of our own contracts


def _fingerprint(con: duckdb.DuckDBPyConnection, table: WholeTable) -> str:
    """Equal for equal rows, in whatever order: their number and the sum of their hashes."""
    query = f"SELECT count(*), coalesce(sum(hash(line)::HUGEINT), 0) FROM {_source(con, table)} AS line"  # noqa: S608
    return "{}:{}".format(*con.execute(query).fetchall()[0])


def _sync_whole(con: duckdb.DuckDBPyConnection, table: WholeTable, state: _State) -> TableChange | None:
    signature = _fingerprint(con, table)
    if _is_as_declared(con, table, state) and state.recorded_of(table) == {None: signature}:
        return None
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
    create = f"CREATE OR REPLACE TABLE {qualified(table.key)} AS FROM {_source(con, table)}"
    rows = con.execute(create).fetchall()[0][0]
    _comment(con, table, "TABLE")
    manifest.forget(con, table.key)
    manifest.record(con, table.key, [(None, signature, rows)])
    return TableChange(table=".".join(table.key), rows=rows)


def _view_signature(view: View) -> str:
    comments = [] if isinstance(view, SqlView) else [(column.name, column.comment) for column in view.columns]
    text = repr((view_sql(view), view.comment, comments))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unwanted_views(catalog: Catalog, state: _State) -> set[Key]:
    return state.views - {view.key for view in catalog.all_views} if catalog.is_all else set()


def _drop_views(con: duckdb.DuckDBPyConnection, catalog: Catalog, state: _State) -> list[Key]:
    dropped = sorted(_unwanted_views(catalog, state))
    for key in dropped:
        con.execute(f"DROP VIEW {qualified(key)}")
        manifest.forget(con, key)
    return dropped


def _make_views(con: duckdb.DuckDBPyConnection, catalog: Catalog, state: _State) -> list[Key]:
    """Make the views that are new or changed.

    SQL views are made again whenever anything is published: DuckDB refuses a view when the types below it changed.
    """
    changed = []
    for view in catalog.all_views:
        signature = _view_signature(view)
        is_new = state.recorded_of(view) != {None: signature}
        if is_new:
            changed.append(view.key)
        if is_new or isinstance(view, SqlView):
            _make_view(con, view, state)
            manifest.forget(con, view.key)
            manifest.record(con, view.key, [(None, signature, None)])
    return changed


def _make_view(con: duckdb.DuckDBPyConnection, view: View, state: _State) -> None:
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(view.schema)}")
    if state.kinds.get(view.key) == "TABLE":
        con.execute(f"DROP TABLE {qualified(view.key)}")
    try:
        con.execute(f"CREATE OR REPLACE VIEW {qualified(view.key)} AS {view_sql(view)}")
    except duckdb.IOException as error:
        message = (
            f"{'.'.join(view.key)}: there is no Parquet file to look at. Materialize the table, or call "
            f"ensure_schema_file, and publish again. ({error})"
        )
        raise WarehouseError(message) from error
    _comment(con, view, "VIEW")
