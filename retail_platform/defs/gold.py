"""Gold: the star schema over all active sources."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import narwhals as nw

from retail_platform.components.tables import Transform, table_asset
from retail_platform.contracts.gold import DIM_DATE, FACT_ORDERS, FACT_PAYMENTS, FACT_SALES
from retail_platform.contracts.silver import ENTITIES
from retail_platform.platform import Platform, assembled_platform
from retail_platform.serving.duckdb import describe
from retail_platform.transforms.dimensions import DIMENSIONS, Dimension, members
from retail_platform.transforms.facts import fact_orders, fact_payments, fact_sales


@dg.definitions
def gold() -> dg.Definitions:
    """Dimensions and facts."""
    platform = assembled_platform()
    settings, sources = platform.settings, platform.sources

    def of_all_sources(entity: str) -> dict[str, dg.AssetKey]:
        return {
            f"{name}__{table}": dg.AssetKey(["silver", name, table])
            for name, spec in sources.items()
            for table in spec.tables_of(entity)
        }

    dimensions = [
        table_asset(
            dimension.members,
            inputs=of_all_sources(dimension.entity),
            transform=_members_of(dimension),
            start=settings.start_date,
            group="gold",
            unique=[dimension.version_key],
        )
        for dimension in DIMENSIONS
    ]
    days = table_asset(DIM_DATE, inputs={}, transform=_describe, start=settings.start_date, group="gold")
    sales = table_asset(
        FACT_SALES, inputs=of_all_sources("orders"), transform=_sales, start=settings.start_date, group="gold"
    )
    orders = table_asset(
        FACT_ORDERS,
        inputs={"sales": dg.AssetKey(["gold", FACT_SALES.name])},
        transform=_orders,
        start=settings.start_date,
        group="gold",
    )
    payments = table_asset(
        FACT_PAYMENTS, inputs=of_all_sources("payments"), transform=_payments, start=settings.start_date, group="gold"
    )
    return dg.Definitions(assets=[*dimensions, days, sales, orders, payments])


def _members_of(dimension: Dimension) -> Transform:
    def transform(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
        return members(_union(frames, dimension.entity), dimension, platform.engine)

    return transform


def _describe(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return describe(platform, days)


def _sales(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    orders = _union(frames, "orders")
    return fact_sales(orders, restocking_fee_rate=platform.settings.restocking_fee_rate, engine=platform.engine)


def _orders(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return fact_orders(frames["sales"], large_order_amount=platform.settings.large_order_amount, engine=platform.engine)


def _payments(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return fact_payments(_union(frames, "payments"), engine=platform.engine)


def _union(frames: Mapping[str, nw.LazyFrame], entity: str) -> nw.LazyFrame:
    """The sources' rows under one another; no rows where no active source has the entity."""
    empty = nw.from_native(ENTITIES[entity].schema.to_frame().lazy())
    return nw.concat([empty, *frames.values()], how="vertical")
