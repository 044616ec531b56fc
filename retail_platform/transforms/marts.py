"""Marts: answers computed from facts."""

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.marts import DAILY_SALES, PAYMENT_SUMMARY
from retail_platform.transforms.facts import gross, known, net_units, refunded
from retail_platform.transforms.money import to_cents

_GRAIN = ["order_date", "source_system", "territory", "status"]


def daily_sales(sales: nw.LazyFrame) -> nw.LazyFrame:
    """A day's sales by source, territory and status (contract `daily_sales`), from `fact_sales`."""
    amount = nw.col("total_amount")
    lines = sales.with_columns(
        gross(amount).alias("gross"),
        refunded(amount).alias("refunds"),
        net_units().alias("units"),
        nw.when(amount > 0).then(nw.col("order_id")).alias("sold_order"),
        nw.when(nw.col("customer_key") != UNKNOWN_KEY).then(nw.col("customer_key")).alias("known_customer"),
    )
    days = lines.group_by(_GRAIN).agg(
        nw.col("order_id").n_unique().alias("orders"),
        nw.col("units").sum(),
        nw.col("gross").sum(),
        nw.col("refunds").sum(),
        nw.col("restocking_fee").sum().alias("fees"),
        known(nw.col("known_customer")).alias("customers"),
        known(nw.col("sold_order")).alias("sold_orders"),
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


def payment_summary(payments: nw.LazyFrame) -> nw.LazyFrame:
    """A day's payments by source, method and status (contract `payment_summary`), from `fact_payments`."""
    grain = ["payment_date", "source_system", "payment_method", "status"]
    return PAYMENT_SUMMARY.cast(
        payments.group_by(grain).agg(
            nw.len().alias("payments"),
            known(nw.col("order_key")).alias("orders"),
            nw.col("amount").sum(),
            nw.col("installments").sum(),
        )
    )
