"""Marts: answers computed from gold."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import narwhals as nw

from retail_platform.components.tables import table_asset
from retail_platform.contracts.marts import DAILY_SALES, PAYMENT_SUMMARY
from retail_platform.platform import Platform, assembled_platform
from retail_platform.transforms.marts import daily_sales, payment_summary


@dg.definitions
def marts() -> dg.Definitions:
    """The daily marts."""
    daily = table_asset(
        DAILY_SALES,
        inputs={"sales": dg.AssetKey(["gold", "fact_sales"])},
        transform=_daily_sales,
        start=assembled_platform().settings.start_date,
        group="marts",
    )
    payments = table_asset(
        PAYMENT_SUMMARY,
        inputs={"payments": dg.AssetKey(["gold", "fact_payments"])},
        transform=_payment_summary,
        start=assembled_platform().settings.start_date,
        group="marts",
    )
    return dg.Definitions(assets=[daily, payments])


def _daily_sales(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return daily_sales(frames["sales"])


def _payment_summary(platform: Platform, frames: Mapping[str, nw.LazyFrame], days: list[date]) -> nw.LazyFrame:  # noqa: ARG001
    return payment_summary(frames["payments"])
