"""Rules: for each, a row that breaks exactly it; what is judged, and what becomes of it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.contracts.contract import Contract
from retail_platform.contracts.silver import CALENDAR, CUSTOMERS, ENTITIES, ORDER_HEADERS, ORDERS, PAYMENTS, PRODUCTS
from retail_platform.transforms.quality import in_quarantine, in_silver, judge, tally
from retail_platform_tests.unit.frames import collect, june, staged

GOOD: Mapping[str, dict[str, Any]] = {
    "customers": {
        "customer_id": "C1",
        "email": "ann@example.com",
        "birth_date": date(1990, 1, 1),
        "signup_date": june(1),
        "drop_date": june(1),
    },
    "products": {"product_id": "P1", "list_price": "10.00", "unit_cost": "6.00", "drop_date": june(1)},
    "orders": {
        "order_id": "O1",
        "line_number": 1,
        "order_date": june(1),
        "quantity": 2,
        "unit_price": "10.00",
        "discount_amount": "1.00",
        "total_amount": "19.00",
        "currency": "USD",
        "status": "Completed",
        "ship_date": june(2),
    },
    "order_headers": {
        "order_id": "O1",
        "order_date": june(1),
        "currency": "USD",
        "status": "Open",
        "ship_date": june(2),
    },
    "calendar": {
        "date": june(1),
        "fiscal_year": 2024,
        "fiscal_quarter": 2,
        "fiscal_month": 5,
        "fiscal_week": 18,
        "fiscal_week_of_month": 1,
        "drop_date": june(1),
    },
    "payments": {"order_id": "O1", "payment_number": "1", "payment_date": june(1), "amount": "19.00"},
}

UNREAD_DISCOUNT = {"discount_amount": None, "_unreadable": "|discount_amount|", "total_amount": "20.00"}
NOTHING_READ: dict[str, Any] = {"_malformed": "O1,2024-06-01"}

BREAKING: tuple[tuple[Contract, str, dict[str, Any]], ...] = (
    (CUSTOMERS, "row_malformed", {"customer_id": None, "email": None, "signup_date": None, **NOTHING_READ}),
    (CUSTOMERS, "customer_id_missing", {"customer_id": None}),
    (CUSTOMERS, "email_malformed", {"email": "ann@example"}),
    (CUSTOMERS, "birth_date_implausible", {"birth_date": june(2)}),
    (CUSTOMERS, "birth_date_unreadable", {"birth_date": None, "_unreadable": "|birth_date|"}),
    (CUSTOMERS, "signup_date_unreadable", {"signup_date": None, "_unreadable": "|signup_date|"}),
    (PRODUCTS, "row_malformed", {"product_id": None, "list_price": None, "unit_cost": None, **NOTHING_READ}),
    (PRODUCTS, "product_id_missing", {"product_id": None}),
    (PRODUCTS, "list_price_unreadable", {"list_price": None, "_unreadable": "|list_price|"}),
    (PRODUCTS, "unit_cost_unreadable", {"unit_cost": None, "_unreadable": "|unit_cost|"}),
    (PRODUCTS, "list_price_negative", {"list_price": "-0.0001"}),
    (PRODUCTS, "unit_cost_negative", {"unit_cost": "-6.00"}),
    (PRODUCTS, "valid_from_unreadable", {"_unreadable": "|valid_from|"}),
    (ORDERS, "row_malformed", {**dict.fromkeys(GOOD["orders"]), **NOTHING_READ}),
    (ORDERS, "order_id_missing", {"order_id": None}),
    (ORDERS, "line_number_missing", {"line_number": None}),
    (ORDERS, "header_missing", {"_has_header": False}),
    (ORDERS, "order_date_unreadable", {"order_date": None, "_unreadable": "|order_date|"}),
    (ORDERS, "order_date_before_start", {"order_date": date(2002, 12, 31)}),
    (ORDERS, "order_date_in_future", {"order_date": june(2)}),
    (ORDERS, "quantity_unreadable", {"quantity": None, "_unreadable": "|quantity|"}),
    (ORDERS, "quantity_zero", {"quantity": 0, "total_amount": "-1.00"}),
    (ORDERS, "unit_price_unreadable", {"unit_price": None}),
    (ORDERS, "unit_price_negative", {"unit_price": "-10.00", "total_amount": "-21.00"}),
    (ORDERS, "discount_amount_unreadable", UNREAD_DISCOUNT),
    (ORDERS, "freight_amount_unreadable", {"_unreadable": "|freight_amount|"}),
    (ORDERS, "total_amount_unreadable", {"total_amount": None}),
    (ORDERS, "status_unknown", {"status": "completed"}),
    (ORDERS, "total_differs", {"total_amount": "19.02"}),
    (ORDERS, "ship_before_order", {"ship_date": date(2024, 5, 31)}),
    (ORDERS, "ordered_at_unreadable", {"_unreadable": "|ordered_at|"}),
    (ORDERS, "ship_date_unreadable", {"ship_date": None, "_unreadable": "|ship_date|"}),
    (ORDERS, "due_date_unreadable", {"_unreadable": "|due_date|"}),
    (ORDER_HEADERS, "row_malformed", {**dict.fromkeys(GOOD["order_headers"]), **NOTHING_READ}),
    (ORDER_HEADERS, "order_id_missing", {"order_id": None}),
    (ORDER_HEADERS, "order_date_unreadable", {"order_date": None, "_unreadable": "|order_date|"}),
    (ORDER_HEADERS, "order_date_before_start", {"order_date": date(2002, 12, 31)}),
    (ORDER_HEADERS, "order_date_in_future", {"order_date": june(2)}),
    (ORDER_HEADERS, "status_unknown", {"status": "open"}),
    (ORDER_HEADERS, "ship_before_order", {"ship_date": date(2024, 5, 31)}),
    (ORDER_HEADERS, "ordered_at_unreadable", {"_unreadable": "|ordered_at|"}),
    (ORDER_HEADERS, "ship_date_unreadable", {"ship_date": None, "_unreadable": "|ship_date|"}),
    (ORDER_HEADERS, "due_date_unreadable", {"_unreadable": "|due_date|"}),
    (PAYMENTS, "row_malformed", {**dict.fromkeys(GOOD["payments"]), **NOTHING_READ}),
    (PAYMENTS, "order_id_missing", {"order_id": None}),
    (PAYMENTS, "payment_number_missing", {"payment_number": None}),
    (PAYMENTS, "header_missing", {"_has_header": False}),
    (PAYMENTS, "payment_date_unreadable", {"payment_date": None, "_unreadable": "|payment_date|"}),
    (PAYMENTS, "payment_date_before_start", {"payment_date": date(2002, 12, 31)}),
    (PAYMENTS, "payment_date_in_future", {"payment_date": june(3)}),
    (PAYMENTS, "amount_unreadable", {"amount": None}),
    (PAYMENTS, "installments_unreadable", {"_unreadable": "|installments|"}),
    (CALENDAR, "row_malformed", {**dict.fromkeys(GOOD["calendar"]), **NOTHING_READ}),
    (CALENDAR, "date_unreadable", {"date": None, "_unreadable": "|date|"}),
    (CALENDAR, "fiscal_year_out_of_range", {"fiscal_year": 0}),
    (CALENDAR, "fiscal_quarter_out_of_range", {"fiscal_quarter": 5}),
    (CALENDAR, "fiscal_month_out_of_range", {"fiscal_month": 13}),
    (CALENDAR, "fiscal_week_out_of_range", {"fiscal_week": 54}),
    (CALENDAR, "fiscal_week_of_month_out_of_range", {"fiscal_week_of_month": None}),
    (CALENDAR, "fiscal_day_of_month_unreadable", {"_unreadable": "|fiscal_day_of_month|"}),
    (CALENDAR, "fiscal_week_start_unreadable", {"_unreadable": "|fiscal_week_start|"}),
    (CALENDAR, "fiscal_week_end_unreadable", {"_unreadable": "|fiscal_week_end|"}),
    (CALENDAR, "fiscal_month_start_unreadable", {"_unreadable": "|fiscal_month_start|"}),
    (CALENDAR, "fiscal_month_end_unreadable", {"_unreadable": "|fiscal_month_end|"}),
)  # fmt: skip


def judged(contract: Contract, *changes: dict[str, Any]) -> pl.DataFrame:
    rows = [GOOD[contract.name] | change for change in changes]
    return collect(judge(staged(contract, rows), contract.rules))


def test_every_rule_has_a_row_that_breaks_it():
    tried = [(contract.name, rule) for contract, rule, _ in BREAKING]
    assert sorted(tried) == sorted((name, rule.name) for name, contract in ENTITIES.items() for rule in contract.rules)


@pytest.mark.parametrize("contract", ENTITIES.values(), ids=lambda contract: contract.name)
def test_a_good_row_breaks_none(contract: Contract):
    assert judged(contract, {}).select("_reasons", "_warnings").rows() == [("", "")]


@pytest.mark.parametrize(("contract", "rule", "change"), BREAKING, ids=lambda value: getattr(value, "name", None))
def test_a_row_that_breaks_one_rule_breaks_only_that(contract: Contract, rule: str, change: dict[str, Any]):
    outcome = {named.name: named.outcome for named in contract.rules}[rule]
    ((reasons, warnings),) = judged(contract, change).select("_reasons", "_warnings").rows()
    assert (reasons, warnings) == (("", rule) if outcome == "warn" else (rule, ""))


def test_a_row_that_waits_for_its_header_is_judged_by_its_own_columns_alone():
    waiting = {"_has_header": False, "order_date": None, "status": "?", "quantity": 0, "unit_price": None}
    rows = judge(staged(ORDERS, [GOOD["orders"] | waiting]), ORDERS.rules, known=["order_id", "quantity"])
    assert collect(rows)["_reasons"].to_list() == ["header_missing,quantity_zero"]


def test_all_reasons_of_a_row_are_listed_in_the_order_of_the_rules():
    change = {"order_id": None, "quantity": 0, "status": "Lost", "total_amount": "5.00", "ship_date": date(2024, 1, 1)}
    assert judged(ORDERS, change).select("_reasons", "_warnings").rows() == [
        ("order_id_missing,quantity_zero,status_unknown", "total_differs,ship_before_order")
    ]


def test_a_cent_of_difference_is_rounding():
    assert judged(ORDERS, {"total_amount": "19.01"}, {"total_amount": "18.99"})["_warnings"].to_list() == ["", ""]


@pytest.mark.parametrize("email", ["a@b.co", "a+b@c.d.example", "ä@ö.de"])
def test_addresses_of_all_kinds_pass(email: str):
    assert judged(CUSTOMERS, {"email": email})["_reasons"].to_list() == [""]


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.com", "ann@@example.com", "a b@example.com", "a@b.c\n"])
def test_what_is_no_address_does_not(email: str):
    assert judged(CUSTOMERS, {"email": email})["_reasons"].to_list() == ["email_malformed"]


@pytest.mark.parametrize(
    ("born", "kept"),
    [(date(1899, 12, 31), None), (date(1900, 1, 1), date(1900, 1, 1)), (june(1), june(1)), (june(2), None)],
)
def test_an_implausible_birth_date_is_left_empty_and_the_row_kept(born: date, kept: date | None):
    rows = judged(CUSTOMERS, {"birth_date": born})
    assert rows["birth_date"].to_list() == [kept]
    assert rows["_reasons"].to_list() == [""]


def test_rows_go_to_silver_or_quarantine_or_are_superseded():
    rows = judge(
        staged(
            ORDERS,
            [
                GOOD["orders"] | {"order_id": "good"},
                GOOD["orders"] | {"order_id": "warned", "total_amount": "5.00"},
                GOOD["orders"] | {"order_id": "bad", "quantity": 0},
                GOOD["orders"] | {"order_id": "old", "quantity": 0, "_superseded": True},
            ],
        ),
        ORDERS.rules,
    )
    assert collect(rows.filter(in_silver()))["order_id"].to_list() == ["good", "warned"]
    assert collect(rows.filter(in_quarantine()))["order_id"].to_list() == ["bad"]


def test_the_tally_counts_each_day_by_fate_and_rule():
    good = GOOD["orders"]
    rows = staged(
        ORDERS,
        [
            good,
            good | {"total_amount": "5.00"},
            good | {"quantity": 0, "status": "Lost"},
            good | {"order_date": None},
            good | {"quantity": 0, "_superseded": True},
            good | {"partition_date": june(2), "order_date": june(2)},
        ],
    )
    counted = collect(tally(judge(rows, ORDERS.rules), ORDERS.rules)).sort("partition_date")
    named = (
        *("partition_date", "rows", "superseded_rows", "quarantined_rows", "undated_rows"),
        *("order_date_unreadable", "quantity_zero", "status_unknown", "total_differs"),
    )
    expected = pl.DataFrame(
        [(june(1), 5, 1, 2, 1, 1, 1, 1, 2), (june(2), 1, 0, 0, 0, 0, 0, 0, 0)],
        schema=dict.fromkeys(named, pl.Int64) | {"partition_date": pl.Date},
        orient="row",
    )
    assert_frame_equal(counted.select(named), expected)
    others = counted.drop(named)
    assert others.columns == [rule.name for rule in ORDERS.rules if rule.name not in named]
    assert others.sum_horizontal().to_list() == [0, 0]
