"""Contracts: the tables are as TABLES.md says, and one definition gives everything that is told about a table."""

from dataclasses import replace

import dagster as dg
import narwhals as nw
import pandera.errors
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.components.checks import rule_check
from retail_platform.components.days import contract_metadata, daily
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import (
    DIM_CUSTOMER,
    DIM_CUSTOMER_PUBLISHED,
    FACT_ORDERS,
    FACT_PAYMENTS,
    FACT_SALES,
    GOLD,
)
from retail_platform.contracts.marts import DAILY_SALES, MARTS, PAYMENT_SUMMARY
from retail_platform.contracts.rules import STAGED
from retail_platform.contracts.silver import CUSTOMERS, ENTITIES, ORDERS, PAYMENTS, PRODUCTS, QUARANTINE
from retail_platform.serving.duckdb import columns_of
from retail_platform.transforms.quality import judge
from retail_platform_tests.unit.frames import collect, frame, june, silver, staged

TEXT, WHOLE, DAY, FLAG = pl.String(), pl.Int64(), pl.Date(), pl.Boolean()
AMOUNT, PRICE, INSTANT = pl.Decimal(18, 2), pl.Decimal(18, 4), pl.Datetime("us", "UTC")
ORIGIN = {
    "created_at": INSTANT,
    "updated_at": INSTANT,
    "is_active": FLAG,
    "_drop_id": TEXT,
    "_source_file": TEXT,
    "_row_number": WHOLE,
}
PERSON = dict.fromkeys(("first_name", "last_name", "full_name", "email", "phone", "company"), TEXT) | {
    "gender": TEXT,
    "marital_status": TEXT,
}
PLACE = dict.fromkeys(("city", "state", "postal_code", "country", "region"), TEXT)

TABLES: dict[str, tuple[Contract, dict[str, pl.DataType]]] = {
    "customers": (
        CUSTOMERS,
        {
            "source_system": TEXT,
            "customer_id": TEXT,
            **PERSON,
            "birth_date": DAY,
            "address": TEXT,
            **PLACE,
            "signup_date": DAY,
            "occurrences": WHOLE,
            "drop_date": DAY,
            **ORIGIN,
        },
    ),
    "products": (
        PRODUCTS,
        {
            "source_system": TEXT,
            "product_id": TEXT,
            "product_name": TEXT,
            "category": TEXT,
            "subcategory": TEXT,
            "product_line": TEXT,
            "product_family": TEXT,
            "unit_cost": PRICE,
            "list_price": PRICE,
            "valid_from": DAY,
            "occurrences": WHOLE,
            "drop_date": DAY,
            **ORIGIN,
        },
    ),
    "orders": (
        ORDERS,
        {
            "source_system": TEXT,
            "order_id": TEXT,
            "line_number": WHOLE,
            "order_date": DAY,
            "ordered_at": INSTANT,
            "customer_id": TEXT,
            "product_id": TEXT,
            "quantity": WHOLE,
            "unit_price": PRICE,
            "discount_amount": AMOUNT,
            "freight_amount": AMOUNT,
            "total_amount": AMOUNT,
            "currency": TEXT,
            "status": TEXT,
            "payment_method": TEXT,
            "region": TEXT,
            "territory": TEXT,
            "deal_size": TEXT,
            "ship_date": DAY,
            "due_date": DAY,
            **ORIGIN,
        },
    ),
    "payments": (
        PAYMENTS,
        {
            "source_system": TEXT,
            "order_id": TEXT,
            "payment_number": TEXT,
            "payment_date": DAY,
            "payment_method": TEXT,
            "installments": WHOLE,
            "amount": AMOUNT,
            "status": TEXT,
            **ORIGIN,
        },
    ),
    "fact_sales": (
        FACT_SALES,
        {
            "source_system": TEXT,
            "order_id": TEXT,
            "line_number": WHOLE,
            "order_date": DAY,
            "date_key": pl.Int32(),
            "ordered_at": INSTANT,
            "customer_key": WHOLE,
            "product_key": WHOLE,
            "customer_id": TEXT,
            "product_id": TEXT,
            "quantity": WHOLE,
            "unit_price": PRICE,
            "discount_amount": AMOUNT,
            "freight_amount": AMOUNT,
            "total_amount": AMOUNT,
            "currency": TEXT,
            "transaction_type": TEXT,
            "restocking_fee": AMOUNT,
            "net_amount": AMOUNT,
            "status": TEXT,
            "payment_method": TEXT,
            "territory": TEXT,
            "region": TEXT,
            "deal_size": TEXT,
            "ship_date": DAY,
            "due_date": DAY,
        },
    ),
    "fact_orders": (
        FACT_ORDERS,
        {
            "source_system": TEXT,
            "order_id": TEXT,
            "order_key": WHOLE,
            "order_date": DAY,
            "date_key": pl.Int32(),
            "customer_key": WHOLE,
            "customer_id": TEXT,
            "lines": WHOLE,
            "units": WHOLE,
            "distinct_products": WHOLE,
            **dict.fromkeys(
                ("gross", "refunds", "fees", "net", "total_amount", "discount_amount", "freight_amount"), AMOUNT
            ),
            "currency": TEXT,
            "is_large_order": FLAG,
            "status": TEXT,
            "payment_method": TEXT,
            "territory": TEXT,
            "region": TEXT,
            "deal_size": TEXT,
        },
    ),
    "fact_payments": (
        FACT_PAYMENTS,
        {
            "source_system": TEXT,
            "order_id": TEXT,
            "order_key": WHOLE,
            "payment_number": TEXT,
            "payment_date": DAY,
            "date_key": pl.Int32(),
            "payment_method": TEXT,
            "installments": WHOLE,
            "amount": AMOUNT,
            "status": TEXT,
        },
    ),
    "payment_summary": (
        PAYMENT_SUMMARY,
        {
            "payment_date": DAY,
            "source_system": TEXT,
            "payment_method": TEXT,
            "status": TEXT,
            "payments": WHOLE,
            "orders": WHOLE,
            "amount": AMOUNT,
            "installments": WHOLE,
        },
    ),
    "daily_sales": (
        DAILY_SALES,
        {
            "order_date": DAY,
            "source_system": TEXT,
            "territory": TEXT,
            "status": TEXT,
            "orders": WHOLE,
            "units": WHOLE,
            "gross": AMOUNT,
            "refunds": AMOUNT,
            "fees": AMOUNT,
            "net": AMOUNT,
            "customers": WHOLE,
            "average_order_value": AMOUNT,
        },
    ),
}
EVERY = {**ENTITIES, QUARANTINE.name: QUARANTINE, **GOLD, "dim_customer (whole)": DIM_CUSTOMER_PUBLISHED, **MARTS}


@pytest.mark.parametrize("name", TABLES)
def test_columns_and_types_are_as_documented(name: str):
    contract, columns = TABLES[name]
    assert list(contract.schema.items()) == list(columns.items())
    assert contract.name == name


def test_the_published_dimension_adds_when_a_version_holds():
    added = {name: dtype for name, dtype in DIM_CUSTOMER_PUBLISHED.schema.items() if name not in DIM_CUSTOMER.schema}
    assert added == {"valid_from": DAY, "valid_to": DAY, "is_current": FLAG, "is_active": FLAG, "is_inferred": FLAG}


@pytest.mark.parametrize("contract", EVERY.values(), ids=EVERY)
def test_a_contract_is_coherent(contract: Contract):
    assert contract.schema[contract.partition_column] == DAY
    assert set(contract.key) <= set(contract.schema)
    assert contract.description
    assert all(contract.descriptions.values())
    assert {column for rule in contract.rules for column in rule.columns} <= set(contract.schema) | STAGED
    names = [rule.name for rule in contract.rules]
    assert len(names) == len(set(names))
    assert all(rule.says.endswith(".") for rule in contract.rules)


def test_what_names_or_reaches_a_person_is_marked():
    assert {name: contract.pii for name, contract in ENTITIES.items() if contract.pii} == {
        "customers": {"first_name", "last_name", "full_name", "email", "phone", "birth_date", "address"}
    }
    assert QUARANTINE.pii == {"raw"}


def test_gold_shows_no_plain_personal_column():
    assert {"birth_date", "address"} & set(DIM_CUSTOMER_PUBLISHED.schema) == set()


# One definition


RULE = next(rule for rule in PRODUCTS.rules if rule.name == "list_price_negative")
BAD = {"product_id": "P1", "list_price": "-1.00", "drop_date": june(1)}


def test_the_rule_is_the_reason_in_quarantine():
    assert collect(judge(staged(PRODUCTS, [BAD]), PRODUCTS.rules))["_reasons"].to_list() == ["list_price_negative"]


def test_the_rule_is_a_pandera_check_of_what_is_written():
    rows = collect(silver(PRODUCTS, [BAD]))
    with pytest.raises(pandera.errors.SchemaErrors) as raised:
        PRODUCTS.validate(rows)
    assert [getattr(error.check, "name", None) for error in raised.value.schema_errors] == ["list_price_negative"]
    good = rows.with_columns(pl.col("list_price").abs())
    assert_frame_equal(PRODUCTS.validate(good), good)


def test_the_rule_is_an_asset_check():
    spec = rule_check(RULE).spec(dg.AssetKey(["silver", "shop", "products"]), daily(june(1)))
    assert (spec.name, spec.description) == ("list_price_negative", RULE.says)
    assert rule_check(RULE).severity == dg.AssetCheckSeverity.WARN
    assert rule_check(FACT_SALES.rules[0]).severity == dg.AssetCheckSeverity.ERROR


def test_the_description_is_the_comment_in_duckdb_and_the_column_in_the_catalog():
    comments = {
        column.name: (column.type, column.comment) for column in columns_of(PRODUCTS.schema, PRODUCTS.descriptions)
    }
    catalog = contract_metadata(PRODUCTS)["dagster/column_schema"]
    assert comments["list_price"] == ("DECIMAL(18,4)", "Price of one unit in the list.")
    assert {column.name: (column.type, column.description) for column in catalog.columns} == comments
    assert contract_metadata(PRODUCTS)["partition_expr"] == "drop_date"


def test_the_catalog_marks_personal_data():
    columns = {
        column.name: column.description for column in contract_metadata(CUSTOMERS)["dagster/column_schema"].columns
    }
    assert columns["email"] == "E-mail address. (personal data)"
    assert columns["city"] == "City."


@pytest.mark.parametrize(
    "breach",
    [
        pl.col("product_id").replace("P1", None),
        pl.col("list_price").cast(pl.Float64),
        pl.lit("surprise").alias("new_column"),
    ],
    ids=["null", "type", "column"],
)
def test_a_table_has_exactly_the_columns_and_types(breach: pl.Expr):
    rows = collect(silver(PRODUCTS, [BAD | {"list_price": "1.00"}]))
    with pytest.raises(pandera.errors.SchemaErrors):
        PRODUCTS.validate(rows.with_columns(breach))


def test_cast_gives_the_columns_in_order_and_type():
    rows = pl.LazyFrame({"extra": [1], "amount": [5], "order_id": ["O1"], "source_system": ["shop"]})
    expected = frame(PAYMENTS.schema, [{"source_system": "shop", "order_id": "O1", "amount": "5.00"}])
    assert_frame_equal(collect(PAYMENTS.cast(nw.from_native(rows))), expected)


# The rules of a source


def names_for(contract: Contract, *mapped: str, **overrides: str) -> dict[str, str]:
    rules = contract.rules_for(mapped=mapped, overrides=overrides)  # pyrefly: ignore[bad-argument-type]
    return {rule.name: rule.outcome for rule in rules}


def test_rules_that_could_not_fail_are_left_out():
    assert names_for(CUSTOMERS, "customer_id") == {"row_malformed": "quarantine", "customer_id_missing": "quarantine"}
    assert "email_malformed" in names_for(CUSTOMERS, "customer_id", "email")


def test_a_computed_total_cannot_differ_but_can_be_too_large():
    computed = names_for(ORDERS, "order_id", "quantity", "unit_price")
    assert "total_differs" not in computed
    assert "total_amount_unreadable" in computed
    assert "total_differs" in names_for(ORDERS, "order_id", "total_amount")


def test_rules_about_columns_that_a_table_must_have_stay():
    assert {"order_date_unreadable", "unit_price_unreadable", "status_unknown"} <= set(names_for(ORDERS, "order_id"))


def test_a_source_loosens_and_tightens_rules():
    names = names_for(
        ORDERS, "order_id", "total_amount", total_differs="quarantine", status_unknown="warn", quantity_zero="off"
    )
    assert (names["total_differs"], names["status_unknown"]) == ("quarantine", "warn")
    assert "quantity_zero" not in names


def test_a_loosened_rule_does_not_stop_what_is_written():
    rules = PRODUCTS.rules_for(mapped=["product_id", "list_price"], overrides={"list_price_negative": "warn"})
    rows = collect(silver(PRODUCTS, [BAD]))
    assert_frame_equal(replace(PRODUCTS, rules=rules).validate(rows), rows)
