"""Dimensions: versions and the days they hold, members withdrawn, derived, inferred and unknown."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from retail_platform.contracts.silver import CUSTOMERS, PRODUCTS
from retail_platform.transforms.dimensions import CUSTOMER, OPEN_END, OPEN_PAST, PRODUCT, Dimension, members, publish
from retail_platform_tests.unit.frames import ENGINE, MORNING, collect, june, key_of, silver

ENTITY = {CUSTOMER.entity: CUSTOMERS, PRODUCT.entity: PRODUCTS}


def day_members(dimension: Dimension, rows: Sequence[dict[str, Any]]) -> nw.LazyFrame:
    return members(silver(ENTITY[dimension.entity], rows), dimension, ENGINE)


def whole(
    dimension: Dimension,
    rows: Sequence[dict[str, Any]],
    *,
    used: Sequence[tuple[int, str, str | None]] = (),
    snapshots: Sequence[str] = (),
    most_frequent: Sequence[str] = (),
) -> pl.DataFrame:
    """The published dimension, from silver rows of all days and the keys that facts name."""
    schema = {dimension.key: pl.Int64, "source_system": pl.String, dimension.natural_key: pl.String}
    named = nw.from_native(pl.LazyFrame(used, schema=schema, orient="row"))
    published = publish(
        day_members(dimension, rows), named, dimension, ENGINE, most_frequent=most_frequent, snapshots=snapshots
    )
    found = collect(published).sort("source_system", dimension.natural_key, "valid_from", nulls_last=True)
    return dimension.published.validate(found)


def ann(day: int, city: str | None, **others: Any) -> dict[str, Any]:
    """Ann as delivered on a day of June."""
    return {"customer_id": "C1", "drop_date": june(day), "city": city, **others}


def versions(rows: Sequence[dict[str, Any]], **how: Any) -> list[tuple[object, ...]]:
    found = whole(CUSTOMER, rows, **how)
    return found.select("customer_id", "city", "valid_from", "valid_to", "is_current", "is_active").rows()


# A day's members


def test_a_member_has_durable_keys_and_masked_data():
    row = ann(
        3,
        "Boston",
        full_name="Ann Lee",
        email="ann@example.com",
        phone="555 12",
        birth_date=date(1990, 5, 1),
        address="1 Elm",
    )
    found = collect(day_members(CUSTOMER, [row]))
    expected = {
        "customer_key": key_of("shop", "C1"),
        "customer_version_key": key_of("shop", "C1", "2024-06-03", ""),
        "source_system": "shop",
        "customer_id": "C1",
        "full_name": "A*** L***",
        "email": "a***@example.com",
        "phone": "***12",
        "birth_year": 1990,
        "city": "Boston",
        "drop_date": june(3),
        "created_at": MORNING,
        "updated_at": MORNING,
    }
    assert found.row(0, named=True) == dict.fromkeys(CUSTOMER.members.schema) | expected
    assert found.schema == CUSTOMER.members.schema


# Versions


def test_a_version_holds_until_the_next_begins():
    assert versions([ann(1, "Boston"), ann(10, "Austin")]) == [
        ("C1", "Boston", OPEN_PAST, june(9), False, True),
        ("C1", "Austin", june(10), OPEN_END, True, True),
    ]


def test_equal_deliveries_are_one_version():
    assert versions([ann(1, None), ann(2, None), ann(3, "Austin"), ann(4, "Austin"), ann(5, None)]) == [
        ("C1", None, OPEN_PAST, june(2), False, True),
        ("C1", "Austin", june(3), june(4), False, True),
        ("C1", None, june(5), OPEN_END, True, True),
    ]


def test_members_of_different_sources_do_not_mix():
    assert versions([ann(1, "Boston"), ann(5, "York", source_system="other")]) == [
        ("C1", "York", OPEN_PAST, OPEN_END, True, True),
        ("C1", "Boston", OPEN_PAST, OPEN_END, True, True),
    ]


def test_a_snapshot_withdraws_whom_it_does_not_name_and_takes_them_back():
    bob = [{"customer_id": "C2", "drop_date": june(day), "city": "Reno"} for day in (1, 5, 9)]
    rows = [ann(1, "Boston"), ann(9, "Boston"), *bob]
    assert versions(rows, snapshots=["shop"]) == [
        ("C1", "Boston", OPEN_PAST, june(4), False, True),
        ("C1", "Boston", june(5), june(8), False, False),
        ("C1", "Boston", june(9), OPEN_END, True, True),
        ("C2", "Reno", OPEN_PAST, OPEN_END, True, True),
    ]
    # Where changes alone are delivered, silence means nothing.
    assert versions(rows) == [
        ("C1", "Boston", OPEN_PAST, OPEN_END, True, True),
        ("C2", "Reno", OPEN_PAST, OPEN_END, True, True),
    ]


def test_a_withdrawn_member_stays_as_it_was():
    rows = [ann(1, "Boston"), *({"customer_id": "C2", "drop_date": june(day)} for day in (1, 5, 9))]
    assert versions(rows, snapshots=["shop"])[:2] == [
        ("C1", "Boston", OPEN_PAST, june(4), False, True),
        ("C1", "Boston", june(5), OPEN_END, True, False),
    ]


def test_a_withdrawal_is_a_version_with_a_key_of_its_own():
    rows = [ann(1, "Boston"), {"customer_id": "C2", "drop_date": june(5)}]
    found = whole(CUSTOMER, rows, snapshots=["shop"]).filter(pl.col("customer_id") == "C1")
    assert found["customer_version_key"].to_list() == [
        key_of("shop", "C1", "2024-06-01", ""),
        key_of("shop", "C1", "2024-06-05", ""),
    ]


# Versions as the source states them


def helmet(stated: date | None, cost: str | None, *, drop: int = 1, **others: Any) -> dict[str, Any]:
    """A helmet that costs so much from a stated day on, as delivered on a day of June."""
    return {"product_id": "H1", "valid_from": stated, "unit_cost": cost, "drop_date": june(drop), **others}


def helmets(rows: Sequence[dict[str, Any]], **how: Any) -> list[tuple[object, ...]]:
    found = whole(PRODUCT, rows, **how)
    assert found["product_version_key"].is_unique().all()
    return found.select("unit_cost", "stated_from", "valid_from", "valid_to", "is_current", "is_active").rows()


YEARS = [date(2011, 7, 1), date(2012, 7, 1), date(2013, 7, 1)]


def test_a_stated_version_ends_the_day_before_the_next_one_begins():
    expected = [
        (Decimal(12), YEARS[0], OPEN_PAST, date(2012, 6, 30), False, True),
        (Decimal(14), YEARS[1], YEARS[1], date(2013, 6, 30), False, True),
        (Decimal(13), YEARS[2], YEARS[2], OPEN_END, True, True),
    ]
    rows = [helmet(day, cost) for day, cost in zip(YEARS, ["12", "14", "13"], strict=True)]
    assert helmets(rows) == expected
    assert helmets(rows[::-1]) == expected


def test_of_a_stated_version_the_later_delivery_counts():
    rows = [helmet(YEARS[0], "12"), helmet(YEARS[1], "14"), helmet(YEARS[1], "15", drop=9)]
    assert helmets(rows) == [
        (Decimal(12), YEARS[0], OPEN_PAST, date(2012, 6, 30), False, True),
        (Decimal(15), YEARS[1], YEARS[1], OPEN_END, True, True),
    ]


def test_where_no_day_is_stated_that_of_the_drop_is():
    rows = [helmet(YEARS[0], "12"), helmet(None, "16", drop=9)]
    assert helmets(rows) == [
        (Decimal(12), YEARS[0], OPEN_PAST, june(8), False, True),
        (Decimal(16), None, june(9), OPEN_END, True, True),
    ]


def test_a_snapshot_withdraws_a_product_as_it_last_was():
    other = {"product_id": "H2", "drop_date": june(9)}
    rows = [helmet(YEARS[0], "12"), helmet(YEARS[1], "14"), other]
    assert helmets(rows, snapshots=["shop"])[:3] == [
        (Decimal(12), YEARS[0], OPEN_PAST, date(2012, 6, 30), False, True),
        (Decimal(14), YEARS[1], YEARS[1], june(8), False, True),
        (Decimal(14), None, june(9), OPEN_END, True, False),
    ]


# Members read off transactions


def lamp(day: int, name: str | None, times: int, **others: Any) -> dict[str, Any]:
    return {"product_id": "P1", "drop_date": june(day), "product_name": name, "occurrences": times, **others}


def described(rows: Sequence[dict[str, Any]], **how: Any) -> list[tuple[object, ...]]:
    found = whole(PRODUCT, rows, **how)
    return found.select("product_name", "occurrences", "valid_from", "valid_to", "is_current", "drop_date").rows()


LAMPS = [lamp(1, "LAMP", 3), lamp(2, "Lamp, red", 2), lamp(3, "LAMP", 1), lamp(4, "lamp?", 1), lamp(9, None, 99)]


def test_the_most_frequent_description_holds_for_all_time():
    assert described(LAMPS, most_frequent=["shop"]) == [("LAMP", 4, OPEN_PAST, OPEN_END, True, june(1))]


def test_else_the_latest_that_says_something_does():
    assert described(LAMPS) == [("lamp?", 1, OPEN_PAST, OPEN_END, True, june(4))]


def test_of_equally_frequent_descriptions_the_later_holds():
    assert described([lamp(2, "new", 2), lamp(1, "old", 2)], most_frequent=["shop"]) == [
        ("new", 2, OPEN_PAST, OPEN_END, True, june(2))
    ]


def test_a_member_without_any_description_is_a_member():
    assert described([lamp(9, None, 1)]) == [(None, 1, OPEN_PAST, OPEN_END, True, june(9))]


def test_a_member_that_is_delivered_too_is_as_it_was_delivered():
    delivered = {"product_id": "P1", "drop_date": june(5), "product_name": "Lamp of the list"}
    assert described([*LAMPS, delivered]) == [("Lamp of the list", None, OPEN_PAST, OPEN_END, True, june(5))]


def test_two_descriptions_of_a_day_have_two_keys():
    found = collect(day_members(PRODUCT, [lamp(1, "LAMP", 1), lamp(1, "Lamp", 1)]))
    assert found["product_key"].n_unique() == 1
    assert found["product_version_key"].n_unique() == 2


# Members that nobody delivered


def test_a_key_that_facts_name_and_nobody_delivered_is_inferred():
    stranger = key_of("shop", "C9")
    found = whole(CUSTOMER, [], used=[(stranger, "shop", "C9"), (stranger, "shop", "C9")])
    assert found.row(0, named=True) == dict.fromkeys(CUSTOMER.published.schema) | {
        "customer_key": stranger,
        "customer_version_key": stranger,
        "source_system": "shop",
        "customer_id": "C9",
        "valid_from": OPEN_PAST,
        "valid_to": OPEN_END,
        "is_current": True,
        "is_active": True,
        "is_inferred": True,
    }
    assert found.height == 1


def test_facts_of_nobody_meet_the_unknown_member_once():
    found = whole(
        CUSTOMER, [ann(1, "Boston")], used=[(0, "shop", None), (0, "other", None), (key_of("shop", "C1"), "shop", "C1")]
    )
    assert found.select("customer_key", "source_system", "customer_id", "is_inferred").rows() == [
        (key_of("shop", "C1"), "shop", "C1", False),
        (0, "unknown", None, True),
    ]


def test_nothing_delivered_and_nothing_used_is_an_empty_dimension():
    assert_frame_equal(whole(CUSTOMER, []), CUSTOMER.published.schema.to_frame())


# Whatever is delivered

deliveries = st.lists(
    st.builds(
        lambda customer, day, city: {"customer_id": customer, "drop_date": june(day), "city": city},
        st.sampled_from(["C1", "C2", "C3"]),
        st.integers(1, 28),
        st.sampled_from([None, "Boston", "Austin"]),
    ),
    max_size=15,
    unique_by=lambda row: (row["customer_id"], row["drop_date"]),
)


@given(rows=deliveries, snapshots=st.sampled_from([(), ("shop",)]), data=st.data())
@settings(max_examples=20, deadline=None)
def test_every_day_of_a_member_has_one_version_whatever_came_first(
    rows: list[dict[str, Any]], snapshots: tuple[str, ...], data: st.DataObject
):
    found = whole(CUSTOMER, rows, snapshots=snapshots)
    assert_frame_equal(whole(CUSTOMER, data.draw(st.permutations(rows)), snapshots=snapshots), found)
    assert found["customer_version_key"].is_unique().all()
    assert set(found["customer_id"]) == {row["customer_id"] for row in rows}
    for (_,), some in found.group_by("customer_key"):
        spans = some.sort("valid_from").select("valid_from", "valid_to", "is_current").rows()
        assert spans[0][0] == OPEN_PAST
        assert [until + timedelta(days=1) for _, until, _ in spans[:-1]] == [start for start, _, _ in spans[1:]]
        assert [current for *_, current in spans] == [False] * (len(spans) - 1) + [True]
        assert spans[-1][1] == OPEN_END
