"""From a source's own columns to ours: text cleaned, mapped, typed; nothing judged yet."""

from collections.abc import Mapping
from dataclasses import dataclass

import narwhals as nw

from retail_platform.contracts.rules import PARTITION_DATE, UNREADABLE
from retail_platform.engines.engine import Engine, Reading
from retail_platform.source_spec import HEADER, ColumnSpec, DecimalMark, EntitySpec, SourceSpec
from retail_platform.transforms.money import to_cents
from retail_platform.transforms.values import COMPUTED, NUMBER, value_of

RAW = "raw."
"""Prefix of a feed's own columns, so that they never collide with ours."""

_TEXT = "text."


@dataclass(frozen=True, kw_only=True)
class Staging:
    """How one entity of one source is staged.

    Attributes:
        source: The source's name.
        spec: The source's declaration.
        entity: The entity's declaration.
        types: Our columns and their types, from the entity's contract.
    """

    source: str
    spec: SourceSpec
    entity: EntitySpec
    types: Mapping[str, nw.dtypes.DType]

    def reading(self, column: str, how: ColumnSpec) -> Reading | None:
        """How the column's text is read, or None where it stays text."""
        dtype = self.types[column]
        if dtype == nw.String():
            return None
        is_of_header = self.entity.header is not None and next(how.origins(), "").startswith(f"{HEADER}.")
        feed = self.entity.header.feed if self.entity.header and is_of_header else self.entity.feed
        date = self.spec.feeds[feed].date
        formats = how.formats or (date.formats if date else ("%Y-%m-%d",))
        # What is computed is written as we write numbers.
        decimal = None if list(how.operands()) else how.decimal or self.decimal(how)
        return Reading(dtype=dtype, formats=formats, timezone=self.spec.timezone, decimal=decimal)

    def decimal(self, how: ColumnSpec) -> DecimalMark | None:
        """The decimal mark of the feed that the column's text comes from."""
        return self._mark_of(next(how.origins(), ""))

    def operands(self) -> dict[str, Reading]:
        """How the columns that are computed with are read, by name."""
        return {
            name: Reading(dtype=COMPUTED, decimal=how.decimal or self._mark_of(name))
            for how in self.entity.columns.values()
            for name in how.operands()
        }

    def _mark_of(self, column: str) -> DecimalMark | None:
        if self.entity.hook is not None and column in self.entity.hook.adds:
            return None
        alias = column.partition(".")[0]
        lookup = self.entity.header if alias == HEADER else self.entity.lookups.get(alias)
        return self.spec.feeds[lookup.feed if lookup else self.entity.feed].decimal


def stage(rows: nw.LazyFrame, staging: Staging, engine: Engine) -> nw.LazyFrame:
    """Give rows our columns.

    Args:
        rows: Bronze rows, with the feed's columns prefixed `raw.` and looked up ones named `raw.lookup.column`.
        staging: The declaration.
        engine: What runs it.

    Returns:
        The rows with the entity's declared columns typed, and `_unreadable`: the columns whose text could not be read.
    """
    columns = staging.entity.columns
    operands = {NUMBER + RAW + name: how for name, how in staging.operands().items()}
    rows = rows.with_columns(nw.col(name.removeprefix(NUMBER)).str.strip_chars().alias(name) for name in operands)
    rows = engine.parse(rows, operands)
    readings = {name: how for name, spec in columns.items() if (how := staging.reading(name, spec))}
    rows = rows.with_columns(value_of(spec, prefix=RAW).alias(name) for name, spec in columns.items())
    rows = rows.with_columns(nw.col(name).alias(_TEXT + name) for name in readings)
    rows = engine.parse(rows, readings)
    lost = [
        nw.when(nw.col(name).is_null() & ~nw.col(_TEXT + name).is_null()).then(nw.lit(f"|{name}|")) for name in readings
    ]
    rows = rows.with_columns(
        (nw.concat_str(lost, ignore_nulls=True) if lost else nw.lit("")).alias(UNREADABLE),
        nw.lit(staging.source).alias("source_system"),
    )
    return rows.drop([*operands, *(_TEXT + name for name in readings)])


def complete_orders(rows: nw.LazyFrame, *, currency: str) -> nw.LazyFrame:
    """Fill what order lines leave unsaid: a missing status is Completed, the amount follows from quantity and price."""
    names = rows.collect_schema().names()
    discount = nw.col("discount_amount").fill_null(0) if "discount_amount" in names else nw.lit(0)
    computed = to_cents(nw.col("quantity") * nw.col("unit_price") - discount)
    given = nw.col("total_amount") if "total_amount" in names else None
    # Text that cannot be read as an amount is a mistake to show, not a gap to fill.
    illegible = nw.col(UNREADABLE).str.contains("|total_amount|", literal=True)
    total = computed if given is None else nw.when(~illegible).then(nw.coalesce(given, computed))
    return complete_headers(rows.with_columns(total.alias("total_amount")), currency=currency)


def complete_headers(rows: nw.LazyFrame, *, currency: str) -> nw.LazyFrame:
    """Fill what orders leave unsaid: a missing status is Completed."""
    names = rows.collect_schema().names()
    status = nw.col("status") if "status" in names else nw.lit(None).cast(nw.String())
    return rows.with_columns(status.fill_null("Completed").alias("status"), nw.lit(currency).alias("currency"))


def look_up(rows: nw.LazyFrame, prices: nw.LazyFrame, *, by: ColumnSpec, alias: str) -> nw.LazyFrame:
    """Add a lookup feed's columns, as valid on the row's day.

    Args:
        rows: Rows with `partition_date` and the feed's columns, prefixed `raw.`.
        prices: One row per key and interval: `lookup_key`, `valid_from`, `valid_to` (exclusive), and the columns taken.
            The intervals of a key cover all days (see `validity`).
        by: What the key is made of.
        alias: The lookup's name; its columns become `raw.<alias>.<column>`.
    """
    taken = [name for name in prices.collect_schema().names() if name not in {"lookup_key", "valid_from", "valid_to"}]
    prices = prices.rename({name: f"{RAW}{alias}.{name}" for name in taken})
    day = nw.col(PARTITION_DATE)
    return (
        rows.with_columns(value_of(by, prefix=RAW).alias("lookup_key"))
        .join(prices, on="lookup_key", how="left")
        .filter(nw.col("valid_from").is_null() | ((nw.col("valid_from") <= day) & (day < nw.col("valid_to"))))
        .drop(["lookup_key", "valid_from", "valid_to"])
    )
