"""Snapshot marts about sales: by period, product, family, region and status (rules: TABLES.md, "Marts")."""

from collections.abc import Mapping

import narwhals as nw

from retail_platform.contracts.gold import UNKNOWN_KEY
from retail_platform.contracts.marts import (
    ORDER_STATUS_IMPACT,
    PRODUCT_FAMILY_SALES,
    PRODUCT_PERFORMANCE,
    REGIONAL_SALES,
    SALES_BY_PERIOD,
)
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE
from retail_platform.transforms.facts import known
from retail_platform.transforms.snapshots import (
    PER_SOURCE,
    average,
    dense_rank,
    described,
    share_of,
    with_as_of,
)

_PERIODS: Mapping[tuple[str, str], list[str]] = {
    ("calendar", "week"): ["iso_year", "week"],
    ("calendar", "month"): ["year", "month"],
    ("calendar", "quarter"): ["year", "quarter"],
    ("calendar", "year"): ["year"],
    ("fiscal", "week"): ["fiscal_year", "fiscal_week"],
    ("fiscal", "month"): ["fiscal_year", "fiscal_month"],
    ("fiscal", "quarter"): ["fiscal_year", "fiscal_quarter"],
    ("fiscal", "year"): ["fiscal_year"],
}
_PERIOD = ["calendar", "period_type", "period_start", "period_end"]


def sales_by_period(lines: nw.LazyFrame, days: nw.LazyFrame) -> nw.LazyFrame:
    """Sales by week, month, quarter and year, of the calendar and of the retail year (contract `sales_by_period`).

    Args:
        lines: `lines_seen`.
        days: `dim_date`, from the year before the first line to the year after the last, so that all periods are whole.
    """
    grouped = [_in_periods(lines, days, *name, numbers) for name, numbers in _PERIODS.items()]
    rows = nw.concat(grouped, how="vertical").with_columns(
        (nw.col("sales") - nw.col("refunds") + nw.col("restocking_fees")).alias("net")
    )
    series = [*PER_SOURCE, "calendar", "period_type"]
    before, its_end = (nw.col(name).shift(1).over(*series, order_by="period_start") for name in ("sales", "period_end"))
    rows = rows.with_columns(before.alias("before"), its_end.alias("its_end"))
    is_next = nw.col("its_end").dt.offset_by("1d") == nw.col("period_start")
    base = nw.when(is_next & (nw.col("before") > 0)).then(nw.col("before")).cast(nw.Float64())
    return SALES_BY_PERIOD.cast(
        with_as_of(rows.with_columns((nw.col("sales").cast(nw.Float64()) / base - 1).alias("sales_growth")), lines)
    )


def _in_periods(
    lines: nw.LazyFrame, days: nw.LazyFrame, calendar: str, period_type: str, numbers: list[str]
) -> nw.LazyFrame:
    bounds = days.group_by(numbers).agg(
        nw.col("date").min().alias("period_start"), nw.col("date").max().alias("period_end")
    )
    named = days.select(nw.col("date").alias("order_date"), *numbers).join(bounds, on=numbers, how="left")
    periods = named.select(
        "order_date",
        "period_start",
        "period_end",
        nw.lit(calendar).alias("calendar"),
        nw.lit(period_type).alias("period_type"),
    )
    units = nw.col("quantity").abs()
    counted = lines.with_columns(
        nw.when(nw.col("is_sale")).then(nw.col("quantity")).otherwise(nw.lit(0)).alias("sold_units"),
        nw.when(nw.col("refund") > 0).then(units).otherwise(nw.lit(0)).alias("refunded_units"),
    )
    return (
        counted.join(periods, on="order_date", how="inner")
        .group_by([*PER_SOURCE, *_PERIOD])
        .agg(
            nw.col("sale").sum().alias("sales"),
            nw.col("refund").sum().alias("refunds"),
            nw.col("restocking_fee").sum().alias("restocking_fees"),
            nw.col("sold_units").sum().alias("items_sold"),
            nw.col("refunded_units").sum().alias("items_refunded"),
            known(nw.col("sold_order")).alias("orders"),
            known(nw.col("buyer")).alias("unique_customers"),
        )
    )


def product_performance(lines: nw.LazyFrame, products: nw.LazyFrame) -> nw.LazyFrame:
    """What each product sold in each territory (contract `product_performance`).

    Args:
        lines: `lines_seen`.
        products: The published dim_product.
    """
    market = [*PER_SOURCE, "territory"]
    sold = (
        lines.filter(nw.col("is_sale") & (nw.col("product_key") != UNKNOWN_KEY))
        .group_by([*market, "product_key", "product_id"])
        .agg(
            nw.col("sale").sum().alias("revenue"),
            nw.col("quantity").sum(),
            known(nw.col("sold_order")).alias("order_count"),
        )
    )
    ranked = sold.with_columns(
        average("revenue", "quantity").alias("avg_price"),
        dense_rank("revenue", market).alias("rank"),
        nw.col("revenue").max().over(*market).alias("best_revenue"),
    ).with_columns((nw.col("best_revenue") - nw.col("revenue")).alias("difference_from_best"))
    names = {"product_name": "product_name", "category": "category"}
    labelled = described(ranked, products, key="product_key", day=SNAPSHOT_DATE, take=names)
    return PRODUCT_PERFORMANCE.cast(with_as_of(labelled, lines))


def product_family_sales(lines: nw.LazyFrame, products: nw.LazyFrame) -> nw.LazyFrame:
    """What each product family and category sold (contract `product_family_sales`).

    Args:
        lines: `lines_seen`.
        products: The published dim_product; a line belongs to the family that its product was of on its day.
    """
    sold = (
        lines.filter(nw.col("is_sale") & (nw.col("product_key") != UNKNOWN_KEY))
        .group_by([*PER_SOURCE, "order_date", "product_key"])
        .agg(nw.col("sale").sum().alias("revenue"), nw.col("quantity").sum().alias("units"))
    )
    family = {"product_family": "product_family", "category": "category"}
    labelled = described(sold, products, key="product_key", day="order_date", take=family)
    families = labelled.group_by([*PER_SOURCE, *family]).agg(
        nw.col("revenue").sum(), nw.col("units").sum(), known(nw.col("product_key")).alias("products")
    )
    ranked = families.with_columns(
        share_of("revenue", PER_SOURCE).alias("share"), dense_rank("revenue", PER_SOURCE).alias("rank")
    )
    return PRODUCT_FAMILY_SALES.cast(with_as_of(ranked, lines))


def regional_sales(lines: nw.LazyFrame, customers: nw.LazyFrame) -> nw.LazyFrame:
    """What each region bought (contract `regional_sales`).

    Args:
        lines: `lines_seen`.
        customers: The published dim_customer; where the line names no region, it is the customer's on its day.
    """
    sold = lines.filter(nw.col("is_sale"))
    labelled = described(sold, customers, key="customer_key", day="order_date", take={"region": "home_region"})
    regions = (
        labelled.with_columns(nw.coalesce("region", "home_region").alias("region"))
        .group_by([*PER_SOURCE, "region"])
        .agg(
            known(nw.col("sold_order")).alias("orders"),
            nw.col("sale").sum().alias("revenue"),
            known(nw.col("buyer")).alias("customers"),
        )
    )
    ranked = regions.with_columns(
        average("revenue", "orders").alias("average_order_value"), share_of("revenue", PER_SOURCE).alias("share")
    )
    return REGIONAL_SALES.cast(with_as_of(ranked, lines))


def order_status_impact(lines: nw.LazyFrame) -> nw.LazyFrame:
    """What each order status is worth, and what was lost by it (contract `order_status_impact`), from `lines_seen`."""
    worth = lines.with_columns(nw.col("total_amount").abs().alias("amount")).with_columns(
        (nw.col("amount") - nw.col("sale")).alias("revenue_lost")
    )
    statuses = worth.group_by([*PER_SOURCE, "status"]).agg(
        known(nw.col("order_id")).alias("orders"), nw.col("amount").sum(), nw.col("revenue_lost").sum()
    )
    shared = statuses.with_columns(
        share_of("orders", PER_SOURCE).alias("share_of_orders"),
        share_of("amount", PER_SOURCE).alias("share_of_amount"),
    )
    return ORDER_STATUS_IMPACT.cast(with_as_of(shared, lines))
