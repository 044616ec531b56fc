"""Sales facts: what an order line says, with durable keys, and nothing that another table could change."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from retail_platform.contracts.gold import FACT_SALES
from retail_platform.contracts.silver import ORDERS
from retail_platform.transforms.facts import fact_sales
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
