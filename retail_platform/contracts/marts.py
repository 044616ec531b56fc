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
    orders: int = column("Different orders.", nullable=False, of=("order_id",))
    units: int = column("Units sold, less those given back.", nullable=False, of=("quantity",))
    gross: Amount = column("Positive amounts.", nullable=False, of=("total_amount",))
    refunds: Amount = column("Absolute of the negative amounts.", nullable=False, of=("total_amount",))
    fees: Amount = column("Restocking fees.", nullable=False, of=("restocking_fee",))
    net: Amount = column("gross - refunds + fees.", nullable=False, of=("total_amount", "restocking_fee"))
    customers: int = column("Different known customers.", nullable=False, of=("customer_key",))
    average_order_value: Amount = column(
        "gross / orders with a positive amount; null without one.", of=("total_amount", "order_id")
    )


class PaymentSummary(Model):
    """A day's payments, by method and status as the source gives them."""

    payment_date: pl.Date = column("The day.", nullable=False)
    source_system: str = column("The source.", nullable=False)
    payment_method: str = column("Method.")
    status: str = column("Status as given.")
    payments: int = column("Payments.", nullable=False, of=("payment_number",))
    orders: int = column("Different orders paid.", nullable=False, of=("order_key",))
    amount: Amount = column("Amount; what was paid back counts against it.", nullable=False)
    installments: int = column("Sum of the installments, where the source gives them.", nullable=False)


DAILY_SALES = Contract(
    name="daily_sales",
    layer="marts",
    model=DailySales,
    partition_column="order_date",
    key=("order_date", "source_system", "territory", "status"),
    upstream=("fact_sales",),
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

PAYMENT_SUMMARY = Contract(
    name="payment_summary",
    layer="marts",
    model=PaymentSummary,
    partition_column="payment_date",
    key=("payment_date", "source_system", "payment_method", "status"),
    upstream=("fact_payments",),
    rules=(
        Rule(
            name="orders_within_payments",
            columns=("orders", "payments"),
            broken=(nw.col("orders") < 1) | (nw.col("orders") > nw.col("payments")),
            says="There are payments, and no more orders than payments.",
            outcome="block",
        ),
    ),
)

MARTS = {contract.name: contract for contract in (DAILY_SALES, PAYMENT_SUMMARY)}
