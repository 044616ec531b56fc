"""Contracts of the marts: the answers that a BI page shows (rules: TABLES.md, "Marts")."""

import narwhals as nw
import polars as pl

from retail_platform.contracts.contract import Contract, Model, column
from retail_platform.contracts.rules import Rule
from retail_platform.contracts.silver import Amount
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE


class DailySales(Model):
    """A day's sales, by territory and status as the rows give them."""

    order_date: pl.Date = column("The day.", nullable=False)
    source_system: str = column("The source.", nullable=False)
    territory: str = column("Territory, as the row gives it.")
    status: str = column("Order status.", nullable=False)
    orders: int = column("Different orders.", nullable=False, of=("order_id",))
    units: int = column("Units sold, less those given back.", nullable=False, of=("quantity", "total_amount"))
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

_PER_SOURCE = (SNAPSHOT_DATE, "source_system")
_SEGMENTS = ("High", "Medium", "Low")
_EXACT = 1e-9
_SALES = ("total_amount", "status")
_BUYERS = ("customer_key", *_SALES)
_ORDERS = ("order_id", *_SALES)


class Snapshot(Model):
    """A mart as of the end of a day, over all history up to it."""

    snapshot_date: pl.Date = column("The day at whose end the snapshot was taken.", nullable=False, of=("order_date",))
    as_of: pl.Date = column("The source's newest day of facts up to then.", nullable=False, of=("order_date",))
    source_system: str = column("The source.", nullable=False)


class SalesByPeriod(Snapshot):
    """Sales by week, month, quarter and year, of the calendar (weeks from Monday) and of the 4-5-4 retail year."""

    calendar: str = column("calendar or fiscal.", nullable=False, of=("dim_date.date", "dim_date.fiscal_year"))
    period_type: str = column("week, month, quarter or year.", nullable=False, of=("dim_date.date",))
    period_start: pl.Date = column("First day of the period.", nullable=False, of=("order_date", "dim_date.date"))
    period_end: pl.Date = column("Last day of the period.", nullable=False, of=("order_date", "dim_date.date"))
    sales: Amount = column("Positive amounts of Completed and Open orders.", nullable=False, of=_SALES)
    refunds: Amount = column("Absolute of the negative amounts.", nullable=False, of=("total_amount",))
    restocking_fees: Amount = column("What the shop keeps of refunds.", nullable=False, of=("restocking_fee",))
    net: Amount = column("sales - refunds + restocking_fees.", nullable=False, of=(*_SALES, "restocking_fee"))
    items_sold: int = column("Units of the sales.", nullable=False, of=("quantity", *_SALES))
    items_refunded: int = column("Units of the refunds.", nullable=False, of=("quantity", "total_amount"))
    orders: int = column("Different orders with a sale.", nullable=False, of=_ORDERS)
    unique_customers: int = column("Different known customers with a sale.", nullable=False, of=_BUYERS)
    sales_growth: float = column(
        "Growth of sales to the period just before (0.1 is a tenth more); null where that one has none.", of=_SALES
    )


class ProductPerformance(Snapshot):
    """What each product sold in each territory, and how far it is from the best there."""

    territory: str = column("Territory, as the rows give it.")
    product_key: int = column("The product in dim_product_current.", nullable=False)
    product_id: str = column("The source's own id.", nullable=False)
    product_name: str = column("Name.", of=("dim_product.product_name",))
    category: str = column("Category.", of=("dim_product.category",))
    revenue: Amount = column("Sales.", nullable=False, of=_SALES)
    quantity: int = column("Units sold.", nullable=False, of=("quantity", *_SALES))
    order_count: int = column("Different orders with a sale of it.", nullable=False, of=_ORDERS)
    avg_price: Amount = column("revenue / quantity.", of=("quantity", *_SALES))
    rank: int = column("By revenue within the territory: 1 is best, equals share one.", nullable=False, of=_SALES)
    best_revenue: Amount = column("The highest revenue in the territory.", nullable=False, of=_SALES)
    difference_from_best: Amount = column("best_revenue - revenue.", nullable=False, of=_SALES)


class ProductFamilySales(Snapshot):
    """What each product family and category sold."""

    product_family: str = column("Product family, as of the line's day.", of=("dim_product.product_family",))
    category: str = column("Category, as of the line's day.", of=("dim_product.category",))
    revenue: Amount = column("Sales.", nullable=False, of=_SALES)
    units: int = column("Units sold.", nullable=False, of=("quantity", *_SALES))
    products: int = column("Different products sold.", nullable=False, of=("product_key", *_SALES))
    share: float = column("Part of the source's revenue, 0 to 1.", nullable=False, of=_SALES)
    rank: int = column("By revenue: 1 is best, equals share one.", nullable=False, of=_SALES)


class RegionalSales(Snapshot):
    """What each region bought: the region that the line names, else the customer's on its day."""

    region: str = column("Region; null where neither is known.", of=("region", "dim_customer.region"))
    orders: int = column("Different orders with a sale.", nullable=False, of=_ORDERS)
    revenue: Amount = column("Sales.", nullable=False, of=_SALES)
    average_order_value: Amount = column("revenue / orders.", nullable=False, of=_ORDERS)
    customers: int = column("Different known customers with a sale.", nullable=False, of=_BUYERS)
    share: float = column("Part of the source's revenue, 0 to 1.", nullable=False, of=_SALES)


class OrderStatusImpact(Snapshot):
    """What each order status is worth, and what was lost by it."""

    status: str = column("Order status.", nullable=False)
    orders: int = column("Different orders with a line of this status.", nullable=False, of=("order_id", "status"))
    amount: Amount = column("Amounts, those of refunds as positive.", nullable=False, of=("total_amount",))
    share_of_orders: float = column("Part of all statuses' orders, 0 to 1.", nullable=False, of=("order_id", "status"))
    share_of_amount: float = column("Part of all statuses' amounts, 0 to 1.", nullable=False, of=("total_amount",))
    revenue_lost: Amount = column(
        "Refunds, and what was ordered and neither Completed nor Open.", nullable=False, of=_SALES
    )


class CustomerSegments(Snapshot):
    """What each customer is worth: known customers with at least one sale, each in one segment of each kind."""

    customer_key: int = column("The customer in dim_customer_current.", nullable=False)
    customer_id: str = column("The source's own id.", nullable=False)
    total_spent: Amount = column("Sales.", nullable=False, of=_SALES)
    order_count: int = column("Different orders with a sale.", nullable=False, of=_ORDERS)
    avg_order_value: Amount = column("total_spent / order_count.", nullable=False, of=_ORDERS)
    first_order_date: pl.Date = column("Day of the first sale.", nullable=False, of=("order_date", *_SALES))
    last_order_date: pl.Date = column("Day of the last sale.", nullable=False, of=("order_date", *_SALES))
    recency_days: int = column("Days from the last sale to as_of.", nullable=False, of=("order_date", *_SALES))
    unique_products: int = column("Different products bought.", nullable=False, of=("product_id", *_SALES))
    value_segment: str = column(
        "High from 10,000 spent on, Medium from 5,000 on, else Low (RETAIL_VALUE_SEGMENT_*).", nullable=False, of=_SALES
    )
    percentile_segment: str = column(
        "By what the source's customers spent: High above the 67th percentile, Medium above the 33rd, else Low "
        "(RETAIL_PERCENTILE_SEGMENT_*).",
        nullable=False,
        of=_SALES,
    )
    recency_score: int = column(
        "1 to 5: the quintile of the last sale, 5 the latest.", nullable=False, of=("order_date",)
    )
    frequency_score: int = column("1 to 5: the quintile of order_count, 5 the most.", nullable=False, of=_ORDERS)
    monetary_score: int = column("1 to 5: the quintile of total_spent, 5 the most.", nullable=False, of=_SALES)
    is_repeat: bool = column("Whether there is more than one order.", nullable=False, of=_ORDERS)


class TopCustomers(Snapshot):
    """The customers who spent most (RETAIL_TOP_CUSTOMERS of each source), with names and addresses masked."""

    rank: int = column("1 is who spent most; who spent the same stands in the order of ids.", nullable=False, of=_SALES)
    customer_key: int = column("The customer in dim_customer_current.", nullable=False)
    customer_id: str = column("The source's own id.", nullable=False)
    customer_name: str = column("First letters of the name.", of=("dim_customer.full_name",))
    email: str = column("E-mail address: first letter and domain.", of=("dim_customer.email",))
    total_spent: Amount = column("Sales.", nullable=False, of=_SALES)
    order_count: int = column("Different orders with a sale.", nullable=False, of=_ORDERS)
    share: float = column("Part of what all known customers of the source spent, 0 to 1.", nullable=False, of=_SALES)
    value_segment: str = column("As in customer_segments.", nullable=False, of=_SALES)
    last_order_date: pl.Date = column("Day of the last sale.", nullable=False, of=("order_date", *_SALES))


class CustomerCohorts(Snapshot):
    """What became of the customers whose first order was in a month: who bought again so many months later."""

    cohort_month: pl.Date = column("First day of the month of the first sale.", nullable=False, of=("order_date",))
    months_since: int = column("Months since then; 0 is that month.", nullable=False, of=("order_date",))
    cohort_size: int = column("Customers of the cohort.", nullable=False, of=_BUYERS)
    customers: int = column("Those who bought in the month.", nullable=False, of=_BUYERS)
    orders: int = column("Their different orders in the month.", nullable=False, of=_ORDERS)
    revenue: Amount = column("Sales to them in the month.", nullable=False, of=_SALES)
    retention: float = column("customers / cohort_size.", nullable=False, of=_BUYERS)


class ProductAffinity(Snapshot):
    """Pairs of products bought in the same order, in 20 or more (RETAIL_AFFINITY_MIN_ORDERS), either way round."""

    product_key: int = column("A product in dim_product_current.", nullable=False)
    product_id: str = column("The source's own id.", nullable=False)
    product_name: str = column("Name.", of=("dim_product.product_name",))
    other_product_key: int = column("The product bought with it.", nullable=False, of=("product_key",))
    other_product_id: str = column("The source's own id.", nullable=False, of=("product_id",))
    other_product_name: str = column("Name.", of=("dim_product.product_name",))
    orders_together: int = column("Different orders with both.", nullable=False, of=_ORDERS)
    orders: int = column("Different orders with the product.", nullable=False, of=_ORDERS)
    support: float = column("orders_together / all orders with a sale.", nullable=False, of=_ORDERS)
    confidence: float = column(
        "orders_together / orders: how often the other is bought, too.", nullable=False, of=_ORDERS
    )
    lift: float = column(
        "confidence / part of all orders that have the other: above 1 they go together.", nullable=False, of=_ORDERS
    )


def _shares(name: str, within: tuple[str, ...] = _PER_SOURCE) -> Rule:
    return Rule(
        name=f"{name}_adds_up_to_one",
        columns=(name, *within),
        broken=((nw.col(name).sum().over(*within) - 1).abs() > _EXACT)
        # A source that sold nothing has nothing to share.
        & (nw.col(name).abs().sum().over(*within) > 0),
        says=f"A source's {name} adds up to 1.",
        outcome="block",
    )


def _dense(within: tuple[str, ...]) -> Rule:
    best = nw.col("revenue").max().over(*within)
    return Rule(
        name="ranks_are_dense",
        columns=("rank", "revenue", *within),
        broken=(nw.col("rank").min().over(*within) != 1)
        | (nw.col("rank").max().over(*within) != nw.col("revenue").n_unique().over(*within).cast(nw.Int64()))
        | ((nw.col("rank") == 1) != (nw.col("revenue") == best)),
        says="Ranks go from 1 on without gaps, and 1 is the highest revenue.",
        outcome="block",
    )


def _within(name: str, low: float, high: float) -> nw.Expr:
    return (nw.col(name) < low) | (nw.col(name) > high + _EXACT)


def _most_spent(segment: str) -> nw.Expr:
    spent = nw.when(nw.col("percentile_segment") == segment).then(nw.col("total_spent"))
    return spent.max().over(*_PER_SOURCE)


def _least_spent(*segments: str) -> nw.Expr:
    spent = nw.when(nw.col("percentile_segment").is_in(segments)).then(nw.col("total_spent"))
    return spent.min().over(*_PER_SOURCE)


def _snapshot(
    model: type[Snapshot], name: str, key: tuple[str, ...], *rules: Rule, of: tuple[str, ...] = ()
) -> Contract:
    return Contract(
        name=name,
        layer="marts",
        model=model,
        partition_column=SNAPSHOT_DATE,
        key=("source_system", *key),
        rules=rules,
        upstream=("fact_sales", *of),
    )


SALES_BY_PERIOD = _snapshot(
    SalesByPeriod,
    "sales_by_period",
    ("calendar", "period_type", "period_start"),
    Rule(
        name="period_net_adds_up",
        columns=("net", "sales", "refunds", "restocking_fees"),
        broken=nw.col("net") != nw.col("sales") - nw.col("refunds") + nw.col("restocking_fees"),
        says="net is sales - refunds + restocking_fees.",
        outcome="block",
    ),
    Rule(
        name="every_period_type_adds_up",
        columns=("sales", *_PER_SOURCE, "calendar", "period_type"),
        broken=(
            nw.col("sales").sum().over(*_PER_SOURCE, "calendar", "period_type")
            != nw.col("sales").sum().over(*_PER_SOURCE, "calendar").cast(nw.Decimal(38, 2)) / 4
        ),
        says="Weeks, months, quarters and years of a calendar add up to the same sales.",
        outcome="block",
    ),
    Rule(
        name="period_is_in_order",
        columns=("period_start", "period_end", "as_of"),
        broken=(nw.col("period_start") > nw.col("period_end")) | (nw.col("period_start") > nw.col("as_of")),
        says="A period begins before it ends, and not after the newest facts.",
        outcome="block",
    ),
    of=("dim_date",),
)

PRODUCT_PERFORMANCE = _snapshot(
    ProductPerformance,
    "product_performance",
    ("territory", "product_key"),
    _dense((*_PER_SOURCE, "territory")),
    Rule(
        name="difference_is_from_best",
        columns=("difference_from_best", "best_revenue", "revenue"),
        broken=nw.col("difference_from_best") != nw.col("best_revenue") - nw.col("revenue"),
        says="difference_from_best is best_revenue - revenue.",
        outcome="block",
    ),
    of=("dim_product",),
)

PRODUCT_FAMILY_SALES = _snapshot(
    ProductFamilySales,
    "product_family_sales",
    ("product_family", "category"),
    _shares("share"),
    _dense(_PER_SOURCE),
    of=("dim_product",),
)

REGIONAL_SALES = _snapshot(
    RegionalSales,
    "regional_sales",
    ("region",),
    _shares("share"),
    Rule(
        name="average_fits",
        columns=("average_order_value", "revenue", "orders"),
        # Half a cent for each order, by which the average may have been rounded.
        broken=(nw.col("average_order_value") * nw.col("orders") - nw.col("revenue")).abs().cast(nw.Float64())
        > nw.col("orders").cast(nw.Float64()) * 0.005 + _EXACT,
        says="average_order_value is revenue / orders.",
        outcome="block",
    ),
    of=("dim_customer",),
)

ORDER_STATUS_IMPACT = _snapshot(
    OrderStatusImpact,
    "order_status_impact",
    ("status",),
    _shares("share_of_orders"),
    _shares("share_of_amount"),
    Rule(
        name="lost_is_within_amount",
        columns=("revenue_lost", "amount"),
        broken=(nw.col("revenue_lost") < 0) | (nw.col("revenue_lost") > nw.col("amount")),
        says="No more was lost than was ordered.",
        outcome="block",
    ),
)

CUSTOMER_SEGMENTS = _snapshot(
    CustomerSegments,
    "customer_segments",
    ("customer_key",),
    Rule(
        name="segments_are_known",
        columns=("value_segment", "percentile_segment"),
        broken=~nw.col("value_segment").is_in(_SEGMENTS) | ~nw.col("percentile_segment").is_in(_SEGMENTS),
        says=f"Each customer is in one of the segments {', '.join(_SEGMENTS)}.",
        outcome="block",
    ),
    Rule(
        name="percentiles_are_in_order",
        columns=("percentile_segment", "total_spent", *_PER_SOURCE),
        broken=_most_spent("Low") >= _least_spent("Medium", "High"),
        says="Nobody in a lower percentile segment has spent more than somebody in a higher one.",
        outcome="block",
    ),
    Rule(
        name="scores_are_quintiles",
        columns=("recency_score", "frequency_score", "monetary_score"),
        broken=nw.any_horizontal(
            *(_within(name, 1, 5) for name in ("recency_score", "frequency_score", "monetary_score")),
            ignore_nulls=True,
        ),
        says="Scores are from 1 to 5.",
        outcome="block",
    ),
    Rule(
        name="repeat_is_more_than_one_order",
        columns=("is_repeat", "order_count"),
        broken=(nw.col("order_count") < 1) | (nw.col("is_repeat") != (nw.col("order_count") > 1)),
        says="Who has more than one order is a repeat customer, and nobody else.",
        outcome="block",
    ),
)

TOP_CUSTOMERS = _snapshot(
    TopCustomers,
    "top_customers",
    ("customer_key",),
    Rule(
        name="ranks_have_no_gaps",
        columns=("rank", *_PER_SOURCE),
        broken=(nw.col("rank").min().over(*_PER_SOURCE) != 1)
        | (nw.col("rank").max().over(*_PER_SOURCE) != nw.col("rank").count().over(*_PER_SOURCE).cast(nw.Int64()))
        | (nw.col("rank").n_unique().over(*_PER_SOURCE) != nw.col("rank").count().over(*_PER_SOURCE)),
        says="Ranks go from 1 on, one for each customer.",
        outcome="block",
    ),
    Rule(
        name="rank_follows_spending",
        columns=("rank", "total_spent", *_PER_SOURCE),
        broken=nw.col("total_spent") > nw.col("total_spent").shift(1).over(*_PER_SOURCE, order_by="rank"),
        says="Nobody has spent more than who ranks before.",
        outcome="block",
    ),
    Rule(
        name="shares_are_parts",
        columns=("share", *_PER_SOURCE),
        broken=_within("share", 0, 1) | (nw.col("share").sum().over(*_PER_SOURCE) > 1 + _EXACT),
        says="The shares of the top customers add up to no more than 1.",
        outcome="block",
    ),
    of=("dim_customer",),
)

CUSTOMER_COHORTS = _snapshot(
    CustomerCohorts,
    "customer_cohorts",
    ("cohort_month", "months_since"),
    Rule(
        name="first_month_is_the_cohort",
        columns=("months_since", "customers", "cohort_size"),
        broken=(nw.col("months_since") < 0)
        | ((nw.col("months_since") == 0) & (nw.col("customers") != nw.col("cohort_size")))
        | (nw.col("customers") > nw.col("cohort_size")),
        says="In its first month a cohort is whole, and later it is no larger.",
        outcome="block",
    ),
    Rule(
        name="retention_is_a_part",
        columns=("retention",),
        broken=_within("retention", 0, 1),
        says="retention is from 0 to 1.",
        outcome="block",
    ),
)

PRODUCT_AFFINITY = _snapshot(
    ProductAffinity,
    "product_affinity",
    ("product_key", "other_product_key"),
    Rule(
        name="pairs_are_of_two",
        columns=("product_key", "other_product_key"),
        broken=nw.col("product_key") == nw.col("other_product_key"),
        says="A pair is of two products.",
        outcome="block",
    ),
    Rule(
        name="confidence_is_a_part",
        columns=("support", "confidence", "lift"),
        broken=_within("confidence", 0, 1)
        | (nw.col("support") > nw.col("confidence") + _EXACT)
        | (nw.col("lift") <= 0),
        says="Not more orders have both products than have one of them.",
        outcome="block",
    ),
    of=("dim_product",),
)

DAILY_MARTS = {contract.name: contract for contract in (DAILY_SALES, PAYMENT_SUMMARY)}
"""Marts whose grain is the day."""

SNAPSHOT_MARTS = {
    contract.name: contract
    for contract in (
        SALES_BY_PERIOD,
        PRODUCT_PERFORMANCE,
        PRODUCT_FAMILY_SALES,
        REGIONAL_SALES,
        ORDER_STATUS_IMPACT,
        CUSTOMER_SEGMENTS,
        TOP_CUSTOMERS,
        CUSTOMER_COHORTS,
        PRODUCT_AFFINITY,
    )
}
"""Marts as of the end of a day, over all history up to it."""

MARTS = DAILY_MARTS | SNAPSHOT_MARTS
