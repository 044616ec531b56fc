"""What Dagster shows: assets, groups, jobs and checks, as literals that a change must change too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode

from retail_platform.definitions import build_defs
from retail_platform.platform import Platform
from retail_platform.settings import Settings

SOURCES = ("erp_crm", "olist", "online_retail", "psycho_bunny", "storefront")

SET_ASIDE = {"nothing_set_aside"}
BRONZE = {"files_readable", "rows_match_files", "schema_unchanged"}
BOOKS = {"books_balance", "contract", "quarantine_rate", "row_malformed", "unique_key"}
ORDERS = BOOKS | {
    *("order_id_missing", "line_number_missing", "one_day_per_key", "status_unknown", "total_amount_unreadable"),
    *("order_date_unreadable", "order_date_before_start", "order_date_in_future"),
    *("quantity_unreadable", "quantity_zero", "unit_price_unreadable", "unit_price_negative"),
}

CHECKS: dict[str, set[str]] = {
    "bronze/erp_crm/cust_az12": BRONZE,
    "bronze/erp_crm/cust_info": BRONZE,
    "bronze/erp_crm/loc_a101": BRONZE,
    "bronze/erp_crm/prd_info": BRONZE,
    "bronze/erp_crm/px_cat_g1v2": BRONZE,
    "bronze/erp_crm/sales_details": BRONZE,
    "bronze/olist/customers": BRONZE,
    "bronze/olist/order_items": BRONZE,
    "bronze/olist/order_payments": BRONZE,
    "bronze/olist/orders": BRONZE,
    "bronze/olist/product_category_name_translation": BRONZE,
    "bronze/olist/products": BRONZE,
    "bronze/online_retail/invoices": BRONZE,
    "bronze/psycho_bunny/calendar": BRONZE,
    "bronze/psycho_bunny/customers": BRONZE,
    "bronze/psycho_bunny/transactions": BRONZE,
    "bronze/storefront/customers": BRONZE,
    "bronze/storefront/orders": BRONZE,
    "bronze/storefront/payments": BRONZE,
    "bronze/storefront/products": BRONZE,
    "silver/erp_crm/customers": BOOKS | {"birth_date_implausible", "birth_date_unreadable", "customer_id_missing"},
    "silver/erp_crm/customers_quarantine": SET_ASIDE,
    "silver/erp_crm/orders": ORDERS
    | {"due_date_unreadable", "ship_before_order", "ship_date_unreadable", "total_differs"},
    "silver/erp_crm/orders_quarantine": SET_ASIDE,
    "silver/erp_crm/products": BOOKS
    | {"product_id_missing", "unit_cost_negative", "unit_cost_unreadable", "valid_from_unreadable"},
    "silver/erp_crm/products_quarantine": SET_ASIDE,
    "silver/olist/customers": BOOKS | {"customer_id_missing"},
    "silver/olist/customers_quarantine": SET_ASIDE,
    "silver/olist/order_headers": BOOKS
    | {
        *("order_id_missing", "one_day_per_key", "status_unknown", "ordered_at_unreadable"),
        *("order_date_unreadable", "order_date_before_start", "order_date_in_future"),
        *("due_date_unreadable", "ship_before_order", "ship_date_unreadable"),
    },
    "silver/olist/order_headers_quarantine": SET_ASIDE,
    "silver/olist/orders": ORDERS
    | {
        *("header_missing", "freight_amount_unreadable", "ordered_at_unreadable"),
        *("due_date_unreadable", "ship_before_order", "ship_date_unreadable"),
    },
    "silver/olist/orders_quarantine": SET_ASIDE,
    "silver/olist/payments": BOOKS
    | {
        *("order_id_missing", "payment_number_missing", "one_day_per_key", "amount_unreadable", "header_missing"),
        *("payment_date_unreadable", "payment_date_before_start", "payment_date_in_future", "installments_unreadable"),
    },
    "silver/olist/payments_quarantine": SET_ASIDE,
    "silver/olist/products": BOOKS | {"product_id_missing"},
    "silver/olist/products_quarantine": SET_ASIDE,
    "silver/online_retail/customers": {"all_described"},
    "silver/online_retail/orders": ORDERS | {"ordered_at_unreadable"},
    "silver/online_retail/orders_quarantine": SET_ASIDE,
    "silver/online_retail/products": {"all_described"},
    "silver/psycho_bunny/buyers": {"all_described"},
    "silver/psycho_bunny/calendar": BOOKS
    | {
        *("date_unreadable", "fiscal_year_out_of_range", "fiscal_quarter_out_of_range", "fiscal_month_out_of_range"),
        *("fiscal_week_out_of_range", "fiscal_week_of_month_out_of_range", "fiscal_day_of_month_unreadable"),
        *("fiscal_week_start_unreadable", "fiscal_week_end_unreadable"),
        *("fiscal_month_start_unreadable", "fiscal_month_end_unreadable"),
    },
    "silver/psycho_bunny/calendar_quarantine": SET_ASIDE,
    "silver/psycho_bunny/customers": BOOKS | {"customer_id_missing", "email_malformed"},
    "silver/psycho_bunny/customers_quarantine": SET_ASIDE,
    "silver/psycho_bunny/orders": ORDERS,
    "silver/psycho_bunny/orders_quarantine": SET_ASIDE,
    "silver/psycho_bunny/products": {"all_described"},
    "silver/storefront/customers": BOOKS | {"customer_id_missing", "email_malformed", "signup_date_unreadable"},
    "silver/storefront/customers_quarantine": SET_ASIDE,
    "silver/storefront/orders": ORDERS,
    "silver/storefront/orders_quarantine": SET_ASIDE,
    "silver/storefront/payments": BOOKS
    | {
        *("order_id_missing", "payment_number_missing", "one_day_per_key", "amount_unreadable"),
        *("payment_date_unreadable", "payment_date_before_start", "payment_date_in_future", "installments_unreadable"),
    },
    "silver/storefront/payments_quarantine": SET_ASIDE,
    "silver/storefront/products": BOOKS | {"product_id_missing", "list_price_negative", "list_price_unreadable"},
    "silver/storefront/products_quarantine": SET_ASIDE,
    "gold/dim_customer": {"unique_key"},
    "gold/dim_date": {"unique_key"},
    "gold/dim_product": {"unique_key"},
    "gold/fact_sales": {"net_is_total_plus_fee", "sign_is_type", "unique_key"},
    "gold/fact_orders": {"order_adds_up", "order_net_adds_up", "lines_bear_the_order", "unique_key"},
    "gold/fact_payments": {"payment_amount_not_zero", "installments_positive", "unique_key"},
    "marts/daily_sales": {"net_adds_up", "unique_key"},
    "marts/payment_summary": {"orders_within_payments", "unique_key"},
    "marts/sales_by_period": {*("every_period_type_adds_up", "period_is_in_order", "period_net_adds_up", "unique_key")},
    "marts/product_performance": {"difference_is_from_best", "ranks_are_dense", "unique_key"},
    "marts/product_family_sales": {"ranks_are_dense", "share_adds_up_to_one", "unique_key"},
    "marts/regional_sales": {"average_fits", "share_adds_up_to_one", "unique_key"},
    "marts/order_status_impact": {
        *("lost_is_within_amount", "share_of_amount_adds_up_to_one", "share_of_orders_adds_up_to_one", "unique_key")
    },
    "marts/customer_segments": {
        *("percentiles_are_in_order", "repeat_is_more_than_one_order", "scores_are_quintiles", "segments_are_known"),
        "unique_key",
    },
    "marts/top_customers": {"rank_follows_spending", "ranks_have_no_gaps", "shares_are_parts", "unique_key"},
    "marts/customer_cohorts": {"first_month_is_the_cohort", "retention_is_a_part", "unique_key"},
    "marts/product_affinity": {"confidence_is_a_part", "pairs_are_of_two", "unique_key"},
    "serving/duckdb": {
        *("customer_key_found", "customer_delivered", "customer_key_not_shared"),
        *("product_key_found", "product_delivered", "product_key_not_shared"),
        *("order_not_before_signup", "amount_not_outlying"),
        *("order_agrees_with_lines", "order_key_not_shared", "payment_order_found"),
    },
}
"""Asset -> its checks."""

SNAPSHOTS = {
    *("marts/sales_by_period", "marts/product_performance", "marts/product_family_sales", "marts/regional_sales"),
    *("marts/order_status_impact", "marts/customer_segments", "marts/top_customers", "marts/customer_cohorts"),
    "marts/product_affinity",
}

DEPENDENCIES = {
    "silver/storefront/orders": {"bronze/storefront/orders", "bronze/storefront/products"},
    "silver/storefront/orders_quarantine": {"bronze/storefront/orders", "bronze/storefront/products"},
    "silver/olist/orders": {"bronze/olist/order_items", "bronze/olist/orders", "bronze/olist/customers"},
    "silver/olist/order_headers": {"bronze/olist/orders", "bronze/olist/customers"},
    "silver/olist/payments": {"bronze/olist/order_payments", "bronze/olist/orders"},
    "silver/online_retail/products": {"bronze/online_retail/invoices", "silver/online_retail/orders"},
    "silver/erp_crm/customers": {"bronze/erp_crm/cust_info", "bronze/erp_crm/cust_az12", "bronze/erp_crm/loc_a101"},
    "silver/psycho_bunny/buyers": {"bronze/psycho_bunny/transactions", "silver/psycho_bunny/orders"},
    "gold/dim_customer": {
        *("silver/erp_crm/customers", "silver/online_retail/customers", "silver/storefront/customers"),
        *("silver/psycho_bunny/customers", "silver/psycho_bunny/buyers", "silver/olist/customers"),
    },
    "gold/fact_sales": {
        *("silver/erp_crm/orders", "silver/online_retail/orders", "silver/psycho_bunny/orders"),
        *("silver/storefront/orders", "silver/olist/orders"),
    },
    "gold/dim_date": {"silver/psycho_bunny/calendar"},
    "gold/fact_orders": {"gold/fact_sales", "silver/olist/order_headers"},
    "marts/daily_sales": {"gold/fact_sales"},
    "serving/duckdb": {
        "gold/dim_customer",
        "gold/dim_date",
        "gold/dim_product",
        "gold/fact_sales",
        "gold/fact_orders",
        "gold/fact_payments",
        "marts/daily_sales",
        "marts/payment_summary",
        *SNAPSHOTS,
    },
    "marts/sales_by_period": {"gold/fact_sales", "gold/dim_date"},
    "marts/top_customers": {"gold/fact_sales", "gold/dim_customer"},
    "marts/product_affinity": {"gold/fact_sales", "gold/dim_product"},
    "marts/customer_cohorts": {"gold/fact_sales"},
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    data = tmp_path_factory.mktemp("shop") / "data"
    settings = Settings.model_validate({"data_dir": data, "sources": SOURCES, "start_date": "2010-01-01"})
    loaded = build_defs(Platform.from_settings(settings))
    assert not data.exists()
    return loaded


@pytest.fixture(scope="module")
def nodes(definitions: dg.Definitions) -> dict[str, BaseAssetNode]:
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def named(keys: object) -> set[str]:
    return {key.to_user_string() for key in keys}  # pyrefly: ignore[not-iterable]


def group_of(name: str) -> str:
    layer, *rest = name.split("/")
    return rest[0] if layer in {"bronze", "silver"} else layer


def test_the_assets(nodes: dict[str, BaseAssetNode]):
    assert set(nodes) == set(CHECKS)


def test_the_checks_of_each_asset(definitions: dg.Definitions):
    keys = definitions.resolve_asset_graph().asset_check_keys
    found = {name: {key.name for key in keys if key.asset_key.to_user_string() == name} for name in CHECKS}
    assert found == CHECKS
    assert len(keys) == sum(map(len, CHECKS.values()))


def test_each_source_is_a_group_and_so_is_each_later_layer(nodes: dict[str, BaseAssetNode]):
    assert {name: node.group_name for name, node in nodes.items()} == {name: group_of(name) for name in CHECKS}


def test_what_depends_on_what(nodes: dict[str, BaseAssetNode]):
    assert {name: named(nodes[name].parent_keys) for name in DEPENDENCIES} == DEPENDENCIES


@pytest.mark.parametrize("name", CHECKS)
def test_an_asset_is_daily_and_a_range_of_days_is_one_run(nodes: dict[str, BaseAssetNode], name: str):
    node = nodes[name]
    assert node.partitions_def == dg.DailyPartitionsDefinition(start_date="2010-01-01", end_offset=1)
    assert node.backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize("name", CHECKS)
def test_an_asset_says_what_it_holds(nodes: dict[str, BaseAssetNode], name: str):
    assert len(nodes[name].description or "") > 20
    assert nodes[name].owners == ["team:retail-data"]
    if name == "serving/duckdb":
        return
    columns = nodes[name].metadata["dagster/column_schema"].columns
    assert nodes[name].metadata["partition_expr"] in {column.name for column in columns}
    # What a feed's own columns mean is the source's to say.
    assert name.startswith("bronze/") or all(column.description for column in columns)


def test_each_table_has_one_writer(nodes: dict[str, BaseAssetNode], definitions: dg.Definitions):
    pools = {name: sorted(node.pools or ()) for name, node in nodes.items()}
    assert {len(of_asset) for of_asset in pools.values()} == {1}
    writers = definitions.resolve_asset_graph().assets_defs
    assert len({pool for (pool,) in pools.values()}) == len(writers)


def test_the_jobs(definitions: dg.Definitions):
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    downstream = {name for name in CHECKS if name.startswith(("gold/", "marts/", "serving/"))} - SNAPSHOTS
    lanes = {f"load_{source}": {name for name in CHECKS if group_of(name) == source} | downstream for source in SOURCES}
    scans: dict[str, set[str]] = {f"scan_{source}": set() for source in SOURCES}
    selected = {name: named(job.asset_layer.executable_asset_keys) for name, job in jobs.items()}
    others = {"publish": {"serving/duckdb"}, "snapshots": {*SNAPSHOTS, "serving/duckdb"}}
    assert selected == lanes | scans | others
    assert all(job.description for job in jobs.values())
    assert {name for name, job in jobs.items() if job.partitions_def is not None} == {*lanes, *others}


def test_every_source_has_a_sensor_that_is_on(definitions: dg.Definitions):
    sensors = {sensor.name: sensor for sensor in definitions.sensors or ()}
    jobs = {name: {job.name for job in sensor.jobs} for name, sensor in sensors.items()}
    of_sources = {f"{source}_drops": {f"load_{source}", f"scan_{source}"} for source in SOURCES}
    assert jobs == of_sources | {"publish_what_is_not": {"publish"}, "snapshots_follow_facts": {"snapshots"}}
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}


def test_the_definitions_are_sound(definitions: dg.Definitions):
    dg.Definitions.validate_loadable(definitions)


NAMES = """
import json, warnings
from pydantic.warnings import PydanticDeprecatedSince20
warnings.simplefilter("error")
warnings.simplefilter("ignore", PydanticDeprecatedSince20)  # Dagster's own way with YAML
from retail_platform.definitions import build_defs
definitions = build_defs()
print(json.dumps([key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()]))
"""


def test_sources_named_in_the_environment_alone_are_there_and_warnings_are_errors(tmp_path: Path):
    settings = {"RETAIL_SOURCES": "storefront", "RETAIL_DATA_DIR": str(tmp_path / "data")}
    result = subprocess.run(
        [sys.executable, "-c", NAMES], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    others = set(SOURCES) - {"storefront"}
    assert set(json.loads(result.stdout)) == {name for name in CHECKS if group_of(name) not in others}
