"""What the warehouse holds of the lake: `ops.manifest`, and the signatures of lake folders it is compared with.

A day's signature is made of its files' names, inodes, modification times and sizes. The lake replaces files by
renaming, so a new content is always a new inode.
"""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple

import duckdb
import polars as pl

from retail_platform.lake.parquet import LakeTable
from retail_platform.lake.relations import DailyTable, literal

Key = tuple[str, str]

KEY: Key = ("ops", "manifest")
MANIFEST = "ops.manifest"
MANIFEST_COMMENT = "What this database holds of the lake, per table and day: publishing compares it with the files."
MANIFEST_COLUMNS = {
    "table_schema": ("VARCHAR", "Schema of the table or view."),
    "table_name": ("VARCHAR", "Name of the table or view."),
    "partition": ("DATE", "The day; null for what is published as a whole."),
    "signature": (
        "VARCHAR",
        "Name, inode, modification time and size of the day's files; a hash where there is no day.",
    ),
    "rows": ("BIGINT", "Rows published; null for views."),
    "published_at": ("TIMESTAMP", "When it was published, UTC."),
}
_SCHEMA = {
    "table_schema": pl.String,
    "table_name": pl.String,
    "partition": pl.Date,
    "signature": pl.String,
    "rows": pl.Int64,
    "published_at": pl.Datetime("us"),
}


class Day(NamedTuple):
    """One day's folder as found on disk; paths are texts, for there may be 87,000 of them to look at."""

    folder: str
    files: tuple[str, ...]
    signature: str

    @property
    def paths(self) -> list[str]:
        """The day's Parquet files."""
        return [f"{self.folder}/{name}" for name in self.files]


def look_at_day(folder: str) -> Day | None:
    """A day's folder as it is now, or nothing if it holds no Parquet file."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".parquet") and not entry.name.startswith("."):
                    stat = entry.stat()
                    found.append((entry.name, f"{entry.name}:{stat.st_ino}:{stat.st_mtime_ns}:{stat.st_size}"))
    except (FileNotFoundError, NotADirectoryError):
        return None  # went away while we looked
    found.sort()
    if not found:
        return None
    return Day(folder, tuple(name for name, _ in found), ";".join(text for _, text in found))


def look_at_days(table: DailyTable | LakeTable) -> dict[date, Day]:
    """All days of a table's lake folder, oldest first; folders that are not a day (the schema file's) are no matter."""
    prefix = f"{table.partition_column}="
    try:
        names = sorted(os.listdir(table.root))  # noqa: PTH208 - iterdir builds a Path for each of thousands of days
    except FileNotFoundError:
        return {}
    days = {}
    for name in names:
        day = _as_date(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if day and (found := look_at_day(f"{table.root}/{name}")):
            days[day] = found
    return days


def day_folder(table: DailyTable, day: date) -> str:
    """Where the lake keeps a day."""
    return f"{table.root}/{table.partition_column}={day.isoformat()}"


def _as_date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None  # 20240614 and 2024-W24-5 are dates to Python, not to the lake


def create_manifest(con: duckdb.DuckDBPyConnection) -> None:
    """Create `ops.manifest`."""
    columns = ", ".join(f'"{name}" {type_}' for name, (type_, _) in MANIFEST_COLUMNS.items())
    con.execute("CREATE SCHEMA IF NOT EXISTS ops")
    con.execute(f"CREATE TABLE {MANIFEST} ({columns})")
    con.execute(f"COMMENT ON TABLE {MANIFEST} IS {literal(MANIFEST_COMMENT)}")
    for name, (_, comment) in MANIFEST_COLUMNS.items():
        con.execute(f'COMMENT ON COLUMN {MANIFEST}."{name}" IS {literal(comment)}')


def read_manifest(con: duckdb.DuckDBPyConnection) -> dict[Key, dict[date | None, str]]:
    """The recorded signatures of every table and view."""
    recorded: dict[Key, dict[date | None, str]] = {}
    query = f'SELECT table_schema, table_name, "partition", signature FROM {MANIFEST}'  # noqa: S608 - a constant
    for schema, name, day, signature in con.execute(query).fetchall():
        recorded.setdefault((schema, name), {})[day] = signature
    return recorded


def forget(con: duckdb.DuckDBPyConnection, key: Key, days: Iterable[date] | None = None) -> None:
    """Remove what is recorded of a table or view: all of it, or only some days."""
    where = "table_schema = $1 AND table_name = $2"
    params: list[object] = [*key]
    if days is not None:
        where += ' AND "partition" IN (SELECT unnest($3::DATE[]))'
        params.append(list(days))
    con.execute(f"DELETE FROM {MANIFEST} WHERE {where}", params)  # noqa: S608 - constants and parameters


def record(con: duckdb.DuckDBPyConnection, key: Key, lines: Iterable[tuple[date | None, str, int | None]]) -> None:
    """Record what was published of a table or view: the day, its signature, its rows."""
    now = datetime.now(UTC).replace(tzinfo=None)
    frame = pl.DataFrame([(*key, *line, now) for line in lines], schema=_SCHEMA, orient="row")
    con.register("manifest_lines", frame)
    con.execute(f"INSERT INTO {MANIFEST} BY NAME FROM manifest_lines")
    con.unregister("manifest_lines")
