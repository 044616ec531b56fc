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

    customer_key: int = column("Durable key: hash of source and customer id.", nullable=False)
    customer_version_key: int = column(
        "Key of this version: hash of source, customer id and drop date.", nullable=False
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
    birth_year: pl.Int32 = column("Year of birth.")
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

    product_key: int = column("Durable key: hash of source and product id.", nullable=False)
    product_version_key: int = column("Key of this version: hash of source, product id and drop date.", nullable=False)
    source_system: str = column("The source.", nullable=False)
    product_id: str = column("The source's own id.")
    product_name: str = column("Name.")
    category: str = column("Category.")
    subcategory: str = column("Subcategory.")
    product_line: str = column("Product line.")
    product_family: str = column("Product family.")
    unit_cost: Price = column("Cost of one unit.")
    list_price: Price = column("Price of one unit in the list.")
    occurrences: int = column("Rows that described the member so (members read off transactions).")
    drop_date: pl.Date = column("Day of delivery.")
    created_at: Instant = column("Instant of the drop that it comes from.")
    updated_at: Instant = column("Instant of the drop that it comes from.")


class Published(Model):
    """What publishing adds to a member: when its version holds."""

    valid_from: pl.Date = column("First day of the version; 1900-01-01 for the first one.", nullable=False)
    valid_to: pl.Date = column("Last day of the version; 9999-12-31 while it holds.", nullable=False)
    is_current: bool = column("Whether it is the member's newest version.", nullable=False)
    is_active: bool = column("False once the source has withdrawn the member.", nullable=False)
    is_inferred: bool = column("True where facts name the member and no drop delivered it.", nullable=False)


class DimCustomer(CustomerMember, Published):
    """One row per customer and version (SCD 2); personal data is masked. Key 0 is the customer unknown."""


class DimProduct(ProductMember, Published):
    """One row per product and version (SCD 2). Key 0 is the product unknown."""


class DimDate(Model):
    """One row per day, with the calendar year and the 4-5-4 retail year."""

    date_key: pl.Int32 = column("yyyymmdd.", nullable=False)
    date: pl.Date = column("The day.", nullable=False)
    year: pl.Int32 = column("Calendar year.", nullable=False)
    quarter: pl.Int32 = column("Calendar quarter, 1 to 4.", nullable=False)
    month: pl.Int32 = column("Month, 1 to 12.", nullable=False)
    month_name: str = column("Name of the month.", nullable=False)
    week: pl.Int32 = column("ISO week, 1 to 53.", nullable=False)
    iso_year: pl.Int32 = column("Year of the ISO week.", nullable=False)
    day: pl.Int32 = column("Day of the month.", nullable=False)
    day_of_week: pl.Int32 = column("1 is Monday, 7 is Sunday.", nullable=False)
    day_name: str = column("Name of the day.", nullable=False)
    is_weekend: bool = column("Saturday or Sunday.", nullable=False)
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
    date_key: pl.Int32 = column("The day in dim_date (yyyymmdd).", nullable=False)
    ordered_at: Instant = column("Instant of the order, where the source gives a time.")
    customer_key: int = column("The customer in dim_customer_current; 0 is unknown.", nullable=False)
    product_key: int = column("The product in dim_product_current; 0 is unknown.", nullable=False)
    customer_id: str = column("The source's customer id.")
    product_id: str = column("The source's product id.")
    quantity: int = column("Units; negative on refunds.", nullable=False)
    unit_price: Price = column("Price of one unit.", nullable=False)
    discount_amount: Amount = column("Discount on the line.")
    freight_amount: Amount = column("Freight, not part of the total.")
    total_amount: Amount = column("Amount of the line; negative is a refund.", nullable=False)
    currency: str = column("ISO 4217.", nullable=False)
    transaction_type: str = column("Refund where the amount is negative, else Sale.", nullable=False)
    restocking_fee: Amount = column("Share of a refund that the shop keeps.", nullable=False)
    net_amount: Amount = column("total_amount + restocking_fee.", nullable=False)
    status: str = column(f"One of {', '.join(ORDER_STATUSES)}.", nullable=False)
    payment_method: str = column("How the order was paid.")
    territory: str = column("Territory, as the row gives it.")
    region: str = column("Region, as the row gives it.")
    deal_size: str = column("Deal size, as the row gives it.")


DIM_CUSTOMER = Contract(
    name="dim_customer",
    layer="gold",
    model=CustomerMember,
    partition_column="drop_date",
    key=("source_system", "customer_id"),
)

DIM_PRODUCT = Contract(
    name="dim_product",
    layer="gold",
    model=ProductMember,
    partition_column="drop_date",
    key=("source_system", "product_id"),
)

DIM_CUSTOMER_PUBLISHED = Contract(
    name="dim_customer",
    layer="gold",
    model=DimCustomer,
    partition_column="drop_date",
    key=("customer_version_key",),
)

DIM_PRODUCT_PUBLISHED = Contract(
    name="dim_product",
    layer="gold",
    model=DimProduct,
    partition_column="drop_date",
    key=("product_version_key",),
)

DIM_DATE = Contract(name="dim_date", layer="gold", model=DimDate, partition_column="date", key=("date",))

FACT_SALES = Contract(
    name="fact_sales",
    layer="gold",
    model=FactSales,
    partition_column="order_date",
    key=("source_system", "order_id", "line_number"),
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

GOLD = {contract.name: contract for contract in (DIM_CUSTOMER, DIM_PRODUCT, DIM_DATE, FACT_SALES)}
