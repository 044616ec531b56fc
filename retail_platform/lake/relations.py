"""What the warehouse holds: the declarations of its tables and views, and the SQL that reads Parquet as declared.

Nothing here touches a database; `retail_platform.lake.mirror` does.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from retail_platform.lake.parquet import replace_file

SCHEMA_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as the warehouse shows it; `type` is a DuckDB type such as `DECIMAL(18,2)`."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class _Relation:
    schema: str
    name: str
    comment: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name


@dataclass(frozen=True, kw_only=True)
class DailyTable(_Relation):
    """A native table kept equal, day by day, to the lake folder `root` (gold and marts)."""

    root: Path
    partition_column: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True)
class WholeTable(_Relation):
    """A native table replaced as a whole when its rows differ: a frame, or one Parquet file (dimensions, `ops`)."""

    rows: pl.DataFrame | Path
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True)
class LiveView(_Relation):
    """A view over the Parquet files of a lake folder, never older than the lake (bronze and silver)."""

    root: Path
    partition_column: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True)
class SqlView(_Relation):
    """A view over other relations of the warehouse; views are made in the order they are declared in."""

    sql: str


Table = DailyTable | WholeTable
View = LiveView | SqlView
Wholes = Sequence[WholeTable] | Callable[[duckdb.DuckDBPyConnection], Sequence[WholeTable]]


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """What the warehouse shall hold. `whole` may look at the daily tables before it answers.

    Where `is_all` is false, it says nothing of other relations, and they stay as they are.
    """

    daily: Sequence[DailyTable]
    whole: Wholes
    views: Sequence[LiveView] = ()
    sql_views: Sequence[SqlView] = ()
    is_all: bool = True

    @property
    def all_views(self) -> tuple[View, ...]:
        """Live views first, since SQL views may read them."""
        return (*self.views, *self.sql_views)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def qualified(key: tuple[str, str]) -> str:
    """A relation's name as `"schema"."name"`."""
    return ".".join(quoted(part) for part in key)


def exact_path(path: Path | str) -> str:
    """A path that DuckDB takes literally: it treats every path as a pattern."""
    return "".join(f"[{char}]" if char in "[*?" else char for char in str(path))


def parquet_scan(source: str, columns: Iterable[Column]) -> str:
    """A `read_parquet` that gives exactly `columns`: matched by name, cast, null where a file lacks one.

    Args:
        source: The files, as an SQL expression.
        columns: What to read; other columns of the files are not touched.

    An explicit `schema` spares DuckDB what `union_by_name` needs, the footer of every file before the query begins;
    and `hive_partitioning` is off because the partition column is also inside the files.
    """
    fields = ", ".join(
        f"{literal(column.name)}: {{name: {literal(column.name)}, type: {literal(column.type)}, default_value: NULL}}"
        for column in columns
    )
    return f"read_parquet({source}, hive_partitioning = false, schema = MAP {{{fields}}})"


def view_sql(view: View) -> str:
    """The query that a view stands for."""
    if isinstance(view, SqlView):
        return view.sql
    files = f"{exact_path(view.root.absolute())}/{exact_path(view.partition_column)}=*/*.parquet"
    return f"FROM {parquet_scan(literal(files), view.columns)}"


def ensure_schema_file(root: Path, partition_column: str, schema: pl.Schema) -> Path:
    """Keep one empty Parquet file with the table's schema in a lake folder, so that a view over it can always be made.

    It lies in the partition that Hive, Spark, DuckDB and Polars all read as "no value": a plain file in `root` would
    break every reader that asks for Hive partitions. It is written anew only when the schema changed.

    Returns:
        The file.
    """
    path = root / f"{partition_column}={SCHEMA_FOLDER}" / "schema.parquet"
    if path.exists() and pl.scan_parquet(path, glob=False).collect_schema() == schema:
        return path
    replace_file(path, schema.to_frame())
    return path
