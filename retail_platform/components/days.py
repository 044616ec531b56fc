"""What all assets share: daily partitions, the days of a run, pools, and the catalog's words for a table."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from retail_platform.components.checks import DayCheck
from retail_platform.contracts.contract import Contract
from retail_platform.landing.planning import spoken
from retail_platform.serving.duckdb import duckdb_type

Job = dg.JobDefinition | UnresolvedAssetJobDefinition

OWNER = "team:retail-data"
"""Who answers for our tables, as the catalog shows it."""

IO_MANAGER = "io_manager"
PLATFORM = "platform"

SOURCE = "retail/source"
"""Run tag: the source whose days are loaded."""
DAYS = "retail/days"
"""Run tag: the days, in words."""
DROPS = "retail/drops"
"""Run tag: the files whose arrival made the run necessary, in words."""
SCANNED = "retail/scanned"
"""Run tag: landing was looked at before the run was started."""
FINISHES = "retail/finishes"
"""Run tag: the sources (joined by commas) whose days this run takes all the way to the warehouse."""
TICKET = "retail/ticket"
"""Run tag: the newest ticket of the ledger when the run was asked for; later ones are not finished by it."""


WAREHOUSE = dg.AssetKey(["serving", "duckdb"])
"""The DuckDB warehouse, last in every job."""

PUBLISH = "publish"
"""The job that brings the warehouse up to date, and computes nothing."""


def job_name(source: str) -> str:
    """The job that takes a source's days to the warehouse."""
    return f"load_{source}"


def ticket_tag(source: str) -> str:
    """Run tag, where the run itself looked at a source's landing folder: the newest ticket when it had."""
    return f"{TICKET}_of_{source}"


def scan_job_name(source: str) -> str:
    """The job that takes a source's new files into the ledger."""
    return f"scan_{source}"


def daily(start: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions from `start` to today."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days of a run, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def describe_run(context: dg.AssetExecutionContext, source: str) -> None:
    """Tag a run that somebody else asked for (the UI, a backfill) with source and days, as a sensor's run is."""
    if DAYS in context.run.tags:
        return
    # As it is now: another source's step may have added its name.
    run = context.instance.get_run_by_id(context.run.run_id)
    sources = set(filter(None, run.tags.get(SOURCE, "").split(","))) if run else set()
    if run and source not in sources:
        days = days_of(context)
        tags = {SOURCE: ",".join(sorted({*sources, source})), DAYS: spoken((days[0], days[-1]))}
        context.instance.add_run_tags(run.run_id, tags)


def pool(key: Sequence[str]) -> str:
    """The pool of a table: it has one slot, so that no two runs write the table at once."""
    return "/".join(key)


def table_metadata(
    schema: Mapping[str, pl.DataType], descriptions: Mapping[str, str], partition: str
) -> dict[str, Any]:
    """The catalog's metadata of a table: its column schema and its partition column."""
    columns = [
        dg.TableColumn(name=name, type=duckdb_type(dtype), description=descriptions.get(name))
        for name, dtype in schema.items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns), "partition_expr": partition}


def contract_metadata(contract: Contract) -> dict[str, Any]:
    """The catalog's metadata of a table with a contract; what names or reaches a person is marked."""
    descriptions = {
        name: text + (" (personal data)" if name in contract.pii else "")
        for name, text in contract.descriptions.items()
    }
    return table_metadata(contract.schema, descriptions, contract.partition_column)


def daily_asset(
    key: dg.AssetKey,
    *,
    start: date,
    group: str,
    outs: Mapping[str, dg.AssetOut],
    checks: Iterable[DayCheck],
    ins: Mapping[str, dg.AssetIn] | None = None,
    deps: Iterable[dg.AssetKey] = (),
    also_checked: Mapping[dg.AssetKey, Iterable[DayCheck]] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a function that computes days of a table; every asset of ours is made by this.

    It has daily partitions from `start`, computes a range of them in one run, has a pool of its own, so that no two
    runs write the table at once, and its checks have a result per day.

    Args:
        key: The table; the checks and the pool are its.
        start: The first partition.
        group: The asset group.
        outs: What the function yields, by output name.
        checks: The checks of `key`.
        ins: What is loaded for the function, by parameter.
        deps: What must be there before, and is not loaded.
        also_checked: The checks of its other outputs.
    """
    partitions = daily(start)
    checked = {key: checks} | dict(also_checked or {})
    return dg.multi_asset(
        name="_".join(key.path),
        ins=ins,
        deps=list(deps),
        outs=outs,
        partitions_def=partitions,
        group_name=group,
        pool=pool(key.path),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[check.spec(asset, partitions) for asset, some in checked.items() for check in some],
    )


def stored(
    key: dg.AssetKey, *, description: str, kinds: Collection[str], metadata: Mapping[str, Any] | None = None
) -> dg.AssetOut:
    """An output that the lake's IO manager takes care of."""
    return dg.AssetOut(
        key=key,
        description=description,
        metadata=metadata,
        io_manager_key=IO_MANAGER,
        kinds=set(kinds),
        owners=[OWNER],
    )
