"""Values that are put together: split, joined, taken from the first that has one, computed."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from pydantic import ValidationError

from retail_platform.engines.engine import Reading
from retail_platform.source_spec import ColumnSpec
from retail_platform.transforms.values import COMPUTED, NUMBER, value_of
from retail_platform_tests.unit.frames import ENGINE, collect


def value(spec: Mapping[str, Any], **columns: str | None) -> str | None:
    """What a description makes of a row."""
    how = ColumnSpec.model_validate(spec)
    row = nw.from_native(
        pl.LazyFrame({name: [text] for name, text in columns.items()}, schema_overrides=_texts(columns))
    )
    operands = {NUMBER + name: Reading(dtype=COMPUTED) for name in how.operands()}
    row = row.with_columns(nw.col(name.removeprefix(NUMBER)).alias(name) for name in operands)
    return collect(ENGINE.parse(row, operands).select(value=value_of(how, prefix="")))["value"].item()


def _texts(columns: Mapping[str, str | None]) -> dict[str, type[pl.String]]:
    return dict.fromkeys(columns, pl.String)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"column": "x", "extract": "^([^_]+)_"}, "S10"),
        ({"column": "x", "extract": "_([0-9]+)"}, "1678"),
        ({"column": "x", "extract": "([0-9]{2})"}, "10"),  # the first place that matches
        ({"column": "x", "extract": "_(?:[0-9])([0-9]+)$"}, "678"),
        ({"column": "x", "extract": "^([a-z]+)"}, None),
        ({"column": "x", "extract": "S(9)?"}, None),  # the group took no part
        ({"column": "x", "extract": "^(.{3})", "replace": {"S": "-"}, "default": "none"}, "-10"),
        ({"column": "x", "extract": "^([a-z]+)", "default": "none"}, "none"),
    ],
)
def test_a_part_of_a_text_is_what_the_group_matches(spec: dict[str, Any], found: str | None):
    assert value(spec, x=" S10_1678 ") == found


def test_a_text_of_several_lines_is_split_as_one():
    assert value({"column": "x", "extract": "no ([0-9]+)"}, x="to\nno 12\nend") == "12"


def test_columns_are_joined_and_missing_ones_left_out():
    name = {"join": ["first", "last"]}
    assert value(name, first=" Ann ", last="Lee") == "Ann Lee"
    assert value(name, first="  ", last="Lee") == "Lee"
    assert value(name, first=None, last=None) is None
    assert value(name | {"separator": ", ", "case": "upper"}, first="Ann", last="Lee") == "ANN, LEE"
    tagged = {"join": [{"constant": "DE"}, {"column": "no", "replace": {"^0+": ""}}], "separator": "-"}
    assert value(tagged, no="0042") == "DE-42"


def test_the_first_value_that_is_there_counts():
    state = {"first_of": ["state", "province", {"column": "county", "case": "upper"}], "default": "?"}
    assert value(state, state="LA", province=None, county="Orleans") == "LA"
    assert value(state, state="", province=" ON ", county=None) == "ON"
    assert value(state, state=None, province=None, county="Kent") == "KENT"
    assert value(state, state=None, province=" ", county=None) == "?"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("abs(a) / b", "66.4333333333"),
        ("a - b * 2", "-2053.0000000000"),
        ("-a", "1993.0000000000"),
        ("(a + 'c d') * 0.1", "-199.0500000000"),
        ("a / (b - 30)", "not computable"),
        ("a * word", "not computable"),
        ("a * nothing", None),
        ("a / 0 * nothing", None),
        ("large * large", "not computable"),
        ("large * large / large", "not computable"),
        ("2 * 3", "6.0000000000"),
    ],
)
def test_a_computed_value_is_exact_missing_or_not_computable(expression: str, found: str | None):
    row = {"a": "-1993", "b": "30", "c d": "2.5", "word": "two", "nothing": None, "large": "9999999999999"}
    assert value({"compute": expression}, **row) == found


def test_steps_follow_what_is_computed():
    sign = {"compute": "a - b", "patterns": {"^-": "Returned"}, "default": "Completed"}
    assert value(sign, a="1", b="2") == "Returned"
    assert value(sign, a="2", b="2") == "Completed"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "say either `column:`"),
        ({"column": "a", "join": ["b"]}, "say either `column:`"),
        ({"join": ["a"], "compute": "b"}, "say either `column:`"),
        ({"column": "a", "extract": "x"}, "needs one group"),
        ({"column": "a", "extract": "(x)(y)"}, "needs one group"),
        ({"column": "a", "extract": "(x"}, "no regular expression"),
        ({"column": "a", "replace": {"(?<=x)y": ""}}, "look-behind"),
        ({"column": "a", "patterns": {r"(x)\1": "twice"}}, "back-references"),
        ({"column": "a", "replace": {"(x)": r"\1"}}, "write \\$1"),
        ({"compute": "a ^ b"}, "cannot be used"),
        ({"first_of": [{"column": "a", "formats": ["%Y"]}]}, "are of the whole"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(spec: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        ColumnSpec.model_validate(spec)


# Numbers as they are written elsewhere


def read(text: str, mark: str | None, dtype: nw.dtypes.DType) -> str | None:
    row = nw.from_native(pl.LazyFrame({"x": [text]}))
    return collect(ENGINE.parse(row, {"x": Reading(dtype=dtype, decimal=mark)}).select(nw.col("x").cast(nw.String())))[
        "x"
    ].item()


@pytest.mark.parametrize(
    ("text", "mark", "found"),
    [
        ("1.234,56", ",", "1234.56"),
        ("1.234.567,5", ",", "1234567.50"),
        ("12,5", ",", "12.50"),
        ("-12,505", ",", "-12.51"),  # half up, once
        ("+3", ",", "3.00"),
        (",50", ",", "0.50"),
        ("1 234,56", ",", "1234.56"),
        ("1\u00a0234,56", ",", "1234.56"),
        ("1\u202f234,56", ",", "1234.56"),
        ("1'234.50", ".", "1234.50"),
        ("1,234.56", ".", "1234.56"),
        ("1234.56", ".", "1234.56"),
        ("12.50", None, "12.50"),
        # A number of the other kind is none: 12.50 must not become 1,250.
        ("12.50", ",", None),
        ("1.23,4", ",", None),
        ("1,234,56", ",", None),
        ("12,50", ".", None),
        ("12,50", None, None),
        ("1,234.56", None, None),
        ("12,50 EUR", ",", None),
        ("-", ",", None),
        ("1.234", ",", "1234.00"),
        ("$1,200.50", ".", "1200.50"),
        ("-£3.99", ".", "-3.99"),
        ("1.234,50 €", ",", "1234.50"),
        ("$3.99", None, None),
        ("$", ".", None),
        ("$$3", ".", None),
    ],
)
def test_amounts_are_read_by_their_decimal_mark(text: str, mark: str | None, found: str | None):
    assert read(text, mark, nw.Decimal(18, 2)) == found


@pytest.mark.parametrize(
    ("text", "mark", "found"), [("1.200", ",", "1200"), ("6,0", ",", "6"), ("6,5", ",", None), ("1,200", ".", "1200")]
)
def test_whole_numbers_too(text: str, mark: str, found: str | None):
    assert read(text, mark, nw.Int64()) == found
