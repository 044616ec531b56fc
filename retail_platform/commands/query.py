"""`retail query`: ask the warehouse, read-only."""

import duckdb
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
        except duckdb.Error as error:
            raise UserError(str(error)) from error
        if answer is None:
            raise UserError("That is no query: it has no answer.")
        if form == "table":
            print_table(out, answer.columns, answer.fetchall())
            return
        frame = answer.pl()
    text = frame.write_csv() if form == "csv" else frame.write_json() + "\n"
    out.file.write(text)
