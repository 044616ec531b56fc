"""The snapshot mart of products bought together (rules: TABLES.md, "Marts")."""

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.marts import PRODUCT_AFFINITY
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE
from retail_platform.transforms.facts import known
from retail_platform.transforms.snapshots import PER_SOURCE, described, with_as_of


def product_affinity(lines: nw.LazyFrame, products: nw.LazyFrame, *, min_orders: int) -> nw.LazyFrame:
    """Pairs of products that were bought in the same order, in both directions (contract `product_affinity`).

    Args:
        lines: `history`.
        products: The published dim_product.
        min_orders: Pairs in fewer orders are left out.
    """
    bought = lines.filter(nw.col("is_sale") & (nw.col("product_key") != UNKNOWN_KEY))
    baskets = bought.select(*PER_SOURCE, "order_id", "product_key", "product_id").unique(
        [*PER_SOURCE, "order_id", "product_key"]
    )
    orders = bought.group_by(PER_SOURCE).agg(known(nw.col("sold_order")).alias("all_orders"))
    of_product = baskets.group_by([*PER_SOURCE, "product_key", "product_id"]).agg(nw.len().alias("orders"))
    # No pair is in more orders than either product: this spares most of the pairs.
    frequent = of_product.filter(nw.col("orders") >= min_orders)
    product = [*PER_SOURCE, "product_key"]
    kept = baskets.join(frequent.select(product), on=product, how="semi").select(*PER_SOURCE, "order_id", "product_key")
    others = kept.with_columns(nw.col("product_key").alias("other_product_key")).drop("product_key")
    pairs = (
        kept.join(others, on=[*PER_SOURCE, "order_id"], how="inner")
        .filter(nw.col("product_key") < nw.col("other_product_key"))
        .group_by([*product, "other_product_key"])
        .agg(nw.len().alias("orders_together"))
        .filter(nw.col("orders_together") >= min_orders)
    )
    there = [*product, "other_product_key", "orders_together"]
    back = pairs.select(
        *PER_SOURCE,
        nw.col("other_product_key").alias("product_key"),
        nw.col("product_key").alias("other_product_key"),
        "orders_together",
    )
    both = nw.concat([pairs.select(*there), back.select(*there)], how="vertical")
    other = frequent.select(
        *PER_SOURCE,
        nw.col("product_key").alias("other_product_key"),
        nw.col("product_id").alias("other_product_id"),
        nw.col("orders").alias("other_orders"),
    )
    rows = (
        both.join(frequent, on=product, how="left")
        .join(other, on=[*PER_SOURCE, "other_product_key"], how="left")
        .join(orders, on=PER_SOURCE, how="left")
    )
    return PRODUCT_AFFINITY.cast(with_as_of(_named(_measured(rows), products), lines))


def _measured(rows: nw.LazyFrame) -> nw.LazyFrame:
    together, orders, others, every = (
        nw.col(name).cast(nw.Float64()) for name in ("orders_together", "orders", "other_orders", "all_orders")
    )
    return rows.with_columns(
        (together / every).alias("support"),
        (together / orders).alias("confidence"),
        (together * every / (orders * others)).alias("lift"),
    )


def _named(rows: nw.LazyFrame, products: nw.LazyFrame) -> nw.LazyFrame:
    others = products.with_columns(nw.col("product_key").alias("other_product_key"))
    named = described(rows, products, key="product_key", day=SNAPSHOT_DATE, take={"product_name": "product_name"})
    return described(
        named, others, key="other_product_key", day=SNAPSHOT_DATE, take={"product_name": "other_product_name"}
    )
