"""Amounts: rounded half up to cents, once."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_platform.transforms.money import to_cents

LARGEST = Decimal(10) ** 15


def cents(amounts: list[Decimal], *, scale: int) -> list[Decimal | None]:
    frame = pl.DataFrame({"amount": amounts}, schema={"amount": pl.Decimal(38, scale)})
    rounded = nw.from_native(frame).select(to_cents(nw.col("amount"))).to_native()
    assert rounded.schema == {"amount": pl.Decimal(18, 2)}
    return rounded["amount"].to_list()


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.005", "0.01"), ("0.015", "0.02"), ("-0.005", "-0.01"), ("-0.015", "-0.02"), ("1.0049", "1.00"), ("2", "2.00")],
)
def test_a_tie_goes_away_from_zero(amount: str, rounded: str):
    assert cents([Decimal(amount)], scale=4) == [Decimal(rounded)]


@pytest.mark.parametrize("amount", ["0.014990", "0.014999", "-0.014999", "7.994999"])
def test_what_is_just_short_of_a_tie_goes_towards_zero(amount: str):
    assert cents([Decimal(amount)], scale=6) == [Decimal(amount).quantize(Decimal("0.01"), ROUND_DOWN)]


@pytest.mark.parametrize("scale", [2, 4, 6])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_is_pythons_half_up(scale: int, data: st.DataObject):
    near_ties = st.integers(-10_000, 10_000).map(lambda n: Decimal(n).scaleb(-scale))
    anywhere = st.integers(-(10 ** (14 + scale)), 10 ** (14 + scale)).map(lambda n: Decimal(n).scaleb(-scale))
    amounts = data.draw(st.lists(near_ties | anywhere, min_size=1, max_size=50))
    assert cents(amounts, scale=scale) == [amount.quantize(Decimal("0.01"), ROUND_HALF_UP) for amount in amounts]


def test_what_is_too_large_to_hold_is_null():
    amounts = [LARGEST, -LARGEST, LARGEST - Decimal("0.01"), Decimal(10) ** 33]
    assert cents(amounts, scale=4) == [None, None, LARGEST - Decimal("0.01"), None]


def test_a_product_of_two_large_numbers_is_null():
    frame = pl.DataFrame(
        {"quantity": [9 * 10**18], "price": [Decimal("99999999999999.9999")]}, schema_overrides={"quantity": pl.Int64}
    )
    rounded = nw.from_native(frame).select(to_cents(nw.col("quantity") * nw.col("price")))
    assert rounded.to_native().to_series().to_list() == [None]


def test_a_missing_amount_stays_missing():
    assert nw.from_native(pl.DataFrame({"a": [None]}, schema={"a": pl.Decimal(18, 4)})).select(
        to_cents(nw.col("a"))
    ).to_native().to_series().to_list() == [None]
