"""psycho_bunny and erp_crm on their real files, by `retail load` and `retail query` from an empty data folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copy2
from typing import Any

import pytest

import retail_platform

pytestmark = pytest.mark.slow

LANDING = {
    "psycho_bunny/transactions": "psycho_bunny/de_shop_transactions_*.csv",
    "psycho_bunny/customers": "psycho_bunny/de_shop_customers_*.csv",
    "psycho_bunny/calendar": "psycho_bunny/de_dates.csv",
    "erp_crm/cust_info": "erp_crm/source_crm/cust_info.csv",
    "erp_crm/prd_info": "erp_crm/source_crm/prd_info.csv",
    "erp_crm/sales_details": "erp_crm/source_crm/sales_details.csv",
    "erp_crm/cust_az12": "erp_crm/source_erp/CUST_AZ12.csv",
    "erp_crm/loc_a101": "erp_crm/source_erp/LOC_A101.csv",
    "erp_crm/px_cat_g1v2": "erp_crm/source_erp/PX_CAT_G1V2.csv",
}
"""Feed -> its files in the shared data, as they are."""

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def ask(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """`retail query` on a platform that has loaded both sources."""
    data = tmp_path_factory.mktemp("shops") / "data"
    environment = os.environ | {"RETAIL_DATA_DIR": str(data), "RETAIL_SOURCES": "erp_crm,psycho_bunny"}

    def retail(*words: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "retail_platform.cli", *words],
            env=environment,
            cwd=Path(retail_platform.__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    for feed, pattern in LANDING.items():
        folder = data / "landing" / feed
        folder.mkdir(parents=True)
        files = sorted(real_data.glob(pattern))
        assert files, pattern
        for file in files:
            copy2(file, folder)
    retail("load")
    assert "Nothing to do" in retail("load")
    return lambda sql: [tuple(row.values()) for row in json.loads(retail("query", sql, "--format", "json"))]


def numbers(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Amounts as numbers, whether JSON has them as text or not."""
    return [tuple(float(cell) if _is_number(cell) else cell for cell in row) for row in rows]


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and cell.lstrip("-").replace(".", "", 1).isdigit())


def test_every_row_is_somewhere(ask: Ask) -> None:
    """Rows in = silver + quarantine + superseded, for each driving feed, and on each day."""
    books = """
        SELECT source, entity, sum(bronze_rows)::INT, sum(silver_rows)::INT, sum(quarantined_rows)::INT,
            sum(superseded_rows)::INT, count(*) FILTER (bronze_rows <> silver_rows + quarantined_rows + superseded_rows)
        FROM ops.books WHERE bronze_rows > 0 GROUP BY ALL ORDER BY ALL
    """
    assert ask(books) == [
        ("erp_crm", "customers", 18_494, 18_484, 4, 6, 0),
        ("erp_crm", "orders", 60_398, 60_379, 19, 0, 0),
        ("erp_crm", "products", 397, 397, 0, 0, 0),
        ("psycho_bunny", "calendar", 6_944, 6_944, 0, 0, 0),
        ("psycho_bunny", "customers", 2_000, 2_000, 0, 0, 0),
        ("psycho_bunny", "orders", 2_823, 2_823, 0, 0, 0),
    ]
    for feed, rows in {"cust_az12": 18_484, "loc_a101": 18_484, "px_cat_g1v2": 37}.items():
        assert ask(f"SELECT count(*) FROM bronze.erp_crm_{feed}") == [(rows,)]


def test_what_is_set_aside_has_its_reason(ask: Ask) -> None:
    """Four records of nobody, and nineteen lines without a date."""
    reasons = """
        SELECT reason, count(*)
        FROM (SELECT unnest(reasons) AS reason FROM silver.erp_crm_{}_quarantine) GROUP BY 1 ORDER BY 1
    """
    assert ask(reasons.format("customers")) == [("customer_id_missing", 4)]
    assert ask(reasons.format("orders")) == [("order_date_unreadable", 19)]
    assert ask("SELECT count(*) FROM silver.erp_crm_products_quarantine") == [(0,)]
    assert ask("SELECT count(*) FROM silver.psycho_bunny_orders_quarantine") == [(0,)]


def test_psycho_bunny_figures(ask: Ask) -> None:
    """Sales, refunds, what of them the shop keeps, and what it pays back."""
    sql = """
        SELECT transaction_type, count(*), sum(abs(total_amount)), sum(restocking_fee), sum(abs(net_amount))
        FROM gold.fact_sales WHERE source_system = 'psycho_bunny' GROUP BY 1 ORDER BY 1
    """
    assert numbers(ask(sql)) == [
        ("Refund", 1_439, 1_433_029, 143_302.90, 1_289_726.10),
        ("Sale", 1_384, 1_395_467, 0, 1_395_467),
    ]
    statuses = "SELECT DISTINCT transaction_type, status FROM gold.fact_sales WHERE source_system = 'psycho_bunny'"
    assert sorted(ask(statuses)) == [("Refund", "Returned"), ("Sale", "Completed")]


def test_psycho_bunny_years_and_territories(ask: Ask) -> None:
    """The order's own date counts, not the YEAR_ID that contradicts it; NA is a territory."""
    sql = """
        SELECT territory, count(*), min(order_date)::VARCHAR, max(order_date)::VARCHAR
        FROM gold.fact_sales WHERE source_system = 'psycho_bunny' GROUP BY 1 ORDER BY 1
    """
    found = ask(sql)
    assert [row[:2] for row in found] == [("APAC", 221), ("EMEA", 1_407), ("Japan", 121), ("NA", 1_074)]
    assert (min(row[2] for row in found), max(row[3] for row in found)) == ("2003-01-06", "2005-05-31")


def test_psycho_bunny_members(ask: Ask) -> None:
    """People of four countries by e-mail, companies by name, and every fact has its member."""
    people = """
        SELECT country, count(*) FROM gold.dim_customer_current
        WHERE source_system = 'psycho_bunny' AND occurrences IS NULL GROUP BY 1 ORDER BY 1
    """
    # One address is in the British file of 2023 and in a later one; the later counts.
    assert ask(people) == [("Australia", 500), ("Canada", 500), ("UK", 499), ("USA", 500)]
    companies = """
        SELECT count(*), count(phone), count(*) FILTER (is_inferred) FROM gold.dim_customer_current
        WHERE source_system = 'psycho_bunny' AND (occurrences IS NOT NULL OR is_inferred)
    """
    # Fourteen have `#ERROR!` for a telephone.
    assert ask(companies) == [(92, 92 - 14, 0)]
    families = """
        SELECT product_family, count(*) FROM gold.dim_product_current
        WHERE source_system = 'psycho_bunny' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2
    """
    assert ask(families) == [("S18", 38), ("S24", 29)]


def test_psycho_bunny_calendar(ask: Ask) -> None:
    """Its 6,944 days are there, and dim_date says what they say (as computed: `unit/test_calendar.py`)."""
    own = """
        SELECT count(*), min(date)::VARCHAR, max(date)::VARCHAR, min(fiscal_year), max(fiscal_year)
        FROM silver.psycho_bunny_calendar
    """
    assert ask(own) == [(6_944, "2010-01-31", "2029-02-03", 2010, 2028)]
    differing = """
        SELECT count(*), count(*) FILTER (
            (c.fiscal_year, c.fiscal_quarter, c.fiscal_month, c.fiscal_week, c.fiscal_week_of_month)
            <> (d.fiscal_year, d.fiscal_quarter, d.fiscal_month, d.fiscal_week, d.fiscal_week_of_month)
        )
        FROM silver.psycho_bunny_calendar c JOIN gold.dim_date d USING (date)
    """
    # dim_date ends with next year; the feed goes on to 2029.
    ((compared, different),) = ask(differing)
    assert compared > 6_500
    assert different == 0


def test_erp_crm_sales(ask: Ask) -> None:
    """All sales are 29,356,250, of which 4,992 wait without a date in quarantine."""
    dated = "SELECT sum(total_amount) FROM gold.fact_sales WHERE source_system = 'erp_crm'"
    undated = """
        SELECT sum((raw->>'sls_quantity')::INT * abs((raw->>'sls_price')::INT)) FROM silver.erp_crm_orders_quarantine
    """
    assert numbers(ask(dated) + ask(undated)) == [(29_351_258,), (4_992,)]
    contradicting = """
        SELECT count(*) FROM gold.fact_sales
        WHERE source_system = 'erp_crm' AND total_amount <> quantity * unit_price
    """
    assert ask(contradicting) == [(0,)]


def test_erp_crm_members(ask: Ask) -> None:
    """Two systems joined: 18,484 customers and 295 current products, none of them inferred."""
    members = """
        SELECT count(*), count(*) FILTER (is_inferred) FROM gold.dim_{}_current WHERE source_system = 'erp_crm'
    """
    assert ask(members.format("customer")) == [(18_484, 0)]
    assert ask(members.format("product")) == [(295, 0)]
    spelt_out = """
        SELECT {0}, count(*) FROM gold.dim_customer_current WHERE source_system = 'erp_crm' GROUP BY 1 ORDER BY 1
    """
    assert [name for name, _ in ask(spelt_out.format("gender"))] == ["Female", "Male", "n/a"]
    assert [name for name, _ in ask(spelt_out.format("marital_status"))] == ["Married", "Single"]
    countries = ["Australia", "Canada", "France", "Germany", "United Kingdom", "United States", "n/a"]
    assert [name for name, _ in ask(spelt_out.format("country"))] == countries
    # 16 dates of birth are still to come.
    assert ask("SELECT count(*) - count(birth_date) FROM silver.erp_crm_customers") == [(16,)]


def test_erp_crm_product_versions(ask: Ask) -> None:
    """A version ends the day before the next begins, whatever prd_end_dt says; sales find the version of their day."""
    sql = """
        SELECT stated_from::VARCHAR, valid_from::VARCHAR, valid_to::VARCHAR, unit_cost::INT, is_current
        FROM gold.dim_product WHERE source_system = 'erp_crm' AND product_id = 'HL-U509' ORDER BY valid_from
    """
    assert ask(sql) == [
        ("2011-07-01", "1900-01-01", "2012-06-30", 12, False),
        ("2012-07-01", "2012-07-01", "2013-06-30", 14, False),
        ("2013-07-01", "2013-07-01", "9999-12-31", 13, True),
    ]
    assert ask("SELECT count(*) FROM gold.dim_product WHERE source_system = 'erp_crm'") == [(397,)]
    sales = """
        SELECT count(*), count(product_name), count(unit_cost), count(*) FILTER (category IS NULL)
        FROM gold.sales WHERE source_system = 'erp_crm'
    """
    ((lines, named, costed, without_category),) = ask(sales)
    assert (lines, named, costed) == (60_379, 60_379, 60_379)
    # The ERP knows no category CO_PE, and nobody bought pedals.
    assert without_category == 0
    assert ask("SELECT count(*) FROM silver.erp_crm_products WHERE category IS NULL") == [(7,)]


def test_no_error_check_fails(ask: Ask) -> None:
    """Warnings alone, and only those that the data deserve."""
    assert ask("SELECT count(*) FROM ops.check_results WHERE NOT passed AND severity = 'ERROR'") == [(0,)]
    warned = """
        SELECT asset, check_name, sum(failed_rows)::INT FROM ops.check_results
        WHERE NOT passed AND asset NOT LIKE 'serving/%' AND asset NOT LIKE 'marts/%' GROUP BY ALL ORDER BY ALL
    """
    assert ask(warned) == [
        ("silver/erp_crm/customers", "birth_date_implausible", 16),
        ("silver/erp_crm/customers", "customer_id_missing", 4),
        ("silver/erp_crm/orders", "order_date_unreadable", 19),
    ]
