"""How a table of gold or the marts becomes an asset: computed from frames, checked day by day."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl

from retail_platform.components.checks import DayCheck, conclude, rule_check
from retail_platform.components.days import contract_metadata, daily_asset, days_of, stored
from retail_platform.contracts.contract import Contract
from retail_platform.instance.day_checks import DayResult
from retail_platform.platform import Platform

UNIQUE_KEY = DayCheck(name="unique_key", says="No two rows of the day have the same key.")

Transform = Callable[[Platform, Mapping[str, nw.LazyFrame], list[date]], nw.LazyFrame]


def table_asset(
    contract: Contract,
    *,
    inputs: Mapping[str, dg.AssetKey],
    transform: Transform,
    start: date,
    group: str,
    unique: Sequence[str] = (),
    deps: Iterable[dg.AssetKey] = (),
    lineage: dict[str, Any] | None = None,
) -> dg.AssetsDefinition:
    """An asset that holds a table with a contract.

    Args:
        contract: The table.
        inputs: Asset keys by name; each is read for exactly the days of the run.
        transform: Gives the rows of these days from the inputs.
        start: The first partition.
        group: The asset group.
        unique: What no two rows of a day share; the contract's key when not given.
        deps: What must be there before, and is not loaded.
        lineage: The catalog's metadata of where its columns come from.
    """
    key = dg.AssetKey([contract.layer, contract.name])
    names = tuple(unique) or contract.key

    @daily_asset(
        key,
        start=start,
        group=group,
        ins={name: dg.AssetIn(key=asset) for name, asset in inputs.items()},
        deps=deps,
        outs={
            "table": stored(
                key,
                description=contract.description,
                metadata=contract_metadata(contract) | (lineage or {}),
                kinds={"polars", "parquet", "duckdb"},
            )
        },
        checks=[UNIQUE_KEY, *map(rule_check, contract.rules)],
    )
    def table(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], **frames: pl.LazyFrame
    ) -> Iterator[Any]:
        days = days_of(context)
        lazy = transform(platform, {name: nw.from_native(frame) for name, frame in frames.items()}, days)
        rows = contract.cast(lazy).collect().to_native().sort(contract.partition_column, *names, nulls_last=True)
        yield dg.Output(contract.validate(rows), output_name="table")
        yield from conclude(context, platform, list(table_results(contract, key, rows, days, names)))

    return table


def table_results(
    contract: Contract, key: dg.AssetKey, rows: pl.DataFrame, days: Sequence[date], names: Sequence[str]
) -> Iterator[DayResult]:
    """The results of a table's checks on each day: `UNIQUE_KEY`, and one for each rule."""
    day = contract.partition_column
    total = _per_day(rows, day)
    repeated = rows.filter(pl.struct(list(dict.fromkeys((day, *names)))).is_duplicated())
    yield from UNIQUE_KEY.results(key, days, failed=_per_day(repeated, day), total=total)
    for rule in contract.rules:
        broken = nw.from_native(rows).filter(rule.broken).to_native()
        yield from rule_check(rule).results(key, days, failed=_per_day(broken, day), total=total)


def _per_day(rows: pl.DataFrame, day: str) -> dict[date, int]:
    return dict(rows[day].value_counts().iter_rows())
