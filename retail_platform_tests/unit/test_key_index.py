"""The key index: where each key stands, and which days must follow when something changes."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.landing.key_index import KeyIndex
from retail_platform_tests.unit.frames import MORNING, frame, june

JULY = date(2024, 7, 1)


@pytest.fixture
def index(tmp_path: Path) -> KeyIndex:
    return KeyIndex(root=tmp_path / "index", lookups=("products",))


def entries(index: KeyIndex, *rows: dict[str, Any]) -> pl.DataFrame:
    defaults = {"_drop_date": june(1), "_source_file": "a.csv", "_dropped_at": MORNING, "_row_number": 2}
    return frame(index.schema, rows, **defaults)


def entry(key: int, day: date, file: str = "f1", **others: Any) -> dict[str, Any]:
    return {"_key": key, "partition_date": day, "file_id": file, **others}


def keys(*values: int) -> pl.LazyFrame:
    return pl.LazyFrame({"_key": values}, schema={"_key": pl.Int64})


def changed(frame: pl.DataFrame) -> list[int]:
    return sorted(frame["_key"])


def test_an_empty_index_knows_nothing(index: KeyIndex):
    assert_frame_equal(index.scan().collect(), index.schema.to_frame())
    assert index.days_of(keys(1)) == set()


def test_entries_are_found_on_all_days_over_months(index: KeyIndex):
    rows = entries(index, entry(1, june(1)), entry(2, june(1)), entry(1, JULY))
    assert changed(index.replace(rows, files=[("f1", june(1)), ("f1", JULY)])) == [1, 2]
    assert index.days_of(keys(1)) == {june(1), JULY}
    assert_frame_equal(
        index.versions_of(keys(1, 1, 9)).collect(), rows.filter(pl.col("_key") == 1), check_row_order=False
    )
    assert sorted(file.name for file in index.root.iterdir()) == ["month=2024-06.parquet", "month=2024-07.parquet"]


def test_a_file_is_replaced_on_the_days_named_and_nowhere_else(index: KeyIndex):
    before = entries(index, entry(1, june(1)), entry(2, june(2)), entry(3, june(1), "f2"))
    index.replace(before, files=[("f1", june(1)), ("f1", june(2)), ("f2", june(1))])
    assert changed(index.replace(entries(index, entry(4, june(1))), files=[("f1", june(1))])) == [1, 4]
    expected = entries(index, entry(4, june(1)), entry(2, june(2)), entry(3, june(1), "f2"))
    assert_frame_equal(index.scan().collect(), expected, check_row_order=False)


def test_an_emptied_file_takes_its_keys_away(index: KeyIndex):
    index.replace(entries(index, entry(1, june(1))), files=[("f1", june(1))])
    assert changed(index.replace(entries(index), files=[("f1", june(1))])) == [1]
    assert index.scan().collect().is_empty()


def test_repeating_a_replacement_changes_no_key(index: KeyIndex):
    rows = entries(index, entry(1, june(1)), entry(2, june(1), **{"lookup.products": 7}))
    files = [("f1", june(1))]
    index.replace(rows, files=files)
    assert changed(index.replace(rows, files=files)) == []


@pytest.mark.parametrize("change", [{"_row_number": 3}, {"_source_file": "b.csv"}, {"lookup.products": 8}])
def test_a_key_that_says_something_else_has_changed(index: KeyIndex, change: dict[str, Any]):
    files = [("f1", june(1))]
    index.replace(entries(index, entry(1, june(1)), entry(2, june(1))), files=files)
    assert changed(index.replace(entries(index, entry(1, june(1), **change), entry(2, june(1))), files=files)) == [1]


def test_days_that_look_up_a_changed_key_while_the_change_holds(index: KeyIndex):
    lamp, desk = {"lookup.products": 7}, {"lookup.products": 8}
    rows = [entry(number, june(number), **lamp) for number in (1, 5, 9)] + [
        entry(6, june(6), **desk),
        entry(7, june(7)),
    ]
    index.replace(entries(index, *rows), files=[("f1", june(day)) for day in (1, 5, 6, 7, 9)])
    changes = pl.LazyFrame({"_key": [7], "valid_from": [june(5)], "valid_to": [june(9)]})
    assert index.days_using("products", changes) == {june(5)}


def test_an_index_written_before_a_lookup_was_declared_is_read(index: KeyIndex):
    old = KeyIndex(root=index.root)
    old.replace(entries(old, entry(1, june(1))), files=[("f1", june(1))])
    assert_frame_equal(index.scan().collect(), entries(index, entry(1, june(1))))
