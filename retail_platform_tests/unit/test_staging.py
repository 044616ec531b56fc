"""Staging: a source's own text becomes our columns, step by step; what cannot be read is marked, not judged."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.contracts.silver import ORDERS
from retail_platform.source_spec import ColumnSpec, SourceSpec
from retail_platform.transforms.staging import RAW, Staging, complete_orders, stage
from retail_platform.transforms.values import value_of
from retail_platform_tests.unit.frames import ENGINE, collect, june, lazy

SPEC: Mapping[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "feeds": {
        "lines": {
            "kind": "transactional",
            "columns": ["no", "when", "qty", "price"],
            "key": ["no"],
            "date": {"column": "when", "formats": ["%Y-%m-%d %H:%M", "%d.%m.%Y"]},
        }
    },
    "entities": {
        "orders": {
            "feed": "lines",
            "columns": {
                "order_id": "no",
                "line_number": {"constant": "1"},
                "order_date": "when",
                "ordered_at": "when",
                "quantity": "qty",
                "unit_price": "price",
                "ship_date": {"column": "when", "formats": ["%d.%m.%Y"]},
            },
        }
    },
}


def value(text: str | None, **steps: Any) -> str | None:
    rows = nw.from_native(pl.DataFrame({RAW + "x": [text]}, schema={RAW + "x": pl.String}))
    return rows.select(value=value_of(ColumnSpec(column="x", **steps), prefix=RAW)).to_native()["value"].item()


def staged(*rows: tuple[str | None, ...]) -> pl.DataFrame:
    spec = SourceSpec.model_validate(SPEC)
    names = [RAW + name for name in spec.feeds["lines"].columns]
    frame = pl.LazyFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    entity = spec.entities["orders"]
    how = Staging(source="shop", spec=spec, entity=entity, types=ORDERS.narwhals_schema)
    return collect(stage(nw.from_native(frame), how, ENGINE)).drop(names)


@pytest.mark.parametrize(("text", "found"), [("  Ann\t", "Ann"), ("   ", None), ("", None), (None, None)])
def test_text_is_stripped_and_empty_text_is_missing(text: str | None, found: str | None):
    assert value(text) == found


@pytest.mark.parametrize(
    ("text", "steps", "found"),
    [
        ("17850.0", {"replace": {r"\.0$": ""}}, "17850"),
        ("a-b-c", {"replace": {"-": "+", r"\+c": "!"}}, "a+b!"),
        ("n/a", {"replace": {"^n/a$": ""}}, None),
        ("85123a", {"case": "upper"}, "85123A"),
        ("ANN@X.COM", {"case": "lower"}, "ann@x.com"),
        ("C536379", {"patterns": {"^C": "Cancelled", "^[AC]": "Other"}}, "Cancelled"),
        ("536379", {"patterns": {"^C": "Cancelled"}}, None),
        ("536379", {"patterns": {"^C": "Cancelled"}, "default": "Completed"}, "Completed"),
        ("Canceled", {"map": {"Canceled": "Cancelled"}}, "Cancelled"),
        ("Open", {"map": {"Canceled": "Cancelled"}}, "Open"),
        (None, {"map": {"Canceled": "Cancelled"}}, None),
        (" ", {"default": "1"}, "1"),
        ("2", {"default": "1"}, "2"),
        # Each step sees what the former gave.
        (
            "x-ma",
            {"replace": {"^x-": ""}, "case": "upper", "patterns": {"^MA$": "east"}, "map": {"east": "East"}},
            "East",
        ),
    ],
)
def test_the_steps_of_a_value(text: str | None, steps: dict[str, Any], found: str | None):
    assert value(text, **steps) == found


def test_a_constant_is_the_same_in_every_row():
    rows = nw.from_native(pl.DataFrame({RAW + "x": ["a", None]}))
    assert rows.with_columns(value=value_of(ColumnSpec(constant="GB"), prefix=RAW))["value"].to_list() == ["GB", "GB"]


def test_columns_get_their_types_and_what_cannot_be_read_is_named():
    rows = staged(
        ("O1", "2024-06-01 12:00", "2.0", "0.335"),
        ("O2", "02.06.2024", "-3", None),
        ("O3", "tomorrow", "two", "5 GBP"),
    )
    expected = pl.DataFrame(
        {
            "order_id": ["O1", "O2", "O3"],
            "line_number": [1, 1, 1],
            "order_date": [june(1), june(2), None],
            "ordered_at": [datetime(2024, 6, 1, 11, tzinfo=UTC), datetime(2024, 6, 1, 23, tzinfo=UTC), None],
            "quantity": [2, -3, None],
            "unit_price": [Decimal("0.3350"), None, None],
            "ship_date": [None, june(2), None],
            "_unreadable": ["|ship_date|", "", "|order_date||ordered_at||quantity||unit_price||ship_date|"],
            "source_system": ["shop", "shop", "shop"],
        },
        schema_overrides={"ordered_at": pl.Datetime("us", "UTC"), "unit_price": pl.Decimal(18, 4)},
    )
    assert_frame_equal(rows, expected)


# Completing orders

LINE = pl.Schema(
    {
        "quantity": pl.Int64(),
        "unit_price": pl.Decimal(18, 4),
        "discount_amount": pl.Decimal(18, 2),
        "total_amount": pl.Decimal(18, 2),
        "status": pl.String(),
        "_unreadable": pl.String(),
    }
)


def completed(*, without: tuple[str, ...] = (), **line: object) -> dict[str, Any]:
    rows = lazy(LINE, [line], _unreadable="").drop(*without)
    return collect(complete_orders(rows, currency="GBP")).row(0, named=True)


def test_the_amount_follows_from_quantity_and_price_rounded_half_up_once():
    line = completed(quantity=3, unit_price="0.335", without=("total_amount", "discount_amount"))
    assert line["total_amount"] == Decimal("1.01")
    assert completed(quantity=-3, unit_price="0.335", without=("total_amount",))["total_amount"] == Decimal("-1.01")


def test_a_discount_is_taken_off():
    assert completed(quantity=2, unit_price="10", discount_amount="0.50")["total_amount"] == Decimal("19.50")


def test_an_amount_that_is_given_stays():
    assert completed(quantity=2, unit_price="10", total_amount="18.00")["total_amount"] == Decimal("18.00")


def test_an_amount_that_cannot_be_read_is_no_gap_to_fill():
    assert completed(quantity=2, unit_price="10", _unreadable="|total_amount|")["total_amount"] is None


def test_an_amount_that_is_too_large_to_hold_is_null():
    assert completed(quantity=10**16, unit_price="10")["total_amount"] is None


def test_a_missing_status_is_completed_and_the_currency_is_the_sources():
    line = completed(quantity=1, unit_price="1", without=("status",))
    assert (line["status"], line["currency"]) == ("Completed", "GBP")
    assert completed(quantity=1, unit_price="1")["status"] == "Completed"
    assert completed(quantity=1, unit_price="1", status="Open")["status"] == "Open"
