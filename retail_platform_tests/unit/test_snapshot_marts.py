"""Snapshot marts: each agrees with SQL that somebody else might have written, on a shop full of awkward cases."""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise

import duckdb
import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.contracts.gold import DIM_CUSTOMER_PUBLISHED, DIM_PRODUCT_PUBLISHED
from retail_platform.contracts.marts import SNAPSHOT_MARTS
from retail_platform.contracts.silver import CUSTOMERS, ORDERS, PRODUCTS
from retail_platform.transforms.affinity import product_affinity
from retail_platform.transforms.calendar import describe_days
from retail_platform.transforms.customer_marts import Segmentation, customer_cohorts, customer_segments, top_customers
from retail_platform.transforms.dimensions import CUSTOMER, PRODUCT, members, publish
from retail_platform.transforms.facts import fact_sales
from retail_platform.transforms.sales_marts import (
    order_status_impact,
    product_family_sales,
    product_performance,
    regional_sales,
    sales_by_period,
)
from retail_platform.transforms.snapshots import lines_seen
from retail_platform_tests.mart_sql import MART_SQL, assert_agrees
from retail_platform_tests.unit.frames import ENGINE, collect, silver

FIRST, LAST = date(2023, 11, 20), date(2024, 3, 10)
SEGMENTS = Segmentation(high=Decimal(10_000), medium=Decimal(5_000), upper=0.67, lower=0.33)


@cache
def sales() -> pl.DataFrame:
    """Facts of two sources: sales, refunds, cancelled and open orders, ties, and lines of nobody and of nothing."""
    chance = random.Random(11)
    rows = []
    for number in range(900):
        day = FIRST + timedelta(days=chance.randrange((LAST - FIRST).days + 1))
        source = chance.choice(["shop", "other"])
        status = chance.choices(["Completed", "Open", "Cancelled", "Returned"], [8, 2, 1, 1])[0]
        customer = chance.choice([None, *(f"C{one}" for one in range(25))])
        for line in range(1, chance.randrange(2, 6)):
            quantity = chance.choice([1, 1, 2, 5])
            price = chance.choice(["9.99", "10.00", "250.00", "0.335"])
            amount = (quantity * Decimal(price)).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
            is_refund = chance.random() < 0.1
            rows.append(
                {
                    "source_system": source,
                    "order_id": f"O{number}",
                    "line_number": line,
                    "order_date": day,
                    "customer_id": customer,
                    "product_id": chance.choice([None, *(f"P{one}" for one in range(8))]),
                    "quantity": -quantity if is_refund else quantity,
                    "unit_price": price,
                    "total_amount": str(-amount if is_refund else amount),
                    "currency": "USD",
                    "status": status,
                    "territory": chance.choice(["EMEA", "NA", None]),
                    "region": chance.choice(["West", None, None]),
                }
            )
    return collect(fact_sales(silver(ORDERS, rows), restocking_fee_rate=Decimal("0.10"), engine=ENGINE))


@cache
def customers() -> pl.DataFrame:
    """The published dimension: some in two versions, some not known at all."""
    rows = [
        {
            "customer_id": f"C{one}",
            "drop_date": day,
            "full_name": f"Customer {one}",
            "email": f"c{one}@example.com",
            "region": region if one % 5 else None,
            "source_system": source,
        }
        for source in ("shop", "other")
        for one in range(22)
        for day, region in ((date(2023, 12, 1), "North"), (date(2024, 1, 15), "South" if one % 2 else "North"))
    ]
    whole = publish(members(silver(CUSTOMERS, rows), CUSTOMER, ENGINE), _nobody(CUSTOMER.key), CUSTOMER, ENGINE)
    return DIM_CUSTOMER_PUBLISHED.validate(collect(whole))


@cache
def products() -> pl.DataFrame:
    """The published dimension: some change their category."""
    rows = [
        {
            "product_id": f"P{one}",
            "drop_date": day,
            "product_name": f"Product {one} of {day}",
            "category": category if one % 2 else "Home",
            "product_family": f"F{one % 3}",
        }
        for one in range(7)
        for day, category in ((date(2023, 12, 1), "Garden"), (date(2024, 2, 1), "Light"))
    ]
    whole = publish(members(silver(PRODUCTS, rows), PRODUCT, ENGINE), _nobody(PRODUCT.key), PRODUCT, ENGINE)
    return DIM_PRODUCT_PUBLISHED.validate(collect(whole))


def _nobody(key: str) -> nw.LazyFrame:
    schema = {key: pl.Int64, "source_system": pl.String, key.replace("_key", "_id"): pl.String}
    return nw.from_native(pl.LazyFrame(schema=schema))


def calendar() -> pl.DataFrame:
    days = pl.DataFrame({"date": pl.date_range(date(2022, 1, 1), date(2025, 12, 31), eager=True)})
    return collect(describe_days(nw.from_native(days.lazy())))


def lazily(frame: pl.DataFrame) -> nw.LazyFrame:
    return nw.from_native(frame.lazy())


def marts(*days: date) -> Mapping[str, pl.DataFrame]:
    """Every mart for these days, each validated against its contract."""
    lines = lines_seen(lazily(sales()), lazily(pl.DataFrame({"snapshot_date": days})))
    taken = {
        "sales_by_period": sales_by_period(lines, lazily(calendar())),
        "product_performance": product_performance(lines, lazily(products())),
        "product_family_sales": product_family_sales(lines, lazily(products())),
        "regional_sales": regional_sales(lines, lazily(customers())),
        "order_status_impact": order_status_impact(lines),
        "customer_segments": customer_segments(lines, SEGMENTS),
        "top_customers": top_customers(lines, lazily(customers()), number=100, segmentation=SEGMENTS),
        "customer_cohorts": customer_cohorts(lines),
        "product_affinity": product_affinity(lines, lazily(products()), ENGINE, min_orders=20),
    }
    return {name: SNAPSHOT_MARTS[name].validate(collect(frame)) for name, frame in taken.items()}


def by_sql(name: str, day: date) -> pl.DataFrame:
    """A mart as DuckDB works it out."""
    with duckdb.connect() as con:
        con.sql("CREATE SCHEMA gold")
        tables = {"fact_sales": sales(), "dim_customer": customers(), "dim_product": products(), "dim_date": calendar()}
        for table, frame in tables.items():
            con.register("rows", frame.to_arrow())
            con.sql(f"CREATE TABLE gold.{table} AS FROM rows")
        return con.sql(MART_SQL[name], params={"day": day}).pl()


@pytest.mark.parametrize("day", [date(2024, 2, 20), LAST])
@pytest.mark.parametrize("name", SNAPSHOT_MARTS)
def test_a_mart_agrees_with_sql(name: str, day: date):
    assert_agrees(name, marts(day)[name].filter(pl.col("snapshot_date") == day), by_sql(name, day))


@pytest.mark.parametrize("name", SNAPSHOT_MARTS)
def test_a_range_is_its_days_one_by_one(name: str):
    days = [date(2023, 11, 19), date(2023, 11, 20), date(2024, 1, 1), date(2024, 2, 29), date(2024, 5, 1)]
    alone = pl.concat([marts(day)[name] for day in days])
    key = ["snapshot_date", *SNAPSHOT_MARTS[name].key]
    assert_frame_equal(marts(*days)[name].sort(key, nulls_last=True), alone.sort(key, nulls_last=True))


def test_as_of_is_the_newest_day_of_the_source_that_the_snapshot_sees():
    found = marts(date(2024, 5, 1))["order_status_impact"].select("source_system", "as_of").unique()
    newest = sales().group_by("source_system").agg(pl.col("order_date").max().alias("as_of"))
    assert_frame_equal(found, newest, check_row_order=False)


def test_growth_is_to_the_period_just_before():
    months = marts(LAST)["sales_by_period"].filter(
        (pl.col("calendar") == "calendar") & (pl.col("period_type") == "month") & (pl.col("source_system") == "shop")
    )
    sold = months.sort("period_start")["sales"].cast(pl.Float64).to_list()
    expected = [None, *(now / before - 1 for before, now in pairwise(sold))]
    assert months.sort("period_start")["sales_growth"].to_list() == pytest.approx(expected)


def test_a_day_on_which_no_version_holds_loses_no_sale():
    """A source that states validity itself may leave gaps."""
    gap = products().filter((pl.col("product_id") != "P1") | (pl.col("valid_from") > date(2024, 1, 1)))
    lines = lines_seen(lazily(sales()), lazily(pl.DataFrame({"snapshot_date": [LAST]})))
    found = collect(product_family_sales(lines, lazily(gap)))
    whole = collect(product_family_sales(lines, lazily(products())))
    assert found["revenue"].sum() == whole["revenue"].sum()
    assert found["units"].sum() == whole["units"].sum()
