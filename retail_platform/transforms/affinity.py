"""The snapshot mart of products bought together (rules: TABLES.md, "Marts")."""

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.marts import PRODUCT_AFFINITY
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE
from retail_platform.engines.engine import Engine
from retail_platform.transforms.facts import known
from retail_platform.transforms.snapshots import PER_SOURCE, described, with_as_of

_MOST_PRODUCTS = 10_000_000
"""A pair of product numbers is one number, which halves the time to count pairs."""


def product_affinity(lines: nw.LazyFrame, products: nw.LazyFrame, engine: Engine, *, min_orders: int) -> nw.LazyFrame:
    """Pairs of products that were bought in the same order, in both directions (contract `product_affinity`).

    Args:
        lines: `lines_seen`.
        products: The published dim_product.
        engine: What counts the pairs once: the plan would count them again in every branch.
        min_orders: Pairs in fewer orders are left out.
    """
    bought = lines.filter(nw.col("is_sale") & (nw.col("product_key") != UNKNOWN_KEY))
    by_basket = [*PER_SOURCE, "order_id", "product_key"]
    baskets = engine.once(bought.select(*by_basket, "product_id").unique(by_basket))
    frequent = engine.once(_frequent(baskets, products, min_orders))
    pairs = engine.once(_pairs(baskets, frequent).filter(nw.col("orders_together") >= min_orders))
    first, second = nw.col("pair") // _MOST_PRODUCTS, nw.col("pair") % _MOST_PRODUCTS
    both = nw.concat(
        [
            pairs.select(SNAPSHOT_DATE, "orders_together", one.alias("number"), other.alias("other_number"))
            for one, other in ((first, second), (second, first))
        ],
        how="vertical",
    )
    others = frequent.select(
        SNAPSHOT_DATE,
        nw.col("number").alias("other_number"),
        nw.col("product_key").alias("other_product_key"),
        nw.col("product_id").alias("other_product_id"),
        nw.col("product_name").alias("other_product_name"),
        nw.col("orders").alias("other_orders"),
    )
    every = lines.filter(nw.col("is_sale")).group_by(PER_SOURCE).agg(known(nw.col("sold_order")).alias("all_orders"))
    rows = (
        both.join(frequent, on=[SNAPSHOT_DATE, "number"], how="inner")
        .join(others, on=[SNAPSHOT_DATE, "other_number"], how="inner")
        .join(every, on=PER_SOURCE, how="left")
    )
    return PRODUCT_AFFINITY.cast(with_as_of(_measured(rows), lines))


def _frequent(baskets: nw.LazyFrame, products: nw.LazyFrame, min_orders: int) -> nw.LazyFrame:
    """The products that can be in a pair: none is in more orders than either product. It spares most of the pairs."""
    ordered = (
        baskets.group_by([*PER_SOURCE, "product_key", "product_id"])
        .agg(nw.len().alias("orders"))
        .filter(nw.col("orders") >= min_orders)
        .with_columns(_number("product_key").alias("number"))
    )
    return described(ordered, products, key="product_key", day=SNAPSHOT_DATE, take={"product_name": "product_name"})


def _number(name: str) -> nw.Expr:
    """Small numbers for the values of a column, equal for equal ones of a snapshot."""
    return nw.col(name).rank("dense").over(SNAPSHOT_DATE).cast(nw.Int64())


def _pairs(baskets: nw.LazyFrame, frequent: nw.LazyFrame) -> nw.LazyFrame:
    """How many baskets hold both products of a pair (`pair`, `orders_together`), by snapshot."""
    # Orders of different sources may have one id.
    named = baskets.with_columns(nw.concat_str(["source_system", "order_id"], separator="/").alias("basket_name"))
    numbered = (
        named.with_columns(_number("basket_name").alias("basket"))
        .join(frequent.select(SNAPSHOT_DATE, "product_key", "number"), on=[SNAPSHOT_DATE, "product_key"], how="inner")
        .select(SNAPSHOT_DATE, "basket", "number")
    )
    others = numbered.select(SNAPSHOT_DATE, "basket", nw.col("number").alias("other_number"))
    return (
        numbered.join(others, on=[SNAPSHOT_DATE, "basket"], how="inner")
        .filter(nw.col("number") < nw.col("other_number"))
        .select(SNAPSHOT_DATE, (nw.col("number") * _MOST_PRODUCTS + nw.col("other_number")).alias("pair"))
        .group_by([SNAPSHOT_DATE, "pair"])
        .agg(nw.len().alias("orders_together"))
    )


def _measured(rows: nw.LazyFrame) -> nw.LazyFrame:
    together, orders, others, every = (
        nw.col(name).cast(nw.Float64()) for name in ("orders_together", "orders", "other_orders", "all_orders")
    )
    return rows.with_columns(
        (together / every).alias("support"),
        (together / orders).alias("confidence"),
        (together * every / (orders * others)).alias("lift"),
    )
