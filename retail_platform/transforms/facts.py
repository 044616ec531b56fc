"""Facts: order lines with durable keys. No look-ups, so a fact never waits for a dimension and never goes stale."""

from decimal import Decimal

import narwhals as nw

from retail_platform.contracts.gold import FACT_ORDERS, FACT_PAYMENTS, FACT_SALES, UNKNOWN_KEY
from retail_platform.engines.engine import Engine
from retail_platform.transforms.money import NOTHING, to_cents

_ORDER = ["source_system", "order_id", "order_date"]
_STATUS_RANKS = {"Open": 0, "Completed": 1, "Returned": 2, "Cancelled": 3}


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
        nw.when(is_refund).then(fee).otherwise(nw.lit(NOTHING)).alias("restocking_fee"),
    )
    return FACT_SALES.cast(lines.with_columns((nw.col("total_amount") + nw.col("restocking_fee")).alias("net_amount")))


def fact_orders(
    sales: nw.LazyFrame, headers: nw.LazyFrame, *, large_order_amount: Decimal, engine: Engine
) -> nw.LazyFrame:
    """Order headers from the sales facts of the same days, and orders without any line.

    Args:
        sales: Contract `fact_sales`.
        headers: Silver order headers (contract `order_headers`), where sources deliver them apart from the lines.
        large_order_amount: An order of this total or more is large.
        engine: What hashes the keys.

    Returns:
        Contract `fact_orders`: one row per order and day. What does not add up is taken from the first line.
    """
    amount = nw.col("total_amount")
    statuses, ranks = list(_STATUS_RANKS), list(_STATUS_RANKS.values())
    lines = sales.with_columns(
        gross(amount).alias("gross"),
        refunded(amount).alias("refunds"),
        net_units().alias("units"),
        nw.when(nw.col("product_key") != UNKNOWN_KEY).then(nw.col("product_key")).alias("known_product"),
        nw.col("status").replace_strict(statuses, ranks, return_dtype=nw.Int64).alias("status_rank"),
        nw.col("discount_amount").fill_null(NOTHING),
        nw.col("freight_amount").fill_null(NOTHING),
    )
    sums = ("gross", "refunds", "total_amount", "discount_amount", "freight_amount")
    orders = lines.group_by(_ORDER).agg(
        nw.len().alias("lines"),
        nw.col("units").sum(),
        known(nw.col("known_product")).alias("distinct_products"),
        nw.col("restocking_fee").sum().alias("fees"),
        nw.col("status_rank").min(),
        *(nw.col(name).sum() for name in sums),
    )
    said = ("date_key", "customer_key", "customer_id", "currency", "payment_method", "territory", "region", "deal_size")
    first = sales.unique(_ORDER, keep="first", order_by=["line_number"]).select(*_ORDER, *said)
    orders = engine.hash_keys(orders.join(first, on=_ORDER, how="left"), {"order_key": ["source_system", "order_id"]})
    with_lines = FACT_ORDERS.cast(
        orders.with_columns(
            (nw.col("gross") - nw.col("refunds") + nw.col("fees")).alias("net"),
            (amount >= nw.lit(large_order_amount)).alias("is_large_order"),
            nw.col("status_rank").replace_strict(ranks, statuses, return_dtype=nw.String).alias("status"),
        )
    )
    without = _without_lines(headers.join(sales.select(_ORDER), on=_ORDER, how="anti"), engine)
    return nw.concat([with_lines, without], how="vertical")


def _without_lines(headers: nw.LazyFrame, engine: Engine) -> nw.LazyFrame:
    keys = {"order_key": ["source_system", "order_id"], "customer_key": ["source_system", "customer_id"]}
    amounts = ("gross", "refunds", "fees", "net", "total_amount", "discount_amount", "freight_amount")
    return FACT_ORDERS.cast(
        engine.hash_keys(headers, keys).with_columns(
            date_key(nw.col("order_date")).alias("date_key"),
            _known("customer_key", "customer_id"),
            *(nw.lit(0).alias(name) for name in ("lines", "units", "distinct_products")),
            *(nw.lit(NOTHING).alias(name) for name in amounts),
            nw.lit(value=False).alias("is_large_order"),
        )
    )


def fact_payments(payments: nw.LazyFrame, *, engine: Engine) -> nw.LazyFrame:
    """Payments (contract `fact_payments`) from the silver payments of all sources; as many rows as came in."""
    keyed = engine.hash_keys(payments, {"order_key": ["source_system", "order_id"]})
    return FACT_PAYMENTS.cast(keyed.with_columns(date_key(nw.col("payment_date")).alias("date_key")))


def net_units() -> nw.Expr:
    """Units of a line that stay sold: those of a refund count against it, with whatever sign the source writes them."""
    quantity = nw.col("quantity")
    return nw.when(nw.col("total_amount") < 0).then(-quantity.abs()).otherwise(quantity)


def gross(amount: nw.Expr) -> nw.Expr:
    """What was sold: the amount where it is positive, else nothing."""
    return nw.when(amount > 0).then(amount).otherwise(nw.lit(NOTHING))


def refunded(amount: nw.Expr) -> nw.Expr:
    """What was given back: the absolute of the amount where it is negative, else nothing."""
    return nw.when(amount < 0).then(-amount).otherwise(nw.lit(NOTHING))


def known(value: nw.Expr) -> nw.Expr:
    """How many different values there are, nulls left out; to be used in `agg`."""
    return value.n_unique().cast(nw.Int64()) - value.is_null().max().cast(nw.Int64())


def date_key(day: nw.Expr) -> nw.Expr:
    """A day as the number yyyymmdd."""
    # Polars keeps months in eight bits: widened before any arithmetic.
    year, month, number = (part.cast(nw.Int32) for part in (day.dt.year(), day.dt.month(), day.dt.day()))
    return year * 10_000 + month * 100 + number


def _known(key: str, natural: str) -> nw.Expr:
    """The key, or the unknown member's where the row names none."""
    return nw.when(~nw.col(natural).is_null()).then(nw.col(key)).otherwise(nw.lit(UNKNOWN_KEY)).alias(key)
