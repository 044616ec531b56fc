"""What the platform must end with, once it has loaded a generated shop's files: all of them, in any order.

It follows from what is known of each delivery when it is made up; no text is read, no rule is judged. Of the
deliveries of a row that has a key, the last one counts (ADR 1). Amounts are as in silver.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from retail_platform.generator.dirt import DROP_DATE, KIND, KINDS, OWN_DATE, ROW, Kind
from retail_platform.generator.shop import GeneratedShop

QUARANTINED = pl.Schema({"partition_date": pl.Date(), "reason": pl.String(), "rows": pl.Int64()})

PRICE = pl.Decimal(18, 4)
AMOUNT = pl.Decimal(18, 2)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What one feed's files must become.

    Attributes:
        silver: The rows of the silver table: the columns that the feed gives (and `unit_price`, `total_amount` of
            orders), in the order of their true rows.
        quarantined: Rows set aside: `partition_date`, `reason`, `rows`, sorted.
        superseded: How many rows have a later version.
    """

    silver: pl.DataFrame
    quarantined: pl.DataFrame
    superseded: int


def truth_of(shop: GeneratedShop) -> Mapping[str, Truth]:
    """The truth of each feed."""
    return {feed: _truth(shop, feed) for feed in shop.true}


def _truth(shop: GeneratedShop, feed: str) -> Truth:
    deliveries = _with_repeated_files(shop, feed).join(_facts(KINDS[feed]), on=KIND, how="left", nulls_equal=True)
    named = deliveries.filter(~pl.col("is_nameless"))
    counting = named.unique(ROW, keep="last", maintain_order=True).sort(ROW)
    good = counting.filter(pl.col("breaks").is_null())
    bad = pl.concat([counting.filter(pl.col("breaks").is_not_null()), deliveries.filter("is_nameless")])
    filed = pl.when("is_undated").then(DROP_DATE).otherwise(OWN_DATE)
    quarantined = bad.group_by(filed.alias("partition_date"), pl.col("breaks").alias("reason")).agg(
        pl.len().cast(pl.Int64).alias("rows")
    )
    true = shop.true[feed][good[ROW]].with_columns(good[KIND])
    meant = [
        pl.when(pl.col(KIND) == kind.name).then(value).otherwise(column).alias(column)
        for kind in KINDS[feed]
        for column, value in kind.means.items()
    ]
    return Truth(
        silver=_in_money(true.with_columns(meant).drop(KIND), feed),
        quarantined=quarantined.sort("partition_date", "reason").match_to_schema(QUARANTINED),
        superseded=named.height - counting.height,
    )


def _with_repeated_files(shop: GeneratedShop, feed: str) -> pl.DataFrame:
    """Every delivery of a row, also by a second copy of its file: that has the same drop date, and the later name."""
    rows = shop.delivered[feed].select(ROW, KIND, OWN_DATE, DROP_DATE)
    days = [day for (name, day), kind in shop.odd_files.items() if name == feed and kind.is_repeated]
    repeated = rows.filter(pl.col(DROP_DATE).is_in(days))
    return pl.concat([rows, repeated]).sort(DROP_DATE, maintain_order=True)


def _facts(kinds: tuple[Kind, ...]) -> pl.DataFrame:
    facts = [(None, None, False, False), *((one.name, one.breaks, one.is_undated, one.is_nameless) for one in kinds)]
    schema = {KIND: pl.String, "breaks": pl.String, "is_undated": pl.Boolean, "is_nameless": pl.Boolean}
    return pl.DataFrame(facts, schema=schema, orient="row")


def _in_money(rows: pl.DataFrame, feed: str) -> pl.DataFrame:
    """Cents as the amounts that the silver table has."""
    cents = pl.col("cents")
    amounts = {
        "customers": (),
        "products": (_money(cents, PRICE).alias("list_price"),),
        "orders": (
            _money(cents, PRICE).alias("unit_price"),
            _money(cents * pl.col("quantity"), AMOUNT).alias("total_amount"),
        ),
        "payments": (_money(cents, AMOUNT).alias("amount"),),
    }
    return rows.with_columns(amounts[feed]).drop("cents", strict=False)


def _money(cents: pl.Expr, dtype: pl.Decimal) -> pl.Expr:
    return (cents.cast(pl.Decimal(18, 4)) * pl.lit("0.01").cast(pl.Decimal(18, 2))).cast(dtype)
