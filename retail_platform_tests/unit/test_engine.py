"""The engine: text read into types, keys hashed alike everywhere, rows packed as JSON."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from retail_platform.engines.engine import Reading
from retail_platform_tests.unit.frames import ENGINE, collect, key_of

INSTANT = nw.Datetime("us", "UTC")
MINUTES = ("%Y-%m-%d %H:%M",)


def read(text: str | None, how: Reading) -> Any:
    rows = nw.from_native(pl.LazyFrame({"text": [text]}, schema={"text": pl.String}))
    ((value,),) = collect(ENGINE.parse(rows, {"text": how})).rows()
    return value


@pytest.mark.parametrize(
    ("text", "number"),
    [("6", 6), ("-6", -6), ("6.0", 6), ("-6.000", -6), ("007", 7), ("0.0", 0)]
    + [(text, None) for text in ("6.5", "6.05", "six", "1,000", "6-", "", "9223372036854775808", None)],
)
def test_whole_numbers(text: str | None, number: int | None):
    assert read(text, Reading(dtype=nw.Int64())) == number


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("19", "19.00"),
        ("19.9", "19.90"),
        ("-0.5", "-0.50"),
        (".5", "0.50"),
        ("0.125", "0.13"),
        ("0.135", "0.14"),
        ("-0.125", "-0.13"),
        ("0.1249", "0.12"),
        ("12.344999999999999", "12.35"),
        ("9999999999999999.99", "9999999999999999.99"),
    ]
    + [(text, None) for text in ("$5", "1,000.00", "five", "NaN", "inf", "", "99999999999999999.99", "1e30", None)],
)
def test_amounts(text: str | None, amount: str | None):
    assert read(text, Reading(dtype=nw.Decimal(18, 2))) == (None if amount is None else Decimal(amount))


def test_unit_prices_keep_four_decimals():
    assert read("0.00105", Reading(dtype=nw.Decimal(18, 4))) == Decimal("0.0011")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-06-01", date(2024, 6, 1)),
        ("2/24/2003 0:00", date(2003, 2, 24)),
        ("20240229", date(2024, 2, 29)),
        ("20230229", None),
        ("2024-06-01T00:00", None),
        ("2024-06-01 extra", None),
        ("0", None),
        (None, None),
    ],
)
def test_dates_in_the_first_format_that_fits(text: str | None, day: date | None):
    assert read(text, Reading(dtype=nw.Date(), formats=("%Y-%m-%d", "%m/%d/%Y %H:%M", "%Y%m%d"))) == day


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2024-01-15 12:00", datetime(2024, 1, 15, 17, 0, tzinfo=UTC)),
        ("2024-07-15 12:00", datetime(2024, 7, 15, 16, 0, tzinfo=UTC)),
        # The clock goes from 2:00 to 3:00: half past two was never shown.
        ("2024-03-10 02:30", None),
        ("2024-03-10 03:00", datetime(2024, 3, 10, 7, 0, tzinfo=UTC)),
        # The clock shows 1:30 twice: the first is meant.
        ("2024-11-03 01:30", datetime(2024, 11, 3, 5, 30, tzinfo=UTC)),
        ("2024-11-03 02:00", datetime(2024, 11, 3, 7, 0, tzinfo=UTC)),
        ("noon", None),
    ],
)
def test_instants_are_read_by_the_clock_of_the_source(local: str, instant: datetime | None):
    assert read(local, Reading(dtype=INSTANT, formats=MINUTES, timezone="America/New_York")) == instant


def test_a_type_without_a_reading_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="no way to read"):
        read("x", Reading(dtype=nw.Float64()))


def test_keys_are_63_bits_of_the_md5_of_their_parts():
    rows = nw.from_native(pl.LazyFrame({"source": ["shop", "shop", "łódź", None], "id": ["C1", None, "ü", "C1"]}))
    keys = collect(ENGINE.hash_keys(rows, {"key": ["source", "id"], "alone": ["source"]}))
    assert keys.schema["key"] == pl.Int64
    assert keys["key"].to_list() == [key_of("shop", "C1"), key_of("shop", ""), key_of("łódź", "ü"), None]
    assert keys["alone"].to_list() == [key_of("shop"), key_of("shop"), key_of("łódź"), None]


def test_a_key_is_what_it_was_in_every_release():
    rows = nw.from_native(pl.LazyFrame({"source": ["storefront"], "id": ["C1"]}))
    assert collect(ENGINE.hash_keys(rows, {"key": ["source", "id"]}))["key"].to_list() == [1722919371045123210]


def test_parts_do_not_run_into_one_another():
    rows = nw.from_native(pl.LazyFrame({"a": ["ab", "a"], "b": ["c", "bc"]}))
    assert collect(ENGINE.hash_keys(rows, {"key": ["a", "b"]}))["key"].n_unique() == 2


def test_a_row_is_packed_as_json():
    rows = nw.from_native(pl.LazyFrame({"a": ['say "hi"\n', None], "b,c": ["ü", "x"]}))
    packed = collect(ENGINE.pack_json(rows, ["a", "b,c"], "raw"))["raw"].to_list()
    assert [json.loads(text) for text in packed] == [{"a": 'say "hi"\n', "b,c": "ü"}, {"a": None, "b,c": "x"}]
