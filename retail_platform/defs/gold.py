"""Gold: the star schema over all active sources."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import narwhals as nw

from retail_platform.components.lineage import table_lineage
from retail_platform.components.tables import Transform, table_asset
from retail_platform.contracts.contract import Contract
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

    def table(contract: Contract, inputs: Mapping[str, dg.AssetKey], transform: Transform) -> dg.AssetsDefinition:
        lineage = table_lineage(contract, sources)
        return table_asset(
            contract, inputs=inputs, transform=transform, start=settings.start_date, group="gold", lineage=lineage
        )

    dimensions = [
        table_asset(
            dimension.members,
            inputs=of_all_sources(dimension.entity),
            transform=_members_of(dimension),
            start=settings.start_date,
            group="gold",
            unique=[dimension.version_key],
            lineage=table_lineage(dimension.members, sources),
        )
        for dimension in DIMENSIONS
    ]
    days = table_asset(
        DIM_DATE,
        inputs={},
        # Calendars are delivered once for years: they are read whole.
        deps=of_all_sources("calendar").values(),
        transform=_describe,
        start=settings.start_date,
        group="gold",
        lineage=table_lineage(DIM_DATE, sources),
    )
    sales = {"sales": dg.AssetKey(["gold", FACT_SALES.name])}
    facts = [
        table(FACT_SALES, of_all_sources("orders"), _sales),
        table(FACT_ORDERS, sales | of_all_sources("order_headers"), _orders),
        table(FACT_PAYMENTS, of_all_sources("payments"), _payments),
    ]
    return dg.Definitions(assets=[*dimensions, days, *facts])


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
    headers = {name: frame for name, frame in frames.items() if name != "sales"}
    return fact_orders(
        frames["sales"],
        _union(headers, "order_headers"),
        large_order_amount=platform.settings.large_order_amount,
        engine=platform.engine,
    )


def _payments(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return fact_payments(_union(frames, "payments"), engine=platform.engine)


def _union(frames: Mapping[str, nw.LazyFrame], entity: str) -> nw.LazyFrame:
    """The sources' rows under one another; no rows where no active source has the entity."""
    empty = nw.from_native(ENTITIES[entity].schema.to_frame().lazy())
    return nw.concat([empty, *frames.values()], how="vertical")
