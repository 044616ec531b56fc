"""The `retail` command; heavy libraries are imported only by the commands that need them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# Imports inside functions: Dagster and pandera take seconds, and `retail status` should not.
# ruff: noqa: PLC0415

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The retail data platform.", rich_markup_mode=None)
drops_app = typer.Typer(invoke_without_command=True, help="The files that have arrived, and what became of them.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that were set aside, and why.")
app.add_typer(drops_app, name="drops")
app.add_typer(quarantine_app, name="quarantine")

# Wide enough for any table: a narrow terminal may break its lines, but no number is cut short.
out = Console(soft_wrap=True, width=10_000)
err = Console(stderr=True, soft_wrap=True)

_DAY = ["%Y-%m-%d"]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.")]
From = Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First day, YYYY-MM-DD.")]
To = Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last day, YYYY-MM-DD.")]
Port = Annotated[int, typer.Option(help="The webserver's port.")]


class Format(StrEnum):
    """How a query's answer is printed."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def init() -> None:
    """Make the data folder, with a landing folder for every feed."""
    from retail_platform.commands.up import init as run

    with _told_errors():
        run(out)


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Where to listen; Dagster asks nobody for a password.")] = "127.0.0.1",
    port: Port = 3000,
) -> None:
    """Run Dagster, its sensors on, until Ctrl-C: what arrives in landing is loaded."""
    from retail_platform.commands.up import up as run

    with _told_errors():
        sys.exit(run(out, host=host, port=port))


@app.command()
def demo(
    port: Port = 3000,
    days: Annotated[int, typer.Option(help="How many days the shop has been open.")] = 90,
    headless: Annotated[bool, typer.Option("--headless", help="End when all is loaded.")] = False,  # noqa: FBT002
) -> None:
    """Make up a shop, run Dagster, and let its sensors load it all."""
    from retail_platform.commands.up import demo as run

    with _told_errors():
        sys.exit(run(out, port=port, days=days, headless=headless))


@app.command()
def load(source: Source = None, first: From = None, last: To = None) -> None:
    """Take everything new in landing through to the warehouse.

    Exits with 1 if anything was left undone: a file that could not be read or is held, a blocked day, a failed run.
    """
    from retail_platform.commands.load import load as run

    with _told_errors():
        sys.exit(run(out, err, source=source, first=_day(first), last=_day(last)))


@app.command()
def status() -> None:
    """Show what has arrived, what waits, and what needs a look."""
    from retail_platform.commands.look import status as run

    with _told_errors():
        sys.exit(run(out))


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="A query on the warehouse, read-only.")],
    output: Annotated[Format, typer.Option("--format", help="How the answer is printed.")] = Format.table,
) -> None:
    """Ask the warehouse."""
    from retail_platform.commands.query import query as run

    with _told_errors():
        run(out, sql, output.value)


@drops_app.callback()
def drops(
    context: typer.Context,
    source: Source = None,
    state: Annotated[str | None, typer.Option("--status", help="pending, loaded, replaced, held or rejected.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the latest first.")] = 50,
) -> None:
    """List drops."""
    if context.invoked_subcommand is None:
        from retail_platform.commands.look import drops as run

        with _told_errors():
            run(out, source=source, status=state, limit=limit)


@drops_app.command()
def accept(drop: Annotated[list[str], typer.Argument(help="The drops' ids, as `retail drops` shows them.")]) -> None:
    """Let held drops through; the next load takes them."""
    from retail_platform.commands.look import accept as run

    with _told_errors():
        run(out, drop)


@quarantine_app.command("list")
def quarantine_list(source: Source = None, first: From = None, last: To = None) -> None:
    """Count quarantined rows by source, entity, day and reason."""
    from retail_platform.commands.quarantine import list_reasons as run

    with _told_errors():
        run(out, source=source, first=_day(first), last=_day(last))


@quarantine_app.command("show")
def quarantine_show(
    source: Annotated[str, typer.Argument(help="The source.")],
    entity: Annotated[str, typer.Argument(help="customers, products, orders or payments.")],
    first: From = None,
    last: To = None,
    reason: Annotated[str | None, typer.Option(help="Only rows with this reason.")] = None,
    limit: Annotated[int, typer.Option(help="How many rows.")] = 20,
) -> None:
    """Show quarantined rows: file, row, column, value, what is wrong, and what to do."""
    from retail_platform.commands.quarantine import show_rows as run

    with _told_errors():
        run(out, source, entity, first=_day(first), last=_day(last), reason=reason, limit=limit)


@app.command()
def generate(
    days: Annotated[int, typer.Option(help="How many days the shop is open.")] = 90,
    orders_per_day: Annotated[int, typer.Option(help="On average.")] = 40,
    start: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="First day; the last is yesterday if not said.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses the shop; the same for the same seed.")] = 1,
    dirt: Annotated[float, typer.Option(help="Share of rows that are late, twice, wrong or odd.")] = 0.02,
    folder: Annotated[Path | None, typer.Option("--out", help="Instead of storefront's landing folder.")] = None,
) -> None:
    """Make up a realistic, dirty shop, and deliver its files."""
    from retail_platform.commands.generate import generate as run

    with _told_errors():
        run(out, days=days, orders_per_day=orders_per_day, start=_day(start), seed=seed, dirt=dirt, folder=folder)


@app.command("new-source")
def new_source(
    name: Annotated[str, typer.Argument(help="Of the source: small letters, digits and _.")],
    files: Annotated[list[Path], typer.Argument(help="Sample files, a few of each kind.")],
    folder: Annotated[Path | None, typer.Option("--out", help="Instead of the folder of the bundled sources.")] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the defs.yaml, and write nothing.")] = False,  # noqa: FBT002
) -> None:
    """Look at sample files of a shop, and write a defs.yaml with what can be guessed."""
    from retail_platform.commands.new_source import new_source as run

    with _told_errors():
        run(out, err, name, files, folder=folder, is_printed=show)


@app.command("rebuild-warehouse")
def rebuild_warehouse() -> None:
    """Make the DuckDB warehouse again from the lake's Parquet files."""
    from retail_platform.commands.load import rebuild as run

    with _told_errors():
        run(out)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


@contextmanager
def _told_errors() -> Iterator[None]:
    """Mistakes of the user's are told in a sentence; anything else is ours, and shows its traceback."""
    from retail_platform.commands.console import UserError
    from retail_platform.settings import SettingsError
    from retail_platform.source_catalog import DeclarationError

    started = time.monotonic()
    try:
        yield
    except (DeclarationError, SettingsError, UserError) as error:
        err.print(str(error), style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print(
            f"Interrupted after {time.monotonic() - started:.0f} s. What was finished stays; load again to go on."
        )
        sys.exit(130)


if __name__ == "__main__":
    app()
