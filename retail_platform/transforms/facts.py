"""Facts: order lines with durable keys. No look-ups, so a fact never waits for a dimension and never goes stale."""

from decimal import Decimal

import narwhals as nw

from retail_platform.contracts.gold import FACT_SALES, UNKNOWN_KEY
from retail_platform.engines.engine import Engine
from retail_platform.transforms.money import to_cents


def fact_sales(orders: nw.LazyFrame, *, restocking_fee_rate: Decimal, engine: Engine) -> nw.LazyFrame:
    """Sales facts from the silver orders of all sources.

    Args:
        orders: Silver orders (contract `orders`).
        restocking_fee_rate: Share of a refund's absolute amount that the shop keeps.
        engine: What hashes the keys.

    Returns:
        Contract `fact_sales`: as many rows as came in.
    """
    lines = engine.hash_keys(
        orders,
        {"customer_key": ["source_system", "customer_id"], "product_key": ["source_system", "product_id"]},
    )
    is_refund = nw.col("total_amount") < 0
    # Widened first: Polars gives a product the decimals of its factors, and would round 1.005 to the even cent.
    fee = to_cents(nw.col("total_amount").abs().cast(nw.Decimal(38, 6)) * nw.lit(restocking_fee_rate))
    lines = lines.with_columns(
        date_key(nw.col("order_date")).alias("date_key"),
        _known("customer_key", "customer_id"),
        _known("product_key", "product_id"),
        nw.when(is_refund).then(nw.lit("Refund")).otherwise(nw.lit("Sale")).alias("transaction_type"),
        nw.when(is_refund).then(fee).otherwise(nw.lit(Decimal("0.00"))).alias("restocking_fee"),
    )
    return FACT_SALES.cast(lines.with_columns((nw.col("total_amount") + nw.col("restocking_fee")).alias("net_amount")))


def date_key(day: nw.Expr) -> nw.Expr:
    """A day as the number yyyymmdd."""
    # Polars keeps months in eight bits: widened before any arithmetic.
    year, month, number = (part.cast(nw.Int32) for part in (day.dt.year(), day.dt.month(), day.dt.day()))
    return year * 10_000 + month * 100 + number


def _known(key: str, natural: str) -> nw.Expr:
    """The key, or the unknown member's where the row names none."""
    return nw.when(~nw.col(natural).is_null()).then(nw.col(key)).otherwise(nw.lit(UNKNOWN_KEY)).alias(key)
