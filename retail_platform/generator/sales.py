"""Orders and their lines, as they truly were: sales, cancellations and refunds."""

import numpy as np
import polars as pl

from retail_platform.generator.catalog import Catalog, product_ids
from retail_platform.generator.people import People, customer_ids
from retail_platform.generator.plan import IntArray, ShopPlan

ORDER_LINES = pl.Schema(
    {
        "order_id": pl.String(),
        "line_number": pl.Int64(),
        "order_date": pl.Date(),
        "customer_id": pl.String(),
        "product_id": pl.String(),
        "quantity": pl.Int64(),
        "cents": pl.Int64(),
        "status": pl.String(),
        "payment_method": pl.String(),
    }
)
"""An order line; `cents` is the price of one unit on the order's day."""

LINES_PER_ORDER = (0.47, 0.26, 0.14, 0.07, 0.04, 0.02)
"""How often an order has 1, 2, ... lines."""
UNITS_PER_LINE = (0.74, 0.16, 0.05, 0.03, 0.01, 0.01)
"""How often a line has 1, 2, ... units."""
ZIPF = 1.05
"""The n-th best product sells 1 / n to this power of what the best one does."""
CANCELLED_SHARE = 0.04
OPEN_SHARES = (0.7, 0.45, 0.2)
"""Share of orders still open on the last day, the day before, ..."""
REFUNDED_SHARE = 0.05
"""Share of completed orders of which something comes back."""
LINE_REFUNDED_SHARE = 0.35
"""Of the lines of such an order but the first, which always comes back."""
REFUND_AFTER = (2, 22)
"""Days from sale to refund: at least, and fewer than."""
PAYMENT_METHODS = {
    "Credit Card": 0.46,
    "Debit Card": 0.22,
    "PayPal": 0.18,
    "Gift Card": 0.06,
    "Bank Transfer": 0.08,
}

_STATUSES = pl.Series(["Completed", "Cancelled", "Open", "Returned"])
_COMPLETED, _CANCELLED, _OPEN, _RETURNED = range(4)


def make_lines(plan: ShopPlan, order_day: IntArray, people: People, catalog: Catalog) -> pl.DataFrame:
    """All order lines (`ORDER_LINES`): sales in order of day, then refunds; each order's lines stand together."""
    orders = _orders(plan, order_day, people)
    sold = _baskets(plan, orders, catalog)
    lines = pl.concat([sold, _refunds(plan, sold, orders_count=orders.height)])
    cents = catalog.cents[lines["product"].to_numpy(), lines["day"].to_numpy()]
    number = "O" + (lines["order"] + 1).cast(pl.String).str.zfill(7)
    return lines.select(
        number.alias("order_id") + pl.when(pl.col("status") == _RETURNED).then(pl.lit("-R")).otherwise(pl.lit("")),
        "line_number",
        plan.dates(lines["day"].to_numpy()).alias("order_date"),
        customer_ids(lines["customer"]).alias("customer_id"),
        product_ids(lines["product"]).alias("product_id"),
        "quantity",
        pl.Series("cents", cents),
        _STATUSES.gather(lines["status"]).alias("status"),
        pl.Series(list(PAYMENT_METHODS)).gather(lines["method"]).alias("payment_method"),
    ).match_to_schema(ORDER_LINES)


def _orders(plan: ShopPlan, order_day: IntArray, people: People) -> pl.DataFrame:
    random = plan.random("orders")
    size = len(order_day)
    chance = random.random(size)
    days_left = plan.days - 1 - order_day
    open_shares = np.zeros(plan.days + len(OPEN_SHARES))
    open_shares[: len(OPEN_SHARES)] = OPEN_SHARES
    is_open = random.random(size) < open_shares[days_left]
    shares = list(PAYMENT_METHODS.values())
    return pl.DataFrame(
        {
            "order": np.arange(size),
            "day": order_day,
            "customer": people.buyer,
            "status": np.where(chance < CANCELLED_SHARE, _CANCELLED, np.where(is_open, _OPEN, _COMPLETED)),
            "method": random.choice(len(shares), size=size, p=shares),
            "lines": 1 + random.choice(len(LINES_PER_ORDER), size=size, p=LINES_PER_ORDER),
        }
    )


def _baskets(plan: ShopPlan, orders: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """The lines of sales: which products, and how many of each."""
    random = plan.random("baskets")
    lines_of = orders["lines"].to_numpy()
    order = np.repeat(np.arange(orders.height), lines_of)
    size = len(order)
    day = orders["day"].to_numpy()[order]
    product = _popular_products(catalog, size, random)
    always_there = np.flatnonzero(catalog.launched == 0)
    instead = always_there[random.integers(len(always_there), size=size)]
    return orders.drop("lines")[order].with_columns(
        pl.Series("line_number", np.arange(size) - np.repeat(np.cumsum(lines_of) - lines_of, lines_of) + 1),
        pl.Series("product", np.where(catalog.launched[product] <= day, product, instead)),
        pl.Series("quantity", 1 + random.choice(len(UNITS_PER_LINE), size=size, p=UNITS_PER_LINE)),
    )


def _popular_products(catalog: Catalog, size: int, random: np.random.Generator) -> IntArray:
    weights = 1 / np.arange(1, len(catalog.launched) + 1) ** ZIPF
    ranked = random.permutation(len(weights))
    return ranked[np.searchsorted(np.cumsum(weights / weights.sum())[:-1], random.random(size))]


def _refunds(plan: ShopPlan, sold: pl.DataFrame, *, orders_count: int) -> pl.DataFrame:
    """Lines that come back days later, as orders of their own; those after the last day have not come back yet."""
    random = plan.random("refunds")
    is_refunded = random.random(orders_count) < REFUNDED_SHARE
    after = random.integers(*REFUND_AFTER, size=orders_count)
    order = sold["order"].to_numpy()
    comes_back = random.random(sold.height) < LINE_REFUNDED_SHARE
    day = sold["day"].to_numpy() + after[order]
    refunds = sold.with_columns(
        pl.Series("day", day), -pl.col("quantity"), pl.lit(_RETURNED).cast(pl.Int64).alias("status")
    )
    return refunds.filter(
        pl.Series(is_refunded[order] & (day < plan.days)),
        (pl.col("line_number") == 1) | pl.Series(comes_back),
        sold["status"] == _COMPLETED,
    )
