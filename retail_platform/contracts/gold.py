"""Contracts of the star schema (rules: TABLES.md, "Gold")."""

import narwhals as nw
import polars as pl

from retail_platform.contracts.contract import Contract, Model, column
from retail_platform.contracts.rules import Rule
from retail_platform.contracts.silver import ORDER_STATUSES, Amount, Instant, Price

UNKNOWN_KEY = 0
"""The durable key of the member that stands for "none given", so that an inner join loses no fact."""

TRANSACTION_TYPES = ("Sale", "Refund")


class CustomerMember(Model):
    """One row per customer delivered on the drop date, with personal data masked."""

    customer_key: int = column(
        "Durable key: hash of source and customer id.", nullable=False, of=("source_system", "customer_id")
    )
    customer_version_key: int = column(
        "Key of this version: hash of source, customer id and drop date.",
        nullable=False,
        of=("source_system", "customer_id", "drop_date"),
    )
    source_system: str = column("The source.", nullable=False)
    customer_id: str = column("The source's own id.")
    first_name: str = column("First letter of the first name.")
    last_name: str = column("First letter of the last name.")
    full_name: str = column("First letters of the full name.")
    email: str = column("E-mail address: first letter and domain.")
    phone: str = column("Telephone: last two digits.")
    company: str = column("Company.")
    gender: str = column("Gender as given.")
    marital_status: str = column("Marital status as given.")
    birth_year: pl.Int32 = column("Year of birth.", of=("birth_date",))
    city: str = column("City.")
    state: str = column("State, province or county.")
    postal_code: str = column("Postal code.")
    country: str = column("Country.")
    region: str = column("Sales region.")
    signup_date: pl.Date = column("Day of signing up.")
    occurrences: int = column("Rows that described the member so (members read off transactions).")
    drop_date: pl.Date = column("Day of delivery.")
    created_at: Instant = column("Instant of the drop that it comes from.")
    updated_at: Instant = column("Instant of the drop that it comes from.")


class ProductMember(Model):
    """One row per product delivered on the drop date."""

    product_key: int = column(
        "Durable key: hash of source and product id.", nullable=False, of=("source_system", "product_id")
    )
    product_version_key: int = column(
        "Key of this version: hash of source, product id and drop date.",
        nullable=False,
        of=("source_system", "product_id", "drop_date"),
    )
    source_system: str = column("The source.", nullable=False)
    product_id: str = column("The source's own id.")
    product_name: str = column("Name.")
    category: str = column("Category.")
    subcategory: str = column("Subcategory.")
    product_line: str = column("Product line.")
    product_family: str = column("Product family.")
    unit_cost: Price = column("Cost of one unit.")
    list_price: Price = column("Price of one unit in the list.")
    stated_from: pl.Date = column(
        "First day of the version as the source states it; null where it does not.", of=("valid_from",)
    )
    occurrences: int = column("Rows that described the member so (members read off transactions).")
    drop_date: pl.Date = column("Day of delivery.")
    created_at: Instant = column("Instant of the drop that it comes from.")
    updated_at: Instant = column("Instant of the drop that it comes from.")


class Published(Model):
    """What publishing adds to a member: when its version holds."""

    valid_from: pl.Date = column(
        "First day of the version; 1900-01-01 for the first one.", nullable=False, of=("drop_date",)
    )
    valid_to: pl.Date = column("Last day of the version; 9999-12-31 while it holds.", nullable=False, of=("drop_date",))
    is_current: bool = column("Whether it is the member's newest version.", nullable=False, of=("drop_date",))
    is_active: bool = column("False once the source has withdrawn the member.", nullable=False, of=("is_active",))
    is_inferred: bool = column(
        "True where facts name the member and no drop delivered it.", nullable=False, of=("source_system",)
    )


class DimCustomer(CustomerMember, Published):
    """One row per customer and version (SCD 2); personal data is masked. Key 0 is the customer unknown."""


class DimProduct(ProductMember, Published):
    """One row per product and version (SCD 2). Key 0 is the product unknown."""


class DimDate(Model):
    """One row per day, with the calendar year and the 4-5-4 retail year."""

    date_key: pl.Int32 = column("yyyymmdd.", nullable=False, of=())
    date: pl.Date = column("The day.", nullable=False, of=())
    year: pl.Int32 = column("Calendar year.", nullable=False, of=())
    quarter: pl.Int32 = column("Calendar quarter, 1 to 4.", nullable=False, of=())
    month: pl.Int32 = column("Month, 1 to 12.", nullable=False, of=())
    month_name: str = column("Name of the month.", nullable=False, of=())
    week: pl.Int32 = column("ISO week, 1 to 53.", nullable=False, of=())
    iso_year: pl.Int32 = column("Year of the ISO week.", nullable=False, of=())
    day: pl.Int32 = column("Day of the month.", nullable=False, of=())
    day_of_week: pl.Int32 = column("1 is Monday, 7 is Sunday.", nullable=False, of=())
    day_name: str = column("Name of the day.", nullable=False, of=())
    is_weekend: bool = column("Saturday or Sunday.", nullable=False, of=())
    fiscal_year: pl.Int32 = column("Retail year.", nullable=False)
    fiscal_quarter: pl.Int32 = column("Quarter of the retail year.", nullable=False)
    fiscal_month: pl.Int32 = column("Month of the retail year, 1 to 12.", nullable=False)
    fiscal_week: pl.Int32 = column("Week of the retail year, 1 to 53.", nullable=False)
    fiscal_week_of_month: pl.Int32 = column("Week of the retail month, 1 to 5.", nullable=False)


class FactSales(Model):
    """One row per order line. Facts hold only what their rows say, so they never go stale."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The source's own order id.", nullable=False)
    line_number: int = column("Line within the order, from 1.", nullable=False)
    order_date: pl.Date = column("Business date, in the source's local time.", nullable=False)
    date_key: pl.Int32 = column("The day in dim_date (yyyymmdd).", nullable=False, of=("order_date",))
    ordered_at: Instant = column("Instant of the order, where the source gives a time.")
    customer_key: int = column(
        "The customer in dim_customer_current; 0 is unknown.", nullable=False, of=("source_system", "customer_id")
    )
    product_key: int = column(
        "The product in dim_product_current; 0 is unknown.", nullable=False, of=("source_system", "product_id")
    )
    customer_id: str = column("The source's customer id.")
    product_id: str = column("The source's product id.")
    quantity: int = column("Units as the source writes them: those of a refund are mostly negative.", nullable=False)
    unit_price: Price = column("Price of one unit.", nullable=False)
    discount_amount: Amount = column("Discount on the line.")
    freight_amount: Amount = column("Freight, not part of the total.")
    total_amount: Amount = column("Amount of the line; negative is a refund.", nullable=False)
    currency: str = column("ISO 4217.", nullable=False)
    transaction_type: str = column(
        "Refund where the amount is negative, else Sale.", nullable=False, of=("total_amount",)
    )
    restocking_fee: Amount = column("Share of a refund that the shop keeps.", nullable=False, of=("total_amount",))
    net_amount: Amount = column("total_amount + restocking_fee.", nullable=False, of=("total_amount",))
    status: str = column(f"One of {', '.join(ORDER_STATUSES)}.", nullable=False)
    payment_method: str = column("How the order was paid.")
    territory: str = column("Territory, as the row gives it.")
    region: str = column("Region, as the row gives it.")
    deal_size: str = column("Deal size, as the row gives it.")
    ship_date: pl.Date = column("Day of shipping.")
    due_date: pl.Date = column("Day due.")


class FactOrders(Model):
    """One row per order and day: what its lines add up to; orders without lines, too, where a source delivers them."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The source's own order id.", nullable=False)
    order_key: int = column(
        "Durable key: hash of source and order id.", nullable=False, of=("source_system", "order_id")
    )
    order_date: pl.Date = column("Business date, in the source's local time.", nullable=False)
    date_key: pl.Int32 = column("The day in dim_date (yyyymmdd).", nullable=False)
    customer_key: int = column("The customer of the first line; 0 is unknown.", nullable=False)
    customer_id: str = column("The source's customer id, of the first line.")
    lines: int = column("Order lines.", nullable=False, of=("line_number",))
    units: int = column("Units sold, less those given back.", nullable=False, of=("quantity", "total_amount"))
    distinct_products: int = column("Different known products.", nullable=False, of=("product_key",))
    gross: Amount = column("Positive amounts.", nullable=False, of=("total_amount",))
    refunds: Amount = column("Absolute of the negative amounts.", nullable=False, of=("total_amount",))
    fees: Amount = column("Restocking fees.", nullable=False, of=("restocking_fee",))
    net: Amount = column("gross - refunds + fees.", nullable=False, of=("total_amount", "restocking_fee"))
    total_amount: Amount = column("gross - refunds.", nullable=False)
    discount_amount: Amount = column("Discounts of the lines.", nullable=False)
    freight_amount: Amount = column("Freight, not part of the total.", nullable=False)
    currency: str = column("ISO 4217.", nullable=False)
    is_large_order: bool = column(
        "Whether total_amount reaches the threshold (RETAIL_LARGE_ORDER_AMOUNT).", nullable=False, of=("total_amount",)
    )
    status: str = column(
        "Open while a line is, else Completed if a line is, else Returned if a line is, else Cancelled.", nullable=False
    )
    payment_method: str = column("How the order was paid, as the first line gives it.")
    territory: str = column("Territory, as the first line gives it.")
    region: str = column("Region, as the first line gives it.")
    deal_size: str = column("Deal size, as the first line gives it.")


class FactPayments(Model):
    """One row per payment of an order."""

    source_system: str = column("The source.", nullable=False)
    order_id: str = column("The order paid.", nullable=False)
    order_key: int = column("The order in fact_orders.", nullable=False, of=("source_system", "order_id"))
    payment_number: str = column("Names the payment within its order.", nullable=False)
    payment_date: pl.Date = column("Day of payment.", nullable=False)
    date_key: pl.Int32 = column("The day in dim_date (yyyymmdd).", nullable=False, of=("payment_date",))
    payment_method: str = column("Method.")
    installments: int = column("Number of installments.")
    amount: Amount = column("Amount; negative is paid back.", nullable=False)
    status: str = column("Status as given.")


DIM_CUSTOMER = Contract(
    name="dim_customer",
    layer="gold",
    model=CustomerMember,
    partition_column="drop_date",
    key=("source_system", "customer_id"),
    upstream=("customers",),
)

DIM_PRODUCT = Contract(
    name="dim_product",
    layer="gold",
    model=ProductMember,
    partition_column="drop_date",
    key=("source_system", "product_id"),
    upstream=("products",),
)

DIM_CUSTOMER_PUBLISHED = Contract(
    name="dim_customer",
    layer="gold",
    model=DimCustomer,
    partition_column="drop_date",
    key=("customer_version_key",),
    upstream=("customers",),
)

DIM_PRODUCT_PUBLISHED = Contract(
    name="dim_product",
    layer="gold",
    model=DimProduct,
    partition_column="drop_date",
    key=("product_version_key",),
    upstream=("products",),
)

DIM_DATE = Contract(
    name="dim_date", layer="gold", model=DimDate, partition_column="date", key=("date",), upstream=("calendar",)
)

FACT_SALES = Contract(
    name="fact_sales",
    layer="gold",
    model=FactSales,
    partition_column="order_date",
    key=("source_system", "order_id", "line_number"),
    upstream=("orders",),
    rules=(
        Rule(
            name="sign_is_type",
            columns=("transaction_type", "total_amount"),
            broken=(nw.col("transaction_type") == "Refund") != (nw.col("total_amount") < 0),
            says="A refund has a negative amount, and nothing else has.",
            outcome="block",
        ),
        Rule(
            name="net_is_total_plus_fee",
            columns=("net_amount", "total_amount", "restocking_fee"),
            broken=nw.col("net_amount") != nw.col("total_amount") + nw.col("restocking_fee"),
            says="net_amount is total_amount + restocking_fee.",
            outcome="block",
        ),
    ),
)

FACT_ORDERS = Contract(
    name="fact_orders",
    layer="gold",
    model=FactOrders,
    partition_column="order_date",
    key=("source_system", "order_id"),
    upstream=("fact_sales", "order_headers"),
    rules=(
        Rule(
            name="order_adds_up",
            columns=("total_amount", "gross", "refunds"),
            broken=nw.col("total_amount") != nw.col("gross") - nw.col("refunds"),
            says="An order's total is gross - refunds.",
            outcome="block",
        ),
        Rule(
            name="order_net_adds_up",
            columns=("net", "gross", "refunds", "fees"),
            broken=nw.col("net") != nw.col("gross") - nw.col("refunds") + nw.col("fees"),
            says="An order's net is gross - refunds + fees.",
            outcome="block",
        ),
        Rule(
            name="lines_bear_the_order",
            columns=("lines", "distinct_products"),
            broken=(nw.col("distinct_products") > nw.col("lines"))
            | ((nw.col("lines") == 0) & ((nw.col("gross") != 0) | (nw.col("refunds") != 0))),
            says="An order has no more products than lines, and without lines no amount.",
            outcome="block",
        ),
    ),
)

FACT_PAYMENTS = Contract(
    name="fact_payments",
    layer="gold",
    model=FactPayments,
    partition_column="payment_date",
    key=("source_system", "order_id", "payment_number"),
    upstream=("payments",),
    rules=(
        Rule(
            name="payment_amount_not_zero",
            columns=("amount",),
            broken=nw.col("amount") == 0,
            says="A payment of nothing was kept: ask the source what it means.",
            outcome="warn",
        ),
        Rule(
            name="installments_positive",
            columns=("installments",),
            broken=nw.col("installments") < 1,
            says="A payment has at least one installment; the row was kept.",
            outcome="warn",
        ),
    ),
)

GOLD = {
    contract.name: contract
    for contract in (DIM_CUSTOMER, DIM_PRODUCT, DIM_DATE, FACT_SALES, FACT_ORDERS, FACT_PAYMENTS)
}
