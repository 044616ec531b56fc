"""How a snapshot mart becomes an asset, and how what is out of date is asked for (docs/adr/0017).

A partition is the mart as of the end of its day. History is read from the lake: a declared mapping to all days before
would make Dagster take all of them for its inputs, in every backfill.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl

from retail_platform.components.checks import conclude, rule_check
from retail_platform.components.days import contract_metadata, daily_asset, days_of, stored
from retail_platform.components.tables import UNIQUE_KEY, table_results
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import FACT_SALES
from retail_platform.contracts.snapshot_names import NEWEST_ONLY, SNAPSHOT_DATE
from retail_platform.lake.io_manager import WrittenDays
from retail_platform.lake.snapshots import SnapshotShelf
from retail_platform.platform import Platform
from retail_platform.serving.duckdb import calendar_days, published_dimension
from retail_platform.transforms.dimensions import CUSTOMER, PRODUCT, Dimension
from retail_platform.transforms.snapshots import lines_seen

_MOST_ROWS = 4_000_000
"""Lines of history that are looked at together: a range of many days is computed in parts of no more than these."""

_LINES = (
    *("source_system", "order_id", "order_date", "customer_key", "customer_id", "product_key", "product_id"),
    *("quantity", "total_amount", "restocking_fee", "status", "territory", "region"),
)


@dataclass(frozen=True)
class History:
    """What snapshots up to a day are computed from, read from the lake as it is needed, once for all marts of a run."""

    platform: Platform
    last: date

    @cached_property
    def lines(self) -> pl.DataFrame:
        """Lines of fact_sales."""
        facts = self.platform.table(["gold", FACT_SALES.name])
        # In one piece: all that follows takes ten times as long on rows in as many pieces as there are days.
        return facts.scan(day for day in facts.days() if day <= self.last).select(_LINES).collect().rechunk()

    @cached_property
    def customers(self) -> nw.LazyFrame:
        """The published dim_customer."""
        return self._dimension(CUSTOMER)

    @cached_property
    def products(self) -> nw.LazyFrame:
        """The published dim_product."""
        return self._dimension(PRODUCT)

    @cached_property
    def days(self) -> nw.LazyFrame:
        """dim_date, with all periods of the past whole."""
        first = self.lines.select(pl.col("order_date").min()).item() or self.last
        days = calendar_days(self.platform, date(first.year - 1, 1, 1), date(self.last.year + 1, 12, 31))
        return nw.from_native(days.lazy())

    def _dimension(self, dimension: Dimension) -> nw.LazyFrame:
        contract = dimension.published
        named = {name: contract.schema[name] for name in (dimension.key, "source_system", dimension.natural_key)}
        return nw.from_native(published_dimension(self.platform, dimension, pl.DataFrame(schema=named)).lazy())


@lru_cache(maxsize=1)
def _history(platform: Platform, last: date, signature: str) -> History:  # noqa: ARG001
    """The history up to a day, for as long as the lake is as its signature says."""
    return History(platform, last)


@dataclass(frozen=True)
class Past:
    """What a mart's rows are computed from: the lines that each snapshot sees, and the history that holds for all."""

    lines: nw.LazyFrame
    history: History

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.history.platform


Take = Callable[[Past], nw.LazyFrame]
"""Gives a mart's rows for the snapshots of a past."""


def shelf(platform: Platform) -> SnapshotShelf:
    """The snapshots of a platform."""
    return SnapshotShelf(lake_dir=platform.settings.lake_dir, thresholds=platform.settings.snapshot_thresholds)


def snapshot_asset(contract: Contract, take: Take, *, start: date, lineage: dict[str, Any]) -> dg.AssetsDefinition:
    """An asset that holds a snapshot mart.

    Args:
        contract: The table.
        take: What computes it.
        start: The first partition.
        lineage: The catalog's metadata of where its columns come from.
    """
    key = dg.AssetKey([contract.layer, contract.name])

    @daily_asset(
        key,
        start=start,
        group="marts",
        # Declared as of the same day alone; which other days are read is the shelf's to know.
        deps=[dg.AssetKey(["gold", name]) for name in contract.upstream],
        outs={
            "table": stored(
                key,
                description=f"{contract.description} As of the end of the partition's day, over all history up to it.",
                metadata=contract_metadata(contract) | lineage,
                kinds={"polars", "parquet", "duckdb"},
            )
        },
        checks=[UNIQUE_KEY, *map(rule_check, contract.rules)],
    )
    def snapshot(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        days = days_of(context)
        # Before anything is read: what changes from now on makes the snapshot out of date.
        inputs = shelf(platform).look()
        history = _history(platform, days[-1], inputs.signature(days[-1]))
        rows = take_snapshots(history, contract, take, days)
        notes = {day: inputs.signature(day) for day in days}
        yield dg.Output(WrittenDays(frame=contract.validate(rows), days=days, notes=notes), output_name="table")
        yield from conclude(context, platform, list(table_results(contract, key, rows, days, contract.key)))

    return snapshot


def take_snapshots(history: History, contract: Contract, take: Take, days: Sequence[date]) -> pl.DataFrame:
    """A mart's rows for these days, each as of its own end, sorted; of a `NEWEST_ONLY` mart only the last day's."""
    days = days[-1:] if contract.name in NEWEST_ONLY else days
    lines = nw.from_native(history.lines.lazy())
    at_once = max(1, _MOST_ROWS // max(len(history.lines), 1))
    parts = [contract.schema.to_frame()]
    for start in range(0, len(days), at_once):
        some = pl.LazyFrame({SNAPSHOT_DATE: days[start : start + at_once]}, schema={SNAPSHOT_DATE: pl.Date})
        past = Past(lines_seen(lines, nw.from_native(some)), history)
        parts.append(contract.cast(take(past)).collect().to_native())
    return pl.concat(parts).sort(SNAPSHOT_DATE, *contract.key, nulls_last=True)
