"""Payments: what each order's lines add up to, paid at once, days later, or back."""

import polars as pl

from retail_platform.generator.plan import ShopPlan

PAYMENTS = pl.Schema(
    {
        "order_id": pl.String(),
        "payment_number": pl.String(),
        "payment_date": pl.Date(),
        "payment_method": pl.String(),
        "installments": pl.Int64(),
        "cents": pl.Int64(),
        "status": pl.String(),
    }
)
"""A payment; `cents` is its amount, negative where money is paid back."""

INSTALLMENTS = {1: 0.62, 2: 0.1, 3: 0.14, 6: 0.09, 12: 0.05}
"""How often a larger sum on a credit card is paid so."""
IN_INSTALLMENTS_FROM = 100_00
TRANSFER_DAYS = (1, 4)
"""Days that a bank transfer takes: at least, and fewer than."""
STATUSES = {"Completed": "Paid", "Open": "Pending", "Returned": "Refunded"}
"""Status of an order's payment by that of the order. What was cancelled is not paid."""


def make_payments(plan: ShopPlan, lines: pl.DataFrame) -> pl.DataFrame:
    """The payments (`PAYMENTS`) for order lines: one an order, in their order; later than the last day is none yet."""
    random = plan.random("payments")
    orders = lines.group_by("order_id", maintain_order=True).agg(
        pl.col("order_date", "payment_method", "status").first(), (pl.col("quantity") * pl.col("cents")).sum()
    )
    numbers = random.choice(list(INSTALLMENTS), size=orders.height, p=list(INSTALLMENTS.values()))
    takes = pl.Series(random.integers(*TRANSFER_DAYS, size=orders.height))
    by_card = (pl.col("payment_method") == "Credit Card") & (pl.col("status") != "Returned")
    is_large = pl.col("quantity") >= IN_INSTALLMENTS_FROM
    is_transfer = (pl.col("payment_method") == "Bank Transfer") & (pl.col("status") != "Open")
    days = pl.when(is_transfer).then(takes).otherwise(0)
    return (
        orders.select(
            "order_id",
            ("PAY" + pl.col("order_id").str.strip_prefix("O")).alias("payment_number"),
            (pl.col("order_date") + pl.duration(days=days)).alias("payment_date"),
            "payment_method",
            pl.when(by_card).then(pl.when(is_large).then(pl.Series(numbers)).otherwise(1)).alias("installments"),
            pl.col("quantity").alias("cents"),
            pl.col("status").replace_strict(STATUSES, default=None),
        )
        .filter(pl.col("status").is_not_null(), pl.col("payment_date") <= plan.last)
        .match_to_schema(PAYMENTS)
    )
