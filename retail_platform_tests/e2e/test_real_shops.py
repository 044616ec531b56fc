"""psycho_bunny and erp_crm on their real files: every quirk of theirs, by `retail query`."""

from collections.abc import Callable
from typing import Any

import pytest

from retail_platform_tests.e2e.real_files import RealDataStore

pytestmark = pytest.mark.slow

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def ask(real: RealDataStore) -> Ask:
    """`retail query` on a platform that has loaded all five sources."""
    return real.together().query


def test_psycho_bunny_statuses(ask: Ask) -> None:
    """What is negative was returned."""
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


def test_erp_crm_amounts_are_those_of_quantity_and_price(ask: Ask) -> None:
    """Whatever the file says: an amount or a price that contradicts the others is worked out."""
    contradicting = """
        SELECT count(*) FROM gold.fact_sales
        WHERE source_system = 'erp_crm' AND total_amount <> quantity * unit_price
    """
    assert ask(contradicting) == [(0,)]


def test_erp_crm_members(ask: Ask) -> None:
    """Two systems joined: no member is inferred, and codes are spelt out."""
    inferred = "SELECT count(*) FROM gold.dim_{}_current WHERE source_system = 'erp_crm' AND is_inferred"
    assert ask(inferred.format("customer")) == ask(inferred.format("product")) == [(0,)]
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
