"""Contracts of the marts: the answers that a BI page shows (rules: TABLES.md, "Marts")."""

import narwhals as nw
import polars as pl

from retail_platform.contracts.contract import Contract, Model, column
from retail_platform.contracts.rules import Rule
from retail_platform.contracts.silver import Amount


class DailySales(Model):
    """A day's sales, by territory and status as the rows give them."""

    order_date: pl.Date = column("The day.", nullable=False)
    source_system: str = column("The source.", nullable=False)
    territory: str = column("Territory, as the row gives it.")
    status: str = column("Order status.", nullable=False)
    orders: int = column("Different orders.", nullable=False)
    units: int = column("Units sold, less those given back.", nullable=False)
    gross: Amount = column("Positive amounts.", nullable=False)
    refunds: Amount = column("Absolute of the negative amounts.", nullable=False)
    fees: Amount = column("Restocking fees.", nullable=False)
    net: Amount = column("gross - refunds + fees.", nullable=False)
    customers: int = column("Different known customers.", nullable=False)
    average_order_value: Amount = column("gross / orders with a positive amount; null without one.")


DAILY_SALES = Contract(
    name="daily_sales",
    layer="marts",
    model=DailySales,
    partition_column="order_date",
    key=("order_date", "source_system", "territory", "status"),
    rules=(
        Rule(
            name="net_adds_up",
            columns=("net", "gross", "refunds", "fees"),
            broken=nw.col("net") != nw.col("gross") - nw.col("refunds") + nw.col("fees"),
            says="net is gross - refunds + fees.",
            outcome="block",
        ),
    ),
)

MARTS = {contract.name: contract for contract in (DAILY_SALES,)}
