"""What all snapshot marts share: history as of the end of each snapshot's day, and what counts as a sale.

A range of snapshot days is computed in one pass: every row of history is there once for each snapshot that sees it, and
all that follows is grouped by `snapshot_date`. So a day of a range is equal to that day computed alone.
"""

from collections.abc import Mapping, Sequence

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE
from retail_platform.transforms.facts import gross, refunded
from retail_platform.transforms.money import NOTHING, to_cents

SOLD_STATUSES = ("Completed", "Open")
"""Order statuses whose positive amounts are sales."""

PER_SOURCE = [SNAPSHOT_DATE, "source_system"]


def lines_seen(sales: nw.LazyFrame, snapshots: nw.LazyFrame) -> nw.LazyFrame:
    """The lines that each snapshot sees.

    Args:
        sales: Lines of `fact_sales`, of all days up to the last snapshot.
        snapshots: The days, in a Date column `snapshot_date`.

    Returns:
        The lines with `snapshot_date`, and what counts: `sale` and `refund` (amounts, 0 where the line is none),
        `is_sale`, `sold_order` and `buyer` (null where the line is no sale; nobody known is no buyer).
    """
    amount = nw.col("total_amount")
    is_sale = (amount > 0) & nw.col("status").is_in(SOLD_STATUSES)
    lines = sales.with_columns(
        is_sale.alias("is_sale"),
        nw.when(is_sale).then(gross(amount)).otherwise(nw.lit(NOTHING)).alias("sale"),
        refunded(amount).alias("refund"),
        nw.when(is_sale).then(nw.col("order_id")).alias("sold_order"),
        nw.when(is_sale & (nw.col("customer_key") != UNKNOWN_KEY)).then(nw.col("customer_key")).alias("buyer"),
    )
    seen = nw.col("order_date") <= nw.col(SNAPSHOT_DATE)
    return snapshots.select(SNAPSHOT_DATE).join(lines, how="cross").filter(seen)


def with_as_of(rows: nw.LazyFrame, lines: nw.LazyFrame) -> nw.LazyFrame:
    """Add `as_of`: the newest day of facts of the row's source that its snapshot sees."""
    newest = lines.group_by(PER_SOURCE).agg(nw.col("order_date").max().alias("as_of"))
    return rows.join(newest, on=PER_SOURCE, how="left")


def described(
    rows: nw.LazyFrame, versions: nw.LazyFrame, *, key: str, day: str, take: Mapping[str, str]
) -> nw.LazyFrame:
    """Add what a dimension says of a member on a day; null where it says nothing. No row is lost or added.

    Args:
        rows: Rows with `key` and a Date column `day`.
        versions: The published dimension: no two versions of a member hold on one day. Where a source states validity
            itself, there may be days without any.
        key: The durable key.
        day: The column with the day.
        take: The dimension's column -> the name it gets.
    """
    offered = versions.select(
        key, nw.col("valid_from"), nw.col("valid_to"), *(nw.col(name).alias(new) for name, new in take.items())
    )
    holds = (nw.col("valid_from") <= nw.col(day)) & (nw.col(day) <= nw.col("valid_to"))
    held = rows.select(key, day).unique([key, day]).join(offered, on=key, how="inner").filter(holds)
    return rows.join(held.select(key, day, *take.values()), on=[key, day], how="left")


def share_of(name: str, within: Sequence[str]) -> nw.Expr:
    """A column's part of its sum within a group, from 0 to 1; 0 where the sum is."""
    value, whole = nw.col(name).cast(nw.Float64()), nw.col(name).sum().over(*within).cast(nw.Float64())
    return nw.when(whole != 0).then(value / whole).otherwise(nw.lit(0.0))


def dense_rank(name: str, within: Sequence[str]) -> nw.Expr:
    """The rank of a column within a group: 1 for the highest, equal values share one, none is left out."""
    return nw.col(name).rank("dense", descending=True).over(*within).cast(nw.Int64())


def average(total: str, number: str) -> nw.Expr:
    """An amount by a number, in cents; null where the number is 0."""
    # Null instead of zero: Polars divides before it looks at a condition. Six digits, so that cents are rounded once.
    divisor = nw.when(nw.col(number) > 0).then(nw.col(number))
    return to_cents(nw.col(total).cast(nw.Decimal(38, 6)) / divisor)
