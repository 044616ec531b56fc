"""Contracts of the silver entities, equal for every source (rules: TABLES.md, "Silver entities")."""

from decimal import Decimal
from typing import Annotated

import narwhals as nw
import pandera.polars as pa
import polars as pl

from retail_platform.contracts.contract import Contract, Model, column
from retail_platform.contracts.rules import (
    PARTITION_DATE,
    UNREADABLE,
    Rule,
    dated,
    headed,
    malformed,
    money,
    not_negative,
    readable,
    required,
    unreadable,
)

Amount = Annotated[pl.Decimal, 18, 2]
Price = Annotated[pl.Decimal, 18, 4]
Instant = Annotated[pl.Datetime, "us", "UTC"]

ORDER_STATUSES = ("Completed", "Cancelled", "Returned", "Open")
EARLIEST_BIRTH = 1900
TOTAL_TOLERANCE = Decimal("0.01")
FISCAL_RANGES = {
    "fiscal_year": 9999,
    "fiscal_quarter": 4,
    "fiscal_month": 12,
    "fiscal_week": 53,
    "fiscal_week_of_month": 6,
}
"""What every calendar says of a day, and the largest number it may be."""
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


class Origin(Model):
    """Where a silver row comes from; every silver table ends with these columns."""

    created_at: Instant = column("Instant of the drop that named this key first.", nullable=False)
    updated_at: Instant = column("Instant of the drop that this row comes from.", nullable=False)
    is_active: bool = column("False once the source has withdrawn it.", nullable=False)
    drop_id: str = pa.Field(alias="_drop_id", description="The drop: a hash of path and content.")
    source_file: str = pa.Field(alias="_source_file", description="The file's path in the landing folder.")
    row_number: int = pa.Field(alias="_row_number", description="The row in that file; the header is row 1.")


class Customers(Origin):
    """One row per customer as delivered on the drop date."""

    source_system: str = column("The source.", nullable=False)
    customer_id: str = column("The source's own id.", nullable=False)
    first_name: str = column("First name.", pii=True)
    last_name: str = column("Last name.", pii=True)
    full_name: str = column("Full name.", pii=True)
    email: str = column("E-mail address.", pii=True)
    phone: str = column("Telephone.", pii=True)
    company: str = column("Company.")
    gender: str = column("Gender as given.")
    marital_status: str = column("Marital status as given.")
    birth_date: pl.Date = column("Date of birth.", pii=True)
    address: str = column("Street address.", pii=True)
    city: str = column("City.")
    state: str = column("State, province or county.")
    postal_code: str = column("Postal code.")
    country: str = column("Country.")
    region: str = column("Sales region.")
    signup_date: pl.Date = column("Day of signing up.")
    occurrences: int = column("Rows that described the member so (members read off transactions).")
    drop_date: pl.Date = column("Day of delivery.", nullable=False)


class Products(Origin):
    """One row per product as delivered on the drop date."""

    source_system: str = column("The source.", nullable=False)
    product_id: str = column("The source's own id.", nullable=False)
    product_name: str = column("Name.")
    category: str = column("Category.")
    subcategory: str = column("Subcategory.")
    product_line: str = column("Product line.")
    product_family: str = column("Product family.")
    unit_cost: Price = column("Cost of one unit.")
    list_price: Price = column("Price of one unit in the list.")
    valid_from: pl.Date = column("First day of this version, where the source states it.")
    occurrences: int = column("Rows that described the member so (members read off transactions).")
    drop_date: pl.Date = column("Day of delivery.", nullable=False)


class Orders(Origin):
    """One row per order line, on the business date the source gives it."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The source's own order id.", nullable=False)
    line_number: int = column("Line within the order, from 1.", nullable=False)
    order_date: pl.Date = column("Business date, in the source's local time.", nullable=False)
    ordered_at: Instant = column("Instant of the order, where the source gives a time.")
    customer_id: str = column("The source's customer id; null is a customer unknown.")
    product_id: str = column("The source's product id.")
    quantity: int = column("Units as the source writes them: those of a refund are mostly negative.", nullable=False)
    unit_price: Price = column("Price of one unit.", nullable=False)
    discount_amount: Amount = column("Discount on the line.")
    freight_amount: Amount = column("Freight, not part of the total.")
    total_amount: Amount = column("Amount of the line; negative is a refund.", nullable=False)
    currency: str = column("ISO 4217.", nullable=False)
    status: str = column(f"One of {', '.join(ORDER_STATUSES)}.", nullable=False)
    payment_method: str = column("How the order was paid.")
    region: str = column("Region, as the row gives it.")
    territory: str = column("Territory, as the row gives it.")
    deal_size: str = column("Deal size, as the row gives it.")
    ship_date: pl.Date = column("Day of shipping.")
    due_date: pl.Date = column("Day due.")


class OrderHeaders(Origin):
    """One row per order, where the source delivers orders and their lines apart: orders without lines are here, too."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The source's own order id.", nullable=False)
    order_date: pl.Date = column("Business date, in the source's local time.", nullable=False)
    ordered_at: Instant = column("Instant of the order, where the source gives a time.")
    customer_id: str = column("The source's customer id; null is a customer unknown.")
    currency: str = column("ISO 4217.", nullable=False)
    status: str = column(f"One of {', '.join(ORDER_STATUSES)}.", nullable=False)
    payment_method: str = column("How the order was paid.")
    region: str = column("Region, as the order gives it.")
    territory: str = column("Territory, as the order gives it.")
    deal_size: str = column("Deal size, as the order gives it.")
    ship_date: pl.Date = column("Day of shipping.")
    due_date: pl.Date = column("Day due.")


class Payments(Origin):
    """One row per payment of an order."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The order paid.", nullable=False)
    payment_number: str = column("Names the payment within its order.", nullable=False)
    payment_date: pl.Date = column("Day of payment.", nullable=False)
    payment_method: str = column("Method.")
    installments: int = column("Number of installments.")
    amount: Amount = column("Amount; negative is paid back.", nullable=False)
    status: str = column("Status as given.")


class Calendar(Origin):
    """One row per day of a source's fiscal calendar, as delivered on the drop date."""

    source_system: str = column("The source.", nullable=False)
    date: pl.Date = column("The day.", nullable=False)
    fiscal_year: int = column("Fiscal year.", nullable=False)
    fiscal_quarter: int = column("Quarter of the fiscal year, 1 to 4.", nullable=False)
    fiscal_month: int = column("Month of the fiscal year, 1 to 12.", nullable=False)
    fiscal_week: int = column("Week of the fiscal year, 1 to 53.", nullable=False)
    fiscal_week_of_month: int = column("Week of the fiscal month, from 1.", nullable=False)
    fiscal_day_of_month: int = column("Day of the fiscal month, from 1.")
    fiscal_month_name: str = column("Name of the fiscal month.")
    fiscal_week_start: pl.Date = column("First day of the fiscal week.")
    fiscal_week_end: pl.Date = column("Last day of the fiscal week.")
    fiscal_month_start: pl.Date = column("First day of the fiscal month.")
    fiscal_month_end: pl.Date = column("Last day of the fiscal month.")
    drop_date: pl.Date = column("Day of delivery.", nullable=False)


class Quarantine(Model):
    """One row per row set aside, with all its reasons and the row as it came."""

    source_system: str = column("The source.", nullable=False)
    feed: str = column("The feed.", nullable=False)
    partition_date: pl.Date = column("The day it is filed under.", nullable=False)
    reasons: Annotated[pl.List, pl.String] = column("Every rule the row breaks.", nullable=False)
    raw: str = column("The row as it came: a JSON object of its columns, or the broken record's text.", pii=True)
    quarantined_at: Instant = column("Instant of the drop that it comes from.", nullable=False)
    drop_id: str = pa.Field(alias="_drop_id", description="The drop: a hash of path and content.")
    source_file: str = pa.Field(alias="_source_file", description="The file's path in the landing folder.")
    row_number: int = pa.Field(alias="_row_number", description="The row in that file; the header is row 1.")


CUSTOMERS = Contract(
    name="customers",
    layer="silver",
    model=Customers,
    partition_column="drop_date",
    key=("customer_id",),
    rules=(
        malformed(),
        *required("customer_id"),
        Rule(
            name="email_malformed",
            columns=("email",),
            broken=~nw.col("email").str.contains(EMAIL),
            says="email is not an address (name@domain.tld): correct it, or leave it empty.",
        ),
        Rule(
            name="birth_date_implausible",
            columns=("birth_date", PARTITION_DATE),
            broken=(nw.col("birth_date") > nw.col(PARTITION_DATE)) | (nw.col("birth_date").dt.year() < EARLIEST_BIRTH),
            says=f"birth_date lies in the future or before {EARLIEST_BIRTH}; it was left empty.",
            outcome="warn",
            sets_null=True,
        ),
        *readable("birth_date", "signup_date"),
    ),
)

PRODUCTS = Contract(
    name="products",
    layer="silver",
    model=Products,
    partition_column="drop_date",
    key=("product_id",),
    rules=(
        malformed(),
        *required("product_id"),
        *money("list_price", "unit_cost"),
        *not_negative("list_price", "unit_cost"),
        *readable("valid_from"),
    ),
    versions=("valid_from",),
)

STATUS_KNOWN = Rule(
    name="status_unknown",
    columns=("status",),
    broken=~nw.col("status").is_in(ORDER_STATUSES),
    says=f"status is none of {', '.join(ORDER_STATUSES)}: correct it, or map it in the source's defs.yaml.",
)
SHIPPED_AFTER = Rule(
    name="ship_before_order",
    columns=("ship_date", "order_date"),
    broken=nw.col("ship_date") < nw.col("order_date"),
    says="ship_date lies before order_date.",
    outcome="warn",
)

ORDERS = Contract(
    name="orders",
    layer="silver",
    model=Orders,
    partition_column="order_date",
    key=("order_id", "line_number"),
    rules=(
        malformed(),
        *required("order_id", "line_number"),
        headed(),
        *dated("order_date"),
        Rule(
            name="quantity_unreadable",
            columns=("quantity",),
            broken=nw.col("quantity").is_null(),
            says="quantity is missing or not a whole number: correct it.",
        ),
        Rule(
            name="quantity_zero",
            columns=("quantity",),
            broken=nw.col("quantity") == 0,
            says="quantity is zero, so nothing was sold or returned: correct it, or leave the row out.",
        ),
        Rule(
            name="unit_price_unreadable",
            columns=("unit_price",),
            broken=nw.col("unit_price").is_null(),
            says="unit_price is missing or not readable as money, or the product is not in the price list yet: correct "
            "it, or deliver the product.",
        ),
        *not_negative("unit_price"),
        *money("discount_amount", "freight_amount"),
        Rule(
            name="total_amount_unreadable",
            columns=("total_amount", UNREADABLE),
            broken=unreadable("total_amount")
            | (nw.col("total_amount").is_null() & ~nw.col("quantity").is_null() & ~nw.col("unit_price").is_null()),
            says="total_amount is not readable as money, or larger than the platform can hold: correct it.",
        ),
        STATUS_KNOWN,
        Rule(
            name="total_differs",
            columns=("total_amount", "quantity", "unit_price", "discount_amount"),
            broken=(
                nw.col("total_amount")
                - (nw.col("quantity") * nw.col("unit_price") - nw.col("discount_amount").fill_null(0))
            ).abs()
            > TOTAL_TOLERANCE,
            says=f"total_amount differs from quantity x unit_price - discount by more than {TOTAL_TOLERANCE}.",
            outcome="warn",
        ),
        SHIPPED_AFTER,
        *readable("ordered_at", "ship_date", "due_date"),
    ),
)

ORDER_HEADERS = Contract(
    name="order_headers",
    layer="silver",
    model=OrderHeaders,
    partition_column="order_date",
    key=("order_id",),
    rules=(
        malformed(),
        *required("order_id"),
        *dated("order_date"),
        STATUS_KNOWN,
        SHIPPED_AFTER,
        *readable("ordered_at", "ship_date", "due_date"),
    ),
)

PAYMENTS = Contract(
    name="payments",
    layer="silver",
    model=Payments,
    partition_column="payment_date",
    key=("order_id", "payment_number"),
    rules=(
        malformed(),
        *required("order_id", "payment_number"),
        headed(),
        *dated("payment_date"),
        Rule(
            name="amount_unreadable",
            columns=("amount",),
            broken=nw.col("amount").is_null(),
            says="amount is missing or not readable as money: correct it.",
        ),
        *readable("installments"),
    ),
)

CALENDAR = Contract(
    name="calendar",
    layer="silver",
    model=Calendar,
    partition_column="drop_date",
    key=("date",),
    rules=(
        malformed(),
        Rule(
            name="date_unreadable",
            columns=("date",),
            broken=nw.col("date").is_null(),
            says="date is missing or not a date in a declared format: correct it, or declare its format.",
        ),
        *(
            Rule(
                name=f"{name}_out_of_range",
                columns=(name,),
                broken=(~nw.col(name).is_between(1, last)).fill_null(value=True),
                says=f"{name} is missing or no whole number from 1 to {last}: correct it.",
            )
            for name, last in FISCAL_RANGES.items()
        ),
        *readable(
            *("fiscal_day_of_month", "fiscal_week_start", "fiscal_week_end", "fiscal_month_start", "fiscal_month_end")
        ),
    ),
)

QUARANTINE = Contract(
    name="quarantine",
    layer="silver",
    model=Quarantine,
    partition_column=PARTITION_DATE,
    key=("_source_file", "_row_number"),
)

ENTITIES = {contract.name: contract for contract in (CUSTOMERS, PRODUCTS, ORDERS, ORDER_HEADERS, PAYMENTS, CALENDAR)}
