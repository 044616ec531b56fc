"""Marts: answers computed from gold."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import narwhals as nw

from retail_platform.components.lineage import table_lineage
from retail_platform.components.snapshots import Past, Take, snapshot_asset
from retail_platform.components.tables import table_asset
from retail_platform.contracts.marts import DAILY_SALES, PAYMENT_SUMMARY, SNAPSHOT_MARTS
from retail_platform.platform import Platform, assembled_platform
from retail_platform.settings import Settings
from retail_platform.transforms.affinity import product_affinity
from retail_platform.transforms.customer_marts import Segmentation, customer_cohorts, customer_segments, top_customers
from retail_platform.transforms.marts import daily_sales, payment_summary
from retail_platform.transforms.sales_marts import (
    order_status_impact,
    product_family_sales,
    product_performance,
    regional_sales,
    sales_by_period,
)


@dg.definitions
def marts() -> dg.Definitions:
    """The daily marts, and the snapshots."""
    platform = assembled_platform()
    start, sources = platform.settings.start_date, platform.sources
    daily = table_asset(
        DAILY_SALES,
        inputs={"sales": dg.AssetKey(["gold", "fact_sales"])},
        transform=_daily_sales,
        lineage=table_lineage(DAILY_SALES, sources),
        start=start,
        group="marts",
    )
    payments = table_asset(
        PAYMENT_SUMMARY,
        inputs={"payments": dg.AssetKey(["gold", "fact_payments"])},
        transform=_payment_summary,
        lineage=table_lineage(PAYMENT_SUMMARY, sources),
        start=start,
        group="marts",
    )
    snapshots = [
        snapshot_asset(contract, SNAPSHOTS_TAKEN[name], start=start, lineage=table_lineage(contract, sources))
        for name, contract in SNAPSHOT_MARTS.items()
    ]
    return dg.Definitions(assets=[daily, payments, *snapshots])


def _daily_sales(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return daily_sales(frames["sales"])


def _payment_summary(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return payment_summary(frames["payments"])


def _segmentation(settings: Settings) -> Segmentation:
    return Segmentation(
        high=settings.value_segment_high,
        medium=settings.value_segment_medium,
        upper=settings.percentile_segment_high,
        lower=settings.percentile_segment_low,
    )


def _segments(past: Past) -> nw.LazyFrame:
    return customer_segments(past.lines, _segmentation(past.platform.settings))


def _top_customers(past: Past) -> nw.LazyFrame:
    settings = past.platform.settings
    return top_customers(
        past.lines, past.history.customers, number=settings.top_customers, segmentation=_segmentation(settings)
    )


def _affinity(past: Past) -> nw.LazyFrame:
    platform = past.platform
    return product_affinity(
        past.lines, past.history.products, platform.engine, min_orders=platform.settings.affinity_min_orders
    )


SNAPSHOTS_TAKEN: Mapping[str, Take] = {
    "sales_by_period": lambda past: sales_by_period(past.lines, past.history.days),
    "product_performance": lambda past: product_performance(past.lines, past.history.products),
    "product_family_sales": lambda past: product_family_sales(past.lines, past.history.products),
    "regional_sales": lambda past: regional_sales(past.lines, past.history.customers),
    "order_status_impact": lambda past: order_status_impact(past.lines),
    "customer_segments": _segments,
    "top_customers": _top_customers,
    "customer_cohorts": lambda past: customer_cohorts(past.lines),
    "product_affinity": _affinity,
}
"""Snapshot mart -> what computes it."""
