"""`retail query`: ask the warehouse, read-only."""

import duckdb
import polars as pl
import polars.selectors as cs
from rich.console import Console

from retail_platform.commands.console import UserError, print_table
from retail_platform.lake.warehouse import Warehouse, WarehouseError
from retail_platform.settings import current_settings


def query(out: Console, sql: str, form: str) -> None:
    """Print the answer to a query as a table, CSV or JSON (one object per row).

    Raises:
        UserError: the query is wrong, or nothing was published yet.
    """
    try:
        con = Warehouse(current_settings().warehouse_dir).connect()
    except WarehouseError as error:
        raise UserError(str(error)) from error
    with con:
        try:
            answer = con.sql(sql)
            if answer is None:
                raise UserError("That is no query: it has no answer.")
            if form == "table":
                print_table(out, answer.columns, answer.fetchall())
                return
            frame = answer.pl()
        except duckdb.Error as error:  # some mistakes show only when rows are read
            raise UserError(str(error)) from error
    if form == "csv":
        out.file.write(frame.write_csv())
    else:
        # JSON has numbers, not decimals; as text they could not be added up by whoever reads them.
        out.file.write(frame.cast({cs.decimal(): pl.Float64}).write_json() + "\n")
