"""Looking values up: each row gets the value that holds on its own day, and never becomes two rows."""

from collections.abc import Sequence
from datetime import date, datetime

import narwhals as nw
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from retail_platform.source_spec import ColumnSpec, FeedSpec
from retail_platform.transforms.lookups import BEGINNING, END, validity
from retail_platform.transforms.staging import look_up
from retail_platform_tests.unit.frames import ENGINE, MORNING, bronze, collect, june

PRICES = FeedSpec.model_validate({"kind": "master", "columns": ["product_id", "price"], "key": ["product_id"]})


def price_list(*rows: tuple[int, str | None, str | None]) -> nw.LazyFrame:
    """Deliveries of prices: day in June, product, price; each in a file of its own."""
    return bronze(
        ["product_id", "price"],
        [
            {"_drop_date": june(day), "product_id": product, "price": price, "_source_file": f"p{day:02}.csv"}
            for day, product, price in rows
        ],
    )


def intervals(prices: nw.LazyFrame) -> list[tuple[object, ...]]:
    return collect(validity(prices, PRICES, take=["price"], engine=ENGINE)).sort("lookup_key", "valid_from").rows()


def test_a_version_holds_until_the_next_and_the_first_is_open_to_the_past():
    prices = price_list((10, "P1", "12"), (5, "P1", "10"), (20, "P1", "11"), (5, "P2", "7"))
    assert intervals(prices) == [
        ("P1", BEGINNING, june(10), "10"),
        ("P1", june(10), june(20), "12"),
        ("P1", june(20), END, "11"),
        ("P2", BEGINNING, END, "7"),
    ]


def test_equal_neighbours_are_one_version_and_a_price_may_come_back():
    prices = price_list(*((day, "P1", "10") for day in range(1, 20)), (20, "P1", "11"), (21, "P1", "10"))
    assert intervals(prices) == [
        ("P1", BEGINNING, june(20), "10"),
        ("P1", june(20), june(21), "11"),
        ("P1", june(21), END, "10"),
    ]


def test_a_missing_price_is_a_version_like_any_other():
    prices = price_list((1, "P1", None), (2, "P1", None), (3, "P1", "5"), (4, "P1", None))
    assert intervals(prices) == [
        ("P1", BEGINNING, june(3), None),
        ("P1", june(3), june(4), "5"),
        ("P1", june(4), END, None),
    ]


def test_keys_are_stripped_and_rows_without_one_are_left_out():
    assert intervals(price_list((1, " P1 ", "1"), (2, "P1", "2"), (3, " ", "3"), (4, None, "4"))) == [
        ("P1", BEGINNING, june(2), "1"),
        ("P1", june(2), END, "2"),
    ]


def test_of_one_drop_date_the_last_file_and_row_wins():
    rows = [
        {"product_id": "P1", "price": "last", "_source_file": "b.csv", "_row_number": 3},
        {"product_id": "P1", "price": "first", "_source_file": "a.csv", "_row_number": 9},
        {"product_id": "P1", "price": "middle", "_source_file": "b.csv", "_row_number": 2},
    ]
    for some in (rows, rows[::-1]):
        assert intervals(bronze(["product_id", "price"], some)) == [("P1", BEGINNING, END, "last")]


def looked_up(prices: nw.LazyFrame, rows: Sequence[tuple[date, str | None]]) -> pl.DataFrame:
    orders = pl.LazyFrame(rows, schema={"partition_date": pl.Date, "raw.product": pl.String}, orient="row")
    held = validity(prices, PRICES, take=["price"], engine=ENGINE)
    return collect(look_up(nw.from_native(orders), held, by=ColumnSpec(column="product"), alias="list"))


def test_each_row_gets_what_holds_on_its_day_and_rows_without_a_match_stay():
    prices = price_list((10, "P1", "12"), (20, "P1", "11"))
    rows = [(june(1), "P1"), (june(19), " P1 "), (june(20), "P1"), (june(20), "P9"), (june(20), None)]
    expected = pl.DataFrame(
        [(*row, price) for row, price in zip(rows, ["12", "12", "11", None, None], strict=True)],
        schema={"partition_date": pl.Date, "raw.product": pl.String, "raw.list.price": pl.String},
        orient="row",
    )
    assert_frame_equal(looked_up(prices, rows), expected, check_row_order=False)


deliveries = st.lists(
    st.tuples(st.integers(1, 28), st.sampled_from(["P1", "P2"]), st.sampled_from([None, "1", "2"])),
    max_size=12,
    unique_by=lambda row: row[:2],
)


@given(deliveries, st.lists(st.tuples(st.integers(1, 30).map(june), st.sampled_from(["P1", "P2", "P3"])), max_size=10))
@settings(max_examples=40, deadline=None)
def test_no_row_is_lost_or_doubled_and_each_price_is_the_newest_of_its_day(
    rows: list[tuple[int, str, str | None]], orders: list[tuple[date, str]]
):
    def price_on(day: date, product: str) -> str | None:
        known = sorted((june(drop), price) for drop, of, price in rows if of == product)
        until = [price for drop, price in known if drop <= day]
        return until[-1] if until else (known[0][1] if known else None)

    expected = [(day, product, price_on(day, product)) for day, product in orders]
    assert sorted(looked_up(price_list(*rows), orders).rows(), key=str) == sorted(expected, key=str)


def test_an_instant_breaks_no_tie_that_the_file_decides():
    early, late = datetime(2024, 1, 1, tzinfo=MORNING.tzinfo), MORNING
    rows = [
        {"product_id": "P1", "price": "b", "_source_file": "b.csv", "_dropped_at": early},
        {"product_id": "P1", "price": "a", "_source_file": "a.csv", "_dropped_at": late},
    ]
    assert intervals(bronze(["product_id", "price"], rows)) == [("P1", BEGINNING, END, "b")]
