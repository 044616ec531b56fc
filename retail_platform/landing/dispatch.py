"""What a drop sensor asks for: the ranges of days that wait, given what its runs have tried and what is under way.

Pure: the ledger's marks and the runs' outcomes go in, a decision comes out. So nothing has to be remembered between
two looks, and nothing is missed or done twice after a restart.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import takewhile

from retail_platform.landing.planning import Days, to_ranges

_FIRST_REST = timedelta(seconds=10)
_LONGEST_REST = timedelta(minutes=5)
_MOST_DOUBLINGS = 10
_RETRIES_AT_ONCE = 4
_TRIES_TOGETHER = 2


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A run that was asked for: its days, and the newest ticket when it was.

    Attributes:
        run_id: The run.
        days: Its range of days.
        ticket: The newest ticket when it was asked for.
        ended_at: When it ended; None while it is under way.
        failed: Whether it ended without success.
    """

    run_id: str
    days: Days
    ticket: int
    ended_at: datetime | None = None
    failed: bool = False

    def covers(self, day: date) -> bool:
        """Whether the day is one of its days."""
        return self.days[0] <= day <= self.days[1]


@dataclass(kw_only=True)
class Decision:
    """What to do about the days that wait.

    Attributes:
        requests: Ranges to run now.
        under_way: Waiting days that a run is at.
        behind_masters: Waiting days that need what is being loaded from master feeds first.
        resting: Days that failed, and are tried again after a rest.
        given_up: Days that failed too often, and the last attempt at each.
    """

    requests: list[Days] = field(default_factory=list)
    under_way: list[date] = field(default_factory=list)
    behind_masters: list[date] = field(default_factory=list)
    resting: list[date] = field(default_factory=list)
    given_up: dict[date, Attempt] = field(default_factory=dict)


def decide(
    waiting: Mapping[date, int],
    attempts: Sequence[Attempt],
    *,
    master_days: Collection[date],
    gap: int,
    most_attempts: int,
    now: datetime,
) -> Decision:
    """Decide what to run.

    Days that never failed are joined into few ranges; while master feeds have something to load, their ranges go first.
    Days that failed together are tried again, then in halves, until a day fails alone: so one bad day (or file) is
    found in a few runs, and all others go through. Between failures there are ever longer rests.

    Args:
        waiting: The days that wait, with the newest ticket of each: what came after an attempt was not part of it.
        attempts: The runs of this source that are under way, and those that ended lately, the oldest first.
        master_days: Days on which master feeds have something that is not loaded yet.
        gap: Days without work that a range may bridge.
        most_attempts: How often a day is tried alone before it is given up.
        now: The present moment.
    """
    decision = Decision()
    running = [attempt for attempt in attempts if attempt.ended_at is None]
    fresh: list[date] = []
    failed: dict[Days, list[date]] = {}
    for day, ticket in sorted(waiting.items()):
        tries = [attempt for attempt in attempts if attempt.failed and attempt.covers(day) and attempt.ticket >= ticket]
        if any(attempt.covers(day) for attempt in running):
            decision.under_way.append(day)
        elif tries:
            failed.setdefault(min((attempt.days for attempt in tries), key=_length), []).append(day)
        else:
            fresh.append(day)
    ranges = _ranges(fresh, gap=gap, avoid=[day for days in failed.values() for day in days])
    with_masters = [days for days in ranges if any(days[0] <= day <= days[1] for day in master_days)]
    is_loading_masters = any(attempt.covers(day) for attempt in running for day in master_days)
    decision.requests += with_masters or ([] if is_loading_masters else ranges)
    decision.behind_masters += [
        day for day in fresh if not any(first <= day <= last for first, last in decision.requests)
    ]
    _ask_again(decision, failed, attempts, gap=gap, most_attempts=most_attempts, now=now)
    return decision


def _ask_again(
    decision: Decision,
    failed: Mapping[Days, Sequence[date]],
    attempts: Sequence[Attempt],
    *,
    gap: int,
    most_attempts: int,
    now: datetime,
) -> None:
    rested_at = _rested_at(attempts)
    may_retry = rested_at is None or now >= rested_at
    asked = 0
    for together, days in failed.items():
        tries = [attempt for attempt in attempts if attempt.failed and attempt.days == together]
        if len(days) == 1 and len(tries) >= most_attempts:
            decision.given_up[days[0]] = tries[-1]
        elif not may_retry or asked >= _RETRIES_AT_ONCE:
            decision.resting += days
        else:
            parts = [days] if len(tries) < _TRIES_TOGETHER or len(days) == 1 else _halves(days)
            others = [day for other in failed.values() for day in other if day not in days]
            ranges = [some for part in parts for some in _ranges(part, gap=gap, avoid=others)]
            decision.requests += ranges
            asked += len(ranges)


def _ranges(days: Sequence[date], *, gap: int, avoid: Collection[date]) -> list[Days]:
    """Join days into ranges that bridge none of the days to avoid: those would make the whole range fail."""
    parts: list[list[date]] = []
    for day in days:
        if parts and not any(parts[-1][-1] < bad < day for bad in avoid):
            parts[-1].append(day)
        else:
            parts.append([day])
    return [joined for part in parts for joined in to_ranges(part, gap=gap)]


def _rested_at(attempts: Sequence[Attempt]) -> datetime | None:
    """When to try again: the more often in a row nothing but failure came, the later."""
    ended = sorted((attempt.ended_at, attempt.failed) for attempt in attempts if attempt.ended_at is not None)
    failures = [at for at, failed in ended if failed]
    if not failures:
        return None
    in_a_row = len(list(takewhile(lambda one: one[1], reversed(ended))))
    return failures[-1] + min(_FIRST_REST * 2 ** min(max(in_a_row - 1, 0), _MOST_DOUBLINGS), _LONGEST_REST)


def _halves(days: Sequence[date]) -> list[Sequence[date]]:
    middle = len(days) // 2
    return [days[:middle], days[middle:]]


def _length(days: Days) -> timedelta:
    return days[1] - days[0]
