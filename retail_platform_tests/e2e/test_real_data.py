"""The real files of online_retail and mini_retail, as they are: the figures that must come out of them."""

import random
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests.mart_sql import MART_SQL, assert_agrees
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A platform that has loaded both sources at once."""
    with Shop(tmp_path_factory.mktemp("real") / "data") as shop:
        put(shop, "online_retail/invoices", sorted((real_data / "online_retail").glob("*.csv")))
        for feed in ("customers", "products", "orders"):
            put(shop, f"storefront/{feed}", [real_data / "mini_retail" / f"{feed}.csv"])
        report = shop.load()
        assert not report.errors
        yield shop


def put(shop: Shop, feed: str, files: list[Path]) -> None:
    """Copy files to landing as they are."""
    folder = shop.settings.landing_dir / feed
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, folder)


def test_every_row_is_somewhere(loaded: Shop) -> None:
    """All rows of the files are in bronze, and the books of every day balance."""
    assert loaded.rows("SELECT count(*) FROM bronze.online_retail_invoices") == [(541_909,)]
    books = """
        SELECT source, entity, sum(bronze_rows), sum(silver_rows), sum(quarantined_rows), sum(superseded_rows),
            count(*) FILTER (bronze_rows <> silver_rows + quarantined_rows + superseded_rows)
        FROM ops.books WHERE bronze_rows > 0 GROUP BY ALL ORDER BY ALL
    """
    assert loaded.rows(books) == [
        ("online_retail", "orders", 541_909, 541_907, 2, 0, 0),
        ("storefront", "customers", 50, 50, 0, 0, 0),
        ("storefront", "orders", 100, 100, 0, 0, 0),
        ("storefront", "products", 60, 60, 0, 0, 0),
    ]
    assert loaded.rows("SELECT count(*) FROM ops.books WHERE entity = 'orders' AND bronze_rows > 0") == [(305 + 96,)]


def test_quarantined_rows_have_their_reasons(loaded: Shop) -> None:
    """Two adjustments of bad debt have a negative price."""
    found = loaded.rows("SELECT reasons, raw->>'InvoiceNo' FROM silver.online_retail_orders_quarantine ORDER BY 2")
    assert found == [(["unit_price_negative"], "A563186"), (["unit_price_negative"], "A563187")]


def test_storefront_figures(loaded: Shop) -> None:
    """79 completed orders of mini_retail, 6,740.02."""
    sql = """
        SELECT count(DISTINCT order_id), sum(total_amount) FROM gold.fact_sales
        WHERE source_system = 'storefront' AND status = 'Completed'
    """
    assert loaded.rows(sql) == [(79, Decimal("6740.02"))]


def test_online_retail_figures(loaded: Shop) -> None:
    """Positive and negative amounts as in the file, to the cent; refunds cost a tenth."""
    sql = """
        SELECT sum(gross), sum(refunds), sum(fees), sum(net) FROM marts.daily_sales
        WHERE source_system = 'online_retail'
    """
    gross, refunds, fees, net = loaded.rows(sql)[0]
    assert (gross, refunds) == (Decimal("10666684.54"), Decimal("896812.49"))
    assert net == gross - refunds + fees
    assert loaded.rows(
        "SELECT count(*) FROM gold.fact_sales WHERE customer_key = 0 AND source_system = 'online_retail'"
    ) == [(135_080 - 2,)]  # the two in quarantine name no customer either


def test_products_are_named_as_most_often(loaded: Shop) -> None:
    """Codes in either letter case are one product; postage and the like are none."""
    rows = loaded.rows(
        """
        SELECT product_id, product_name, category FROM gold.dim_product_current
        WHERE source_system = 'online_retail' AND product_id IN ('85123A', 'POST', 'D') ORDER BY 1
        """
    )
    assert rows == [
        ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", None),
        ("D", "Discount", "Non-product"),
        ("POST", "POSTAGE", "Non-product"),
    ]


@pytest.mark.parametrize("name", MART_SQL)
def test_a_snapshot_mart_is_what_sql_makes_of_gold(loaded: Shop, name: str) -> None:
    """Both shops' newest snapshots, worked out again by DuckDB from the published facts and dimensions."""
    with loaded.platform.warehouse.connect() as con:
        found = con.sql(f"FROM marts.{name}").pl()
        expected = con.sql(MART_SQL[name], params={"day": loaded.platform.last_day}).pl()
        ((first,),) = con.sql("SELECT min(date) FROM gold.dim_date").fetchall()
    if name == "sales_by_period":
        # dim_date begins with the first fact, and so, by SQL, do the periods that hold it.
        found, expected = (frame.filter(pl.col("period_start") > first) for frame in (found, expected))
    assert_agrees(name, found, expected)


def test_every_error_check_passes_on_every_day(loaded: Shop) -> None:
    """Nothing but warnings, and each day has a result of its own."""
    assert loaded.rows("SELECT count(*) FROM ops.check_results WHERE NOT passed AND severity = 'ERROR'") == [(0,)]
    failed = "SELECT check_name, partition::VARCHAR, failed_rows FROM ops.check_results WHERE NOT passed ORDER BY ALL"
    assert ("unit_price_negative", "2011-08-12", 2) in loaded.rows(failed)
    days = "SELECT count(DISTINCT partition) FROM ops.check_results WHERE asset = 'silver/online_retail/orders'"
    assert loaded.rows(days) == [(374,)]


def test_order_of_arrival_does_not_matter(loaded: Shop, real_data: Path, tmp_path: Path) -> None:
    """The 305 files in three shuffled portions give the same silver, gold and marts."""
    files = sorted((real_data / "online_retail").glob("*.csv"))
    shuffled = random.Random(7).sample(files, len(files))
    with Shop(tmp_path / "data") as shop:
        for feed in ("customers", "products", "orders"):
            put(shop, f"storefront/{feed}", [real_data / "mini_retail" / f"{feed}.csv"])
        for start in range(3):
            put(shop, "online_retail/invoices", shuffled[start::3])
            assert not shop.load().errors
        tables, expected = shop.tables(), loaded.tables()
        assert list(tables) == list(expected)
        for name, frame in expected.items():
            assert_frame_equal(tables[name], frame)
