"""Marts: answers computed from facts."""

from decimal import Decimal

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.marts import DAILY_SALES
from retail_platform.transforms.money import to_cents

_GRAIN = ["order_date", "source_system", "territory", "status"]


def daily_sales(sales: nw.LazyFrame) -> nw.LazyFrame:
    """A day's sales by source, territory and status (contract `daily_sales`), from `fact_sales`."""
    amount = nw.col("total_amount")
    nothing = nw.lit(Decimal("0.00"))
    lines = sales.with_columns(
        nw.when(amount > 0).then(amount).otherwise(nothing).alias("gross"),
        nw.when(amount < 0).then(-amount).otherwise(nothing).alias("refunds"),
        nw.when(amount > 0).then(nw.col("order_id")).alias("sold_order"),
        nw.when(nw.col("customer_key") != UNKNOWN_KEY).then(nw.col("customer_key")).alias("known_customer"),
    )
    days = lines.group_by(_GRAIN).agg(
        nw.col("order_id").n_unique().alias("orders"),
        nw.col("quantity").sum().alias("units"),
        nw.col("gross").sum(),
        nw.col("refunds").sum(),
        nw.col("restocking_fee").sum().alias("fees"),
        (nw.col("known_customer").n_unique() - nw.col("known_customer").is_null().max().cast(nw.Int64())).alias(
            "customers"
        ),
        (nw.col("sold_order").n_unique() - nw.col("sold_order").is_null().max().cast(nw.Int64())).alias("sold_orders"),
    )
    # Null instead of zero: Polars divides before it looks at a condition. Six digits, so that cents are rounded once.
    sold_orders = nw.when(nw.col("sold_orders") > 0).then(nw.col("sold_orders"))
    average = nw.col("gross").cast(nw.Decimal(38, 6)) / sold_orders
    return DAILY_SALES.cast(
        days.with_columns(
            (nw.col("gross") - nw.col("refunds") + nw.col("fees")).alias("net"),
            to_cents(average).alias("average_order_value"),
        )
    )
