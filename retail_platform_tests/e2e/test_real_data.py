"""The real files of all five systems in one lake, by one `retail load` from an empty folder, asked by `retail query`.

Figures are those of TABLES.md, or were counted from the files by other means (`test_real_olist.py`).
"""

from collections.abc import Iterator, Mapping

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests.e2e.real_files import SOURCES, RealData, RealDataStore
from retail_platform_tests.mart_sql import MART_SQL, assert_agrees
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow

BY_SOURCE_AND_TYPE = """
    SELECT count(*), sum(abs(total_amount)), sum(restocking_fee), sum(abs(net_amount))
    FROM gold.fact_sales WHERE source_system = '{}' AND transaction_type = '{}'
"""
CHECK_FIGURES: Mapping[str, tuple[str, list[tuple[float, ...]]]] = {
    "storefront: completed orders and their amount": (
        """
        SELECT count(DISTINCT order_id), sum(total_amount) FROM gold.fact_sales
        WHERE source_system = 'storefront' AND status = 'Completed'
        """,
        [(79, 6_740.02)],
    ),
    "psycho_bunny: sales": (BY_SOURCE_AND_TYPE.format("psycho_bunny", "Sale"), [(1_384, 1_395_467, 0, 1_395_467)]),
    "psycho_bunny: refunds, fees, paid back": (
        BY_SOURCE_AND_TYPE.format("psycho_bunny", "Refund"),
        [(1_439, 1_433_029, 143_302.90, 1_289_726.10)],
    ),
    "erp_crm: lines that come in": ("SELECT count(*) FROM bronze.erp_crm_sales_details", [(60_398,)]),
    "erp_crm: dated sales": (
        "SELECT sum(total_amount) FROM gold.fact_sales WHERE source_system = 'erp_crm'",
        [(29_351_258,)],
    ),
    "erp_crm: undated sales, in quarantine; 29,356,250 in all": (
        "SELECT sum((raw->>'sls_quantity')::INT * abs((raw->>'sls_price')::INT)) FROM silver.erp_crm_orders_quarantine",
        [(29_356_250 - 29_351_258,)],
    ),
    "erp_crm: customers": (
        "SELECT count(*) FROM gold.dim_customer_current WHERE source_system = 'erp_crm'",
        [(18_484,)],
    ),
    "erp_crm: current products": (
        "SELECT count(*) FROM gold.dim_product_current WHERE source_system = 'erp_crm'",
        [(295,)],
    ),
    "online_retail: lines that come in, and those without a customer": (
        "SELECT count(*), count(*) FILTER (CustomerID IS NULL) FROM bronze.online_retail_invoices",
        [(541_909, 135_080)],
    ),
    "olist: orders that come in": ("SELECT count(*) FROM bronze.olist_orders", [(8_135,)]),
    "olist: orders in gold": (
        "SELECT count(DISTINCT order_id) FROM gold.fact_orders WHERE source_system = 'olist'",
        [(8_135,)],
    ),
}

ROWS = {
    ("erp_crm", "customers"): (18_494, 18_484, 4, 6),
    ("erp_crm", "orders"): (60_398, 60_379, 19, 0),
    ("erp_crm", "products"): (397, 397, 0, 0),
    ("olist", "customers"): (8_135, 8_016, 0, 119),
    ("olist", "order_headers"): (8_135, 8_135, 0, 0),
    ("olist", "orders"): (8_365, 8_365, 0, 0),
    ("olist", "payments"): (8_924, 8_924, 0, 0),
    ("olist", "products"): (5_460, 5_460, 0, 0),
    ("online_retail", "orders"): (541_909, 541_907, 2, 0),
    ("psycho_bunny", "calendar"): (6_944, 6_944, 0, 0),
    ("psycho_bunny", "customers"): (2_000, 2_000, 0, 0),
    ("psycho_bunny", "orders"): (2_823, 2_823, 0, 0),
    ("storefront", "customers"): (50, 50, 0, 0),
    ("storefront", "orders"): (100, 100, 0, 0),
    ("storefront", "products"): (60, 60, 0, 0),
}
"""Rows that came in, and how many of them are in silver, in quarantine, and superseded by another."""

REASONS = {
    ("erp_crm", "customers"): {"customer_id_missing": 4},
    ("erp_crm", "orders"): {"order_date_unreadable": 19},
    ("online_retail", "orders"): {"unit_price_negative": 2},
}
"""Why rows are in quarantine, where any are."""


@pytest.fixture(scope="module")
def data(real: RealDataStore) -> RealData:
    """All five, loaded."""
    return real.together()


@pytest.fixture(scope="module")
def shop(data: RealData) -> Iterator[Shop]:
    """The same, opened here."""
    with data.shop() as shop:
        yield shop


@pytest.mark.parametrize("name", CHECK_FIGURES)
def test_check_figures(data: RealData, name: str) -> None:
    """Every check figure of TABLES.md, by `retail query`."""
    sql, expected = CHECK_FIGURES[name]
    assert [tuple(map(float, row)) for row in data.query(sql)] == expected


def test_every_row_is_somewhere(data: RealData) -> None:
    """Rows in = silver + quarantine + superseded, in all and on each day."""
    books = """
        SELECT source, entity, sum(bronze_rows)::INT, sum(silver_rows)::INT, sum(quarantined_rows)::INT,
            sum(superseded_rows)::INT, count(*) FILTER (bronze_rows <> silver_rows + quarantined_rows + superseded_rows)
        FROM ops.books WHERE bronze_rows > 0 GROUP BY ALL ORDER BY ALL
    """
    assert data.query(books) == [(*table, *rows, 0) for table, rows in ROWS.items()]


def test_what_is_looked_up_came_in_whole(data: RealData) -> None:
    """Feeds that only add columns to others have no books: all their rows are in bronze."""
    looked_up = {
        "erp_crm_cust_az12": 18_484,
        "erp_crm_loc_a101": 18_484,
        "erp_crm_px_cat_g1v2": 37,
        "olist_product_category_name_translation": 71,
    }
    for feed, rows in looked_up.items():
        assert data.query(f"SELECT count(*) FROM bronze.{feed}") == [(rows,)]


def test_what_is_set_aside_has_its_reasons(shop: Shop) -> None:
    """Four records of nobody, nineteen lines without a date, two negative prices: and nothing else."""
    found = {}
    for source, entity in ROWS:
        reasons = f"SELECT unnest(reasons) AS reason FROM silver.{source}_{entity}_quarantine"
        counts = shop.rows(f"SELECT reason, count(*) FROM ({reasons}) GROUP BY 1")
        if counts:
            found[source, entity] = dict(counts)
    assert found == REASONS


def test_no_error_check_fails(data: RealData) -> None:
    """Warnings alone, and only those that the data deserve."""
    assert data.query("SELECT count(*) FROM ops.check_results WHERE NOT passed AND severity = 'ERROR'") == [(0,)]
    warned = """
        SELECT asset, check_name, sum(failed_rows)::INT FROM ops.check_results
        WHERE NOT passed AND asset NOT LIKE 'serving/%' AND asset NOT LIKE 'marts/%' GROUP BY ALL ORDER BY ALL
    """
    assert data.query(warned) == [
        ("gold/fact_payments", "payment_amount_not_zero", 5),
        ("silver/erp_crm/customers", "birth_date_implausible", 16),
        ("silver/erp_crm/customers", "customer_id_missing", 4),
        ("silver/erp_crm/customers_quarantine", "nothing_set_aside", 4),
        ("silver/erp_crm/orders", "order_date_unreadable", 19),
        ("silver/erp_crm/orders_quarantine", "nothing_set_aside", 19),
        ("silver/online_retail/orders", "unit_price_negative", 2),
        ("silver/online_retail/orders_quarantine", "nothing_set_aside", 2),
    ]


@pytest.mark.parametrize("name", MART_SQL)
def test_a_snapshot_mart_is_what_sql_makes_of_gold(shop: Shop, name: str) -> None:
    """All shops' newest snapshots, worked out again by DuckDB from the published facts and dimensions."""
    with shop.platform.warehouse.connect() as con:
        found = con.sql(f"FROM marts.{name}").pl()
        expected = con.sql(MART_SQL[name], params={"day": shop.platform.last_day}).pl()
        ((first,),) = con.sql("SELECT min(date) FROM gold.dim_date").fetchall()
    if name == "sales_by_period":
        # dim_date begins with the first fact, and so, by SQL, do the periods that hold it.
        found, expected = (frame.filter(pl.col("period_start") > first) for frame in (found, expected))
    assert_agrees(name, found, expected)


def test_together_they_are_the_sum_of_each_alone(shop: Shop, real: RealDataStore) -> None:
    """Every table of silver, gold and the marts holds each source as a lake of its own does, and nothing more."""
    together = shop.tables()
    alone: dict[str, list[pl.DataFrame]] = {}
    for source in SOURCES:
        with real.alone(source).shop() as other:
            tables = other.tables()
        for name, frame in tables.items():
            alone.setdefault(name, []).append(frame)
        # dim_date begins with the first fact of its lake.
        days = together["gold.dim_date"].join(tables["gold.dim_date"], on="date", how="semi")
        assert_frame_equal(days, tables["gold.dim_date"], check_row_order=False)
    assert alone.keys() == together.keys()
    for name, frames in alone.items():
        if name != "gold.dim_date":
            # The unknown member is in every lake.
            expected = pl.concat(frames).unique()
            assert_frame_equal(together[name], expected, check_row_order=False)
