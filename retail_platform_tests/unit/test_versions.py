"""Which row of a key counts: that of the latest drop date, path and row, whatever came first."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import polars as pl
import pytest

from retail_platform.transforms.versions import latest_versions, mark_superseded
from retail_platform_tests.unit.frames import MORNING, bronze, collect, june


def marked(*rows: dict[str, Any], by: tuple[str, ...] = ("_key",), many: bool = False) -> dict[str, bool]:
    """Whether each row, by name, is superseded."""
    frame = bronze(["name"], rows)
    result = collect(mark_superseded(frame, latest_versions(frame, by=by), by=by, many=many))
    assert set(result.columns) == {*collect(frame).columns, "_superseded", "_created_at"}
    return dict(result.sort("name").select("name", "_superseded").iter_rows())


def row(name: str, key: int | None, day: int, file: str, number: int, **others: Any) -> dict[str, Any]:
    return {"name": name, "_key": key, "_drop_date": june(day), "_source_file": file, "_row_number": number, **others}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_later_is_drop_date_then_path_then_row_in_any_order_of_arrival(order: tuple[int, ...]):
    rows = [
        row("old drop", 1, 1, "z.csv", 9),
        row("lower path", 1, 2, "a.csv", 9),
        row("lower row", 1, 2, "b.csv", 2),
        row("latest", 1, 2, "b.csv", 3),
    ]
    assert marked(*(rows[place] for place in order)) == {
        "latest": False,
        "lower path": True,
        "lower row": True,
        "old drop": True,
    }


def test_each_key_is_judged_alone_and_rows_without_a_key_stay():
    assert marked(
        row("a", 1, 1, "a.csv", 2),
        row("b", 2, 1, "a.csv", 3),
        row("c", None, 1, "a.csv", 4),
        row("d", None, 2, "a.csv", 4),
    ) == {"a": False, "b": False, "c": False, "d": False}


def test_of_one_file_that_is_appended_to_the_later_content_counts():
    later = MORNING + timedelta(hours=1)
    assert marked(row("first", 1, 1, "a.csv", 9), row("second", 1, 1, "a.csv", 2, _dropped_at=later)) == {
        "first": True,
        "second": False,
    }


def test_many_rows_of_one_file_are_one_version_of_the_key():
    assert marked(
        row("old 1", 1, 1, "a.csv", 2),
        row("old 2", 1, 1, "a.csv", 3),
        row("new 1", 1, 2, "b.csv", 2),
        row("new 2", 1, 2, "b.csv", 3),
        many=True,
    ) == {"new 1": False, "new 2": False, "old 1": True, "old 2": True}


def test_within_days_each_day_keeps_its_own_latest():
    assert marked(
        row("monday", 1, 3, "a.csv", 2, partition_date=june(3)),
        row("monday again", 1, 3, "b.csv", 2, partition_date=june(3)),
        row("tuesday", 1, 4, "c.csv", 2, partition_date=june(4)),
        by=("partition_date", "_key"),
    ) == {"monday": True, "monday again": False, "tuesday": False}


def test_a_key_was_created_by_its_first_drop():
    later = MORNING + timedelta(days=1)
    rows = bronze(
        ["name"],
        [
            row("new", 1, 2, "a.csv", 2, _dropped_at=later),
            row("old", 1, 1, "a.csv", 2),
            row("none", None, 2, "a.csv", 3, _dropped_at=later),
        ],
    )
    result = collect(mark_superseded(rows, latest_versions(rows))).select("name", "_created_at")
    assert dict(result.iter_rows()) == {"new": MORNING, "old": MORNING, "none": later}


def test_versions_on_other_days_count_too():
    here = bronze(["name"], [row("moved away", 1, 1, "a.csv", 2)])
    everywhere = bronze(["name"], [row("moved away", 1, 1, "a.csv", 2), row("now", 1, 2, "a.csv", 2)])
    assert collect(mark_superseded(here, latest_versions(everywhere)))["_superseded"].to_list() == [True]
    assert collect(latest_versions(everywhere)).select(pl.col("latest._drop_date")).item() == june(2)
