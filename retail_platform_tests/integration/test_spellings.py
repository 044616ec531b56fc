"""Two spellings of one id on one day: mapping makes them one key, which the checks must see."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl

from retail_platform.components.lane_checks import described_results
from retail_platform.contracts.silver import PRODUCTS
from retail_platform.platform import Platform
from retail_platform.source_spec import ColumnSpec
from retail_platform_tests import scenario
from retail_platform_tests.shop import Shop

DAY = date(2024, 5, 31)


def test_a_key_that_mapping_doubles_fails_its_checks(tmp_path: Path) -> None:
    """`c1` and `C1` are two rows of the file, and one customer."""
    with Shop(tmp_path / "data", sources="storefront") as shop:
        spec = shop.platform.sources["storefront"]
        upper = {
            **spec.entities["customers"].columns,
            "customer_id": ColumnSpec(column="customer_id", case="upper"),
        }
        customers = spec.entities["customers"].model_copy(update={"columns": upper})
        changed = spec.model_copy(update={"entities": {**spec.entities, "customers": customers}})
        shop.platform = Platform(settings=shop.settings, sources={"storefront": changed})
        text = scenario.CUSTOMERS + "c1,Ann Leigh,ann@example.com,Boston,MA,USA,2023-01-05\n"
        shop.deliver("storefront/customers/customers-2024-05-31.csv", text)
        assert not shop.load().errors
        failed = shop.rows(
            "SELECT asset, failed_rows, severity FROM ops.check_results WHERE check_name = 'unique_key' AND NOT passed"
        )
        assert sorted(failed) == [("gold/dim_customer", 2, "ERROR"), ("silver/storefront/customers", 2, "ERROR")]


def test_a_key_that_is_described_as_its_id_is_one_key(tmp_path: Path) -> None:
    """Where the feed's key says that letter case does not matter, the later row counts, on whatever day it came."""
    key = {"key": [{"column": "customer_id", "case": "upper"}]}
    with Shop(tmp_path / "data", sources="storefront", feeds={"storefront/customers": key}) as shop:
        spec = shop.platform.sources["storefront"]
        upper = {**spec.entities["customers"].columns, "customer_id": spec.feeds["customers"].key[0]}
        customers = spec.entities["customers"].model_copy(update={"columns": upper})
        changed = spec.model_copy(update={"entities": {**spec.entities, "customers": customers}})
        shop.platform = Platform(settings=shop.settings, sources={"storefront": changed})
        text = scenario.CUSTOMERS + "c1,Ann Leigh,ann@example.com,Boston,MA,USA,2023-01-05\n"
        shop.deliver("storefront/customers/customers-2024-05-31.csv", text)
        assert not shop.load().errors
        books = "SELECT bronze_rows, silver_rows, quarantined_rows, superseded_rows FROM ops.books"
        assert shop.rows(f"{books} WHERE entity = 'customers' AND bronze_rows > 0") == [(5, 3, 1, 1)]
        found = "SELECT customer_id, full_name FROM silver.storefront_customers ORDER BY 1"
        assert shop.rows(found)[0] == ("C1", "Ann Leigh")
        assert set(shop.checks("unique_key").values()) == {True}


def test_orders_and_members_that_are_mapped_differently_do_not_meet() -> None:
    """Orders say `85123a`, the derived products `85123A`: the day's check names how many do not meet."""
    members = pl.DataFrame({"product_id": ["85123A", "POST"], "drop_date": [DAY, DAY]})
    orders = pl.LazyFrame(
        {"product_id": ["85123a", "85123a", "POST", None], "order_date": [DAY] * 4},
        schema={"product_id": pl.String, "order_date": pl.Date},
    )
    key = dg.AssetKey(["silver", "online_retail", PRODUCTS.name])
    (result,) = described_results(key, [DAY], members, orders, PRODUCTS)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert dict(result.metadata) == {"failed_rows": 1, "total_rows": 2}
