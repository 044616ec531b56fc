"""The feeds' files as the bundled source `storefront` declares them: from a row as it is to its text."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from retail_platform.generator.dirt import DROP_DATE, OWN_DATE, ROW


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One kind of file.

    Attributes:
        columns: Its columns in order, each with what a true row has there, as text.
        dated: The column of a true row whose day's file it belongs into.
        minute: When its files are there, in minutes after two in the morning (UTC) of the day after.
    """

    columns: Mapping[str, pl.Expr]
    dated: str
    minute: int

    def texts(self, true: pl.DataFrame) -> pl.DataFrame:
        """True rows as they should be delivered, with the technical columns that `dirt.deliver` wants."""
        return true.select(
            *(value.cast(pl.String).alias(name) for name, value in self.columns.items()),
            pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
            pl.col(self.dated).alias(OWN_DATE),
            pl.col(self.dated).alias(DROP_DATE),
        )


def money(cents: pl.Expr) -> pl.Expr:
    """Cents as text: `-12.05`."""
    sign = pl.when(cents < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    fraction = (cents.abs() % 100).cast(pl.String).str.zfill(2)
    return pl.concat_str(sign, (cents.abs() // 100).cast(pl.String), pl.lit("."), fraction)


FEEDS: Mapping[str, Feed] = {
    "customers": Feed(
        columns={
            "customer_id": pl.col("customer_id"),
            "customer_name": pl.col("full_name"),
            "email": pl.col("email"),
            "city": pl.col("city"),
            "state": pl.col("state"),
            "country": pl.col("country"),
            "signup_date": pl.col("signup_date"),
        },
        dated="drop_date",
        minute=0,
    ),
    "products": Feed(
        columns={
            "product_id": pl.col("product_id"),
            "product_name": pl.col("product_name"),
            "category": pl.col("category"),
            "price": money(pl.col("cents")),
        },
        dated="drop_date",
        minute=5,
    ),
    "orders": Feed(
        columns={
            "order_id": pl.col("order_id"),
            "order_date": pl.col("order_date"),
            "customer_id": pl.col("customer_id"),
            "product_id": pl.col("product_id"),
            "quantity": pl.col("quantity"),
            "order_status": pl.col("status").replace("Open", "Pending"),
            "payment_mode": pl.col("payment_method"),
            "line_number": pl.col("line_number"),
        },
        dated="order_date",
        minute=10,
    ),
    "payments": Feed(
        columns={
            "payment_id": pl.col("payment_number"),
            "order_id": pl.col("order_id"),
            "payment_date": pl.col("payment_date"),
            "payment_mode": pl.col("payment_method"),
            "amount": money(pl.col("cents")),
            "status": pl.col("status"),
            "installments": pl.col("installments"),
        },
        dated="payment_date",
        minute=15,
    ),
}
