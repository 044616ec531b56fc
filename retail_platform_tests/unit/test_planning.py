"""Planning: waiting days become few ranges."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retail_platform.landing.ledger import Ledger
from retail_platform.landing.planning import merge_ranges, plan, to_ranges
from retail_platform.settings import Settings
from retail_platform_tests.unit.frames import june


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield ledger
    ledger.close()


def settings(**values: object) -> Settings:
    return Settings.model_validate({"start_date": "2024-01-01", "run_gap_days": 2, **values})


@pytest.mark.parametrize(
    ("days", "gap", "ranges"),
    [
        ([], 0, []),
        ([1], 0, [(1, 1)]),
        ([2, 1, 3], 0, [(1, 3)]),
        ([1, 3], 0, [(1, 1), (3, 3)]),
        ([1, 3], 1, [(1, 3)]),
        ([1, 4, 8, 20], 2, [(1, 4), (8, 8), (20, 20)]),
        ([5, 5, 1, 1], 3, [(1, 5)]),
    ],
)
def test_days_are_joined_over_gaps(days: list[int], gap: int, ranges: list[tuple[int, int]]):
    assert to_ranges(map(june, days), gap=gap) == [(june(first), june(last)) for first, last in ranges]


def test_ranges_that_overlap_or_touch_are_one():
    ranges = [(june(10), june(12)), (june(1), june(5)), (june(4), june(4)), (june(6), june(7))]
    assert merge_ranges(ranges) == [(june(1), june(7)), (june(10), june(12))]


def test_each_source_has_its_own_work_and_idle_ones_are_left_out(ledger: Ledger):
    ledger.make_dirty("shop", [june(1), june(3), june(9), june(1)], reason="test")
    ledger.make_dirty("other", [june(5)], reason="test")
    assert plan(ledger, settings(), ["shop", "idle"]) == {"shop": [(june(1), june(3)), (june(9), june(9))]}


def test_a_user_narrows_the_days(ledger: Ledger):
    ledger.make_dirty("shop", [june(1), june(10), june(20)], reason="test")
    assert plan(ledger, settings(), ["shop"], first=june(2), last=june(10)) == {"shop": [(june(10), june(10))]}


def test_days_before_the_platform_begins_or_after_today_wait(ledger: Ledger):
    today = datetime.now(UTC).date()
    ledger.make_dirty("shop", [date(2023, 12, 31), today, today + timedelta(days=2)], reason="test")
    far = {"first": date(2000, 1, 1), "last": date(9999, 1, 1)}
    assert plan(ledger, settings(), ["shop"], **far) == {"shop": [(today, today)]}
