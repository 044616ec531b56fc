"""Marts: figures that a shopkeeper would work out by hand."""

from decimal import Decimal
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from retail_platform.contracts.marts import DAILY_SALES
from retail_platform.contracts.silver import ORDERS
from retail_platform.transforms.facts import fact_sales
from retail_platform.transforms.marts import daily_sales
from retail_platform_tests.unit.frames import ENGINE, collect, frame, june, silver

COLUMNS = ("order_id", "line_number", "customer_id", "quantity", "total_amount", "status", "territory")
DAY = {"order_date": june(1), "product_id": "P1", "unit_price": "1", "currency": "USD"}


def day_of(*lines: tuple[object, ...], **others: Any) -> pl.DataFrame:
    """The mart of a day with these order lines (`COLUMNS`)."""
    orders = silver(ORDERS, [dict(zip(COLUMNS, line, strict=True)) for line in lines], **DAY, **others)
    mart = collect(daily_sales(fact_sales(orders, restocking_fee_rate=Decimal("0.10"), engine=ENGINE)))
    return DAILY_SALES.validate(mart)


def answer(**figures: object) -> dict[str, object]:
    return {"order_date": june(1), "source_system": "shop", "territory": "North", "status": "Completed", **figures}


def same(found: pl.DataFrame, *rows: dict[str, object]) -> None:
    assert_frame_equal(found, frame(DAILY_SALES.schema, rows), check_row_order=False)


def test_a_day_in_a_small_shop():
    found = day_of(
        ("O1", 1, "C1", 2, "20.00", "Completed", "North"),
        ("O1", 2, "C1", 1, "99.99", "Completed", "North"),
        ("O2", 1, "C2", 3, "1.01", "Completed", "North"),
        ("O3", 1, None, 1, "10.00", "Completed", "North"),
        ("O4", 1, "C2", -1, "-10.00", "Returned", "North"),
        ("O5", 1, "C1", 1, "7.00", "Completed", None),
    )
    same(
        found,
        # Three orders, of which one is nobody's: 131.00 / 3 = 43.67.
        answer(
            orders=3,
            units=7,
            gross="131.00",
            refunds="0",
            fees="0",
            net="131.00",
            customers=2,
            average_order_value="43.67",
        ),
        # Ten back, of which one is kept; nothing sold, so no order has an average value.
        answer(
            status="Returned", orders=1, units=-1, gross="0", refunds="10.00", fees="1.00", net="-9.00", customers=1
        ),
        answer(
            territory=None,
            orders=1,
            units=1,
            gross="7.00",
            refunds="0",
            fees="0",
            net="7.00",
            customers=1,
            average_order_value="7.00",
        ),
    )


def test_an_order_with_a_sale_and_a_refund_is_one_order():
    found = day_of(
        ("O1", 1, "C1", 2, "20.00", "Completed", "North"),
        ("O1", 2, "C1", -1, "-5.00", "Completed", "North"),
        # Some sources write what came back as if it had gone out.
        ("O2", 1, "C1", 1, "-5.00", "Completed", "North"),
    )
    same(
        found,
        answer(orders=2, units=0, gross="20", refunds="10", fees="1", net="11", customers=1, average_order_value="20"),
    )


def test_a_cancelled_order_of_nobody_has_no_customer():
    found = day_of(("O1", 1, None, 1, "10.00", "Cancelled", "North"))
    same(
        found,
        answer(
            status="Cancelled",
            orders=1,
            units=1,
            gross="10",
            refunds="0",
            fees="0",
            net="10",
            customers=0,
            average_order_value="10",
        ),
    )


def test_the_average_is_rounded_once():
    cents = [(f"O{number}", 1, "C1", 1, "0.01", "Completed", "North") for number in range(500)]
    found = day_of(*cents, ("O500", 1, "C1", 1, "2.51", "Completed", "North"))
    # 7.51 / 501 = 0.014990...: nearer to one cent than to two.
    assert found["average_order_value"].to_list() == [Decimal("0.01")]


def test_an_order_of_nothing_is_no_sale():
    found = day_of(
        ("O1", 1, "C1", 1, "0.00", "Completed", "North"),
        ("O2", 1, "C1", 1, "0.01", "Completed", "North"),
    )
    same(
        found,
        answer(orders=2, units=2, gross="0.01", refunds="0", fees="0", net="0.01", customers=1)
        | {"average_order_value": "0.01"},
    )


def test_sources_are_kept_apart():
    lines = [("O1", 1, "C1", 1, "10.00", "Completed", "North")]
    ours, theirs = day_of(*lines), day_of(*lines, source_system="other")
    same(
        ours,
        answer(orders=1, units=1, gross="10", refunds="0", fees="0", net="10", customers=1, average_order_value="10"),
    )
    assert theirs["source_system"].to_list() == ["other"]


def test_a_day_without_sales_has_no_rows():
    same(day_of())
