"""The real files of olist: lines and payments without a date of their own, counted again by plain Polars."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests.e2e.real_files import LANDING, RealDataStore, real_files
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow

STATUSES = {"delivered": "Completed", "canceled": "Cancelled", "unavailable": "Cancelled"}


@pytest.fixture(scope="module")
def loaded(real: RealDataStore) -> Iterator[Shop]:
    """A platform that has loaded olist alone from an empty folder."""
    with real.alone("olist").shop() as shop:
        yield shop


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Mapping[str, pl.DataFrame]:
    """The files, read by Polars alone."""
    return {
        feed: pl.concat(pl.read_csv(file, infer_schema=False) for file in real_files(real_data, "olist", feed))
        for feed in LANDING["olist"]
    }


def test_every_row_is_somewhere(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """All rows of the files are in bronze, and in silver, quarantine, or superseded by another; the books balance."""
    for feed, rows in raw.items():
        assert loaded.rows(f"SELECT count(*) FROM bronze.olist_{feed}") == [(rows.height,)]
    books = """
        SELECT entity, sum(bronze_rows), sum(silver_rows), sum(quarantined_rows), sum(superseded_rows),
            count(*) FILTER (bronze_rows <> silver_rows + quarantined_rows + superseded_rows),
            count(*) FILTER (bronze_rows > 0)
        FROM ops.books GROUP BY ALL ORDER BY ALL
    """
    customers = raw["customers"]
    persons = customers["customer_unique_id"].n_unique()
    days = raw["orders"]["order_purchase_timestamp"].str.slice(0, 10).n_unique()
    with_items = raw["orders"].join(raw["order_items"], on="order_id", how="semi")
    days_with_items = with_items["order_purchase_timestamp"].str.slice(0, 10).n_unique()
    assert loaded.rows(books) == [
        ("customers", customers.height, persons, 0, customers.height - persons, 0, 1),
        ("order_headers", 8_135, 8_135, 0, 0, 0, days),
        ("orders", 8_365, 8_365, 0, 0, 0, days_with_items),
        ("payments", 8_924, 8_924, 0, 0, 0, days),
        ("products", 5_460, 5_460, 0, 0, 0, 1),
    ]


def test_lines_are_what_plain_polars_makes_of_the_files(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """Every line, with the day, person and status that its order gives it."""
    orders = raw["orders"].join(raw["customers"], on="customer_id")
    expected = (
        raw["order_items"]
        .join(orders, on="order_id")
        .select(
            "order_id",
            pl.col("order_item_id").cast(pl.Int64).alias("line_number"),
            pl.col("order_purchase_timestamp").str.slice(0, 10).str.to_date().alias("order_date"),
            pl.col("customer_unique_id").alias("customer_id"),
            "product_id",
            pl.col("price").cast(pl.Decimal(18, 2)).alias("total_amount"),
            pl.col("freight_value").cast(pl.Decimal(18, 2)).alias("freight_amount"),
            pl.col("order_status").replace_strict(STATUSES, default="Open").alias("status"),
        )
    )
    facts = loaded.frame("FROM gold.fact_sales").select(expected.columns)
    assert_frame_equal(facts, expected, check_row_order=False)
    assert expected["total_amount"].sum() == Decimal("1093264.35")
    assert expected["freight_amount"].sum() == Decimal("172288.39")


def test_payments_are_dated_by_their_order(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """Every payment, on the day of its order."""
    expected = (
        raw["order_payments"]
        .join(raw["orders"], on="order_id")
        .select(
            "order_id",
            pl.col("payment_sequential").alias("payment_number"),
            pl.col("order_purchase_timestamp").str.slice(0, 10).str.to_date().alias("payment_date"),
            pl.col("payment_type").alias("payment_method"),
            pl.col("payment_installments").cast(pl.Int64).alias("installments"),
            pl.col("payment_value").cast(pl.Decimal(18, 2)).alias("amount"),
        )
    )
    payments = loaded.frame("FROM silver.olist_payments").select(expected.columns)
    assert_frame_equal(payments, expected, check_row_order=False)
    assert expected["amount"].sum() == Decimal("1428602.81")


def test_orders_without_items_are_among_the_order_headers(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """8,135 orders come in, 775 of them without an item."""
    without = "SELECT order_id FROM silver.olist_order_headers ANTI JOIN silver.olist_orders USING (order_id)"
    expected = raw["orders"].join(raw["order_items"], on="order_id", how="anti").select("order_id")
    assert_frame_equal(loaded.frame(without), expected, check_row_order=False)
    assert expected.height == 775
    first_and_last = "SELECT count(*), min(order_date), max(order_date) FROM silver.olist_order_headers"
    assert loaded.rows(first_and_last) == [(8_135, date(2016, 9, 4), date(2018, 10, 17))]


def test_a_customer_is_a_person(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """One member per customer_unique_id, and every line's customer and product is among them."""
    persons = raw["customers"]["customer_unique_id"].n_unique()
    members = "SELECT count(*), count(DISTINCT customer_id) FROM gold.dim_customer_current WHERE customer_key <> 0"
    assert loaded.rows(members) == [(persons, persons)]
    inferred = "SELECT count(*) FROM {} WHERE is_inferred AND source_system <> 'unknown'"
    assert loaded.rows(inferred.format("gold.dim_customer_current")) == [(0,)]
    assert loaded.rows(inferred.format("gold.dim_product_current")) == [(0,)]


def test_categories_are_in_english_where_there_is_a_translation(loaded: Shop, raw: Mapping[str, pl.DataFrame]) -> None:
    """Two categories have none, and 111 products have no category."""
    translated = raw["products"].join(raw["product_category_name_translation"], on="product_category_name", how="left")
    expected = translated.select(
        "product_id", pl.coalesce("product_category_name_english", "product_category_name").alias("category")
    )
    products = loaded.frame("SELECT product_id, category FROM silver.olist_products")
    assert_frame_equal(products, expected, check_row_order=False)
    assert expected["category"].null_count() == 111
