"""Planning: which ranges of days are asked for, from the days that wait."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from retail_platform.landing.ledger import Ledger
from retail_platform.settings import Settings

Days = tuple[date, date]
"""A range of days: its first and its last."""


def plan(
    ledger: Ledger, settings: Settings, sources: Iterable[str], *, first: date | None = None, last: date | None = None
) -> dict[str, list[Days]]:
    """The ranges of days that wait to be computed, by source; sources without work are left out.

    Days that have not come yet wait until they do.

    Args:
        ledger: What knows the dirty days.
        settings: How wide a gap a range may bridge.
        sources: The sources looked at.
        first: Leave earlier days alone.
        last: Leave later days alone.
    """
    today = datetime.now(UTC).date()
    first = max(first or settings.start_date, settings.start_date)
    last = min(last or today, today)
    work = {}
    for source in sources:
        days = [day for day in ledger.dirty_days(source) if first <= day <= last]
        if days:
            work[source] = to_ranges(days, gap=settings.run_gap_days)
    return work


def to_ranges(days: Iterable[date], *, gap: int) -> list[Days]:
    """Join days into ranges, bridging up to `gap` days that are not among them: an empty day costs less than a run."""
    return merge_ranges([(day, day) for day in days], gap=gap)


def merge_ranges(ranges: Iterable[Days], *, gap: int = 0) -> list[Days]:
    """Join ranges that overlap, touch, or lie at most `gap` days apart."""
    merged: list[Days] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + timedelta(days=gap + 1):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def spoken(days: Days) -> str:
    """A range of days in words."""
    first, last = days
    return f"{first}" if first == last else f"{first} to {last}"
