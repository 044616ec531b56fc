"""The IO manager: assets in and out of the lake, for one day or a range of days in one run.

What an asset returns is split by its partition column and written day by day; what it asks for is one frame over
exactly the days of its run. Stock IO managers refuse ranges, write in place and lock readers out (docs/adr/0004).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
from dagster._core.storage.db_io_manager import TableSlice
from dagster_duckdb_pandas import DuckDBPandasTypeHandler

from retail_platform.instance.output_days import describe_output_days, narrow_output_days
from retail_platform.lake.parquet import FileRows, LakeTable

_LINEAGE = "dagster/column_lineage"

Frame = pl.DataFrame | pl.LazyFrame | nw.DataFrame[Any] | nw.LazyFrame | pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class WrittenDays:
    """An output that replaces only some days of its run: the others keep what they hold, and are not reported.

    Attributes:
        frame: The rows; those of other days are left out.
        days: The days to replace.
        notes: What to note in the files of these days.
    """

    frame: pl.DataFrame
    days: list[date]
    notes: Mapping[date, str] | None = None


class LakeIOManager(dg.IOManager):
    """Stores assets in the lake, and loads them from it.

    Args:
        table_of: The lake table of an asset key's path.
    """

    def __init__(self, table_of: Callable[[Sequence[str]], LakeTable]) -> None:
        self._table_of = table_of

    def handle_output(self, context: dg.OutputContext, obj: Frame | WrittenDays | Iterator[FileRows] | None) -> None:
        """Write an asset's rows. Accepts frames of Polars, Narwhals and pandas, and batches of files."""
        if obj is None:
            return
        table = self._table_of(context.asset_key.path)
        days = [date.fromisoformat(key) for key in context.asset_partition_keys]
        written = days
        match obj:
            case WrittenDays():
                written = obj.days
                table.write_days(
                    obj.frame.filter(pl.col(table.partition_column).is_in(written)), written, notes=obj.notes
                )
            case pl.DataFrame() | pl.LazyFrame() | nw.DataFrame() | nw.LazyFrame() | pd.DataFrame():
                table.write_days(_only(_declared(_eager(obj), table), table, days), days)
            case _:
                for batch in obj:
                    table.write_files(batch)
        counts = table.row_counts(written)
        described: dict[str, dict[str, Any]] = {
            str(day): {"dagster/partition_row_count": rows} for day, rows in counts.items()
        }
        if described and (lineage := context.definition_metadata.get(_LINEAGE)):
            # The catalog shows that of the newest materialization; on every day of a range it would fill the event log.
            described[max(described)][_LINEAGE] = lineage
        describe_output_days(context, described)
        context.add_output_metadata({"dagster/row_count": sum(counts.values()), "path": str(table.root)})
        narrow_output_days(context, [str(day) for day in written])

    def load_input(self, context: dg.InputContext) -> Frame:
        """One frame over exactly the days asked for, of the kind the parameter is annotated with.

        The annotation may be `pl.LazyFrame` (the default), `pl.DataFrame`, `nw.LazyFrame` or `pd.DataFrame`.
        """
        table = self._table_of(context.asset_key.path)
        days = None
        if context.has_asset_partitions:
            days = [date.fromisoformat(key) for key in context.asset_partition_keys]
        wanted = context.dagster_type.typing_type
        if wanted is pd.DataFrame:
            return self._load_pandas(context, table, days)
        frame = table.scan(days)
        if wanted is pl.DataFrame:
            return frame.collect()
        return nw.from_native(frame) if wanted is nw.LazyFrame else frame

    def _load_pandas(self, context: dg.InputContext, table: LakeTable, days: list[date] | None) -> pd.DataFrame:
        """Through Dagster's own handler, over a connection that shows it the lake's files as one table."""
        *schema, name = context.asset_key.path
        with duckdb.connect() as con:
            con.sql(f'CREATE SCHEMA "{"_".join(schema)}"')
            con.register("rows", table.scan(days).collect().to_arrow())
            con.sql(f'CREATE VIEW "{"_".join(schema)}"."{name}" AS FROM rows')
            whole = TableSlice(table=f'"{name}"', schema=f'"{"_".join(schema)}"')
            return DuckDBPandasTypeHandler().load_input(context, whole, con)


def _eager(frame: Frame) -> pl.DataFrame:
    match frame:
        case nw.DataFrame() | nw.LazyFrame():
            return _eager(frame.to_native())
        case pl.LazyFrame():
            return frame.collect()
        case pd.DataFrame():
            return pl.from_pandas(frame)
        case _:
            return frame


def _declared(frame: pl.DataFrame, table: LakeTable) -> pl.DataFrame:
    """The table's own types: pandas has no dates, and a day that is a timestamp would find no file."""
    return frame.cast({name: dtype for name, dtype in table.schema.items() if name in frame.columns})


def _only(frame: pl.DataFrame, table: LakeTable, days: list[date]) -> pl.DataFrame:
    """Refuse rows of other days: they would be lost, or overwrite a day that nobody asked for."""
    strays = frame.filter(~pl.col(table.partition_column).is_in(days) | pl.col(table.partition_column).is_null())
    if strays.height:
        found: Mapping[str, Any] = strays.row(0, named=True)
        raise ValueError(
            f"{table.root.name}: {strays.height:,} rows are of other days than this run's, for example "
            f"{table.partition_column} = {found[table.partition_column]}: an asset returns rows of its own days only."
        )
    return frame
