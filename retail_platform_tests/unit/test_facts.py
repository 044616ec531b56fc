"""Facts: what order lines and payments say, with durable keys, and nothing that another table could change."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.contracts.gold import FACT_ORDERS, FACT_PAYMENTS, FACT_SALES
from retail_platform.contracts.silver import ORDER_HEADERS, ORDERS, PAYMENTS
from retail_platform.transforms.facts import fact_orders, fact_payments, fact_sales
from retail_platform_tests.unit.frames import ENGINE, collect, frame, june, key_of, silver

LINE: dict[str, Any] = {
    "order_id": "O1",
    "line_number": 1,
    "order_date": june(1),
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 2,
    "unit_price": "10.00",
    "total_amount": "20.00",
    "currency": "USD",
    "status": "Completed",
}


def facts(*lines: dict[str, Any], fee: str = "0.10") -> pl.DataFrame:
    orders = silver(ORDERS, [LINE | line for line in lines])
    return collect(fact_sales(orders, restocking_fee_rate=Decimal(fee), engine=ENGINE))


def headers(*lines: dict[str, Any], large: str = "5000", delivered: Sequence[dict[str, Any]] = ()) -> pl.DataFrame:
    sales = facts(*lines).lazy()
    apart = silver(ORDER_HEADERS, delivered)
    orders = fact_orders(nw.from_native(sales), apart, large_order_amount=Decimal(large), engine=ENGINE)
    return FACT_ORDERS.validate(collect(orders).sort("order_date", "order_id"))


def test_a_sale_and_a_refund():
    refund = LINE | {"line_number": 2, "quantity": -1, "total_amount": "-10.05", "status": "Returned"}
    known = {
        "source_system": "shop",
        "date_key": 20240601,
        "customer_key": key_of("shop", "C1"),
        "product_key": key_of("shop", "P1"),
    }
    expected = frame(
        FACT_SALES.schema,
        [
            LINE | known | {"transaction_type": "Sale", "restocking_fee": "0.00", "net_amount": "20.00"},
            # A tenth of 10.05, rounded half up.
            refund | known | {"transaction_type": "Refund", "restocking_fee": "1.01", "net_amount": "-9.04"},
        ],
    )
    assert_frame_equal(facts({}, refund), expected)
    FACT_SALES.validate(expected)


def test_a_line_without_customer_or_product_has_the_unknown_ones():
    assert facts({"customer_id": None, "product_id": None}).select("customer_key", "product_key").rows() == [(0, 0)]


def test_customers_of_different_sources_are_different():
    assert facts({}, {"source_system": "other"})["customer_key"].to_list() == [
        key_of("shop", "C1"),
        key_of("other", "C1"),
    ]


def test_a_day_is_a_number_one_can_read():
    days = {date(2003, 1, 1): 20030101, date(2024, 12, 31): 20241231, date(2024, 2, 29): 20240229}
    assert facts(*({"order_date": day} for day in days))["date_key"].to_list() == list(days.values())


def test_nothing_is_neither_a_sale_of_nothing_nor_a_refund():
    assert facts({"total_amount": "0.00"}).select("transaction_type", "restocking_fee", "net_amount").rows() == [
        ("Sale", Decimal("0.00"), Decimal("0.00"))
    ]


def test_the_shop_sets_the_fee():
    refund = {"quantity": -1, "total_amount": "-0.30"}
    assert facts(refund, fee="0")["restocking_fee"].to_list() == [Decimal("0.00")]
    assert facts(refund, fee="0.1249")["restocking_fee"].to_list() == [Decimal("0.04")]


def test_what_the_row_says_is_kept():
    said = {"territory": "EMEA", "region": "West", "deal_size": "Large", "payment_method": "Card"}
    assert facts(said).select(*said).row(0, named=True) == said


# Orders


def test_an_order_is_what_its_lines_add_up_to():
    found = headers(
        {"line_number": 2, "total_amount": "99.99", "quantity": 1, "product_id": "P2", "freight_amount": "3.00"},
        {"territory": "EMEA", "discount_amount": "1.50", "freight_amount": "0.50"},
        {"line_number": 3, "total_amount": "-10.05", "quantity": -1, "product_id": None},
    )
    expected = {
        "source_system": "shop",
        "order_id": "O1",
        "order_key": key_of("shop", "O1"),
        "order_date": june(1),
        "date_key": 20240601,
        "customer_key": key_of("shop", "C1"),
        "customer_id": "C1",
        "lines": 3,
        "units": 2,
        "distinct_products": 2,
        "gross": "119.99",
        "refunds": "10.05",
        "fees": "1.01",
        "net": "110.95",
        "total_amount": "109.94",
        "discount_amount": "1.50",
        "freight_amount": "3.50",
        "currency": "USD",
        "is_large_order": False,
        "status": "Completed",
        # As the first line says, wherever it stands in the file.
        "territory": "EMEA",
    }
    assert_frame_equal(found, frame(FACT_ORDERS.schema, [expected]))


def test_an_order_is_large_from_the_threshold_on():
    assert headers({"total_amount": "4999.99"})["is_large_order"].to_list() == [False]
    assert headers({"total_amount": "4000"}, {"line_number": 2, "total_amount": "1000"})["is_large_order"].all()
    assert headers({"total_amount": "20"}, large="20")["is_large_order"].to_list() == [True]


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        (["Cancelled", "Cancelled"], "Cancelled"),
        (["Returned", "Cancelled"], "Returned"),
        (["Returned", "Completed"], "Completed"),
        (["Completed", "Open"], "Open"),
    ],
)
def test_the_status_of_an_order_follows_from_its_lines(lines: list[str], order: str):
    found = headers(*({"line_number": number, "status": status} for number, status in enumerate(lines, 1)))
    assert found["status"].to_list() == [order]


def test_lines_of_another_day_or_source_are_another_header():
    found = headers({}, {"line_number": 2, "order_date": june(2)}, {"source_system": "other"})
    assert found.select("source_system", "order_date", "lines").sort(pl.all()).rows() == [
        ("other", june(1), 1),
        ("shop", june(1), 1),
        ("shop", june(2), 1),
    ]


def test_an_order_without_lines_is_an_order_of_nothing():
    said = {"order_date": june(1), "currency": "USD", "status": "Cancelled", "customer_id": "C2"}
    found = headers({}, delivered=[said | {"order_id": "O1"}, said | {"order_id": "O2"}])
    assert found.select("order_id", "lines", "total_amount", "status", "customer_key", "order_key").rows() == [
        ("O1", 1, Decimal("20.00"), "Completed", key_of("shop", "C1"), key_of("shop", "O1")),
        ("O2", 0, Decimal("0.00"), "Cancelled", key_of("shop", "C2"), key_of("shop", "O2")),
    ]


# Payments


def test_a_payment_is_linked_to_its_order():
    payment = {
        "order_id": "O1",
        "payment_number": "1",
        "payment_date": june(2),
        "payment_method": "Card",
        "installments": 3,
        "amount": "20.00",
        "status": "Paid",
    }
    found = collect(fact_payments(silver(PAYMENTS, [payment]), engine=ENGINE))
    known = {"source_system": "shop", "order_key": key_of("shop", "O1"), "date_key": 20240602}
    assert_frame_equal(found, frame(FACT_PAYMENTS.schema, [payment | known]))
