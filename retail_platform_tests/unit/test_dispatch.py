"""Which ranges a drop sensor asks for, given the days that wait and what its runs have tried."""

from datetime import UTC, date, datetime, timedelta

from retail_platform.landing.dispatch import Attempt, Decision, decide
from retail_platform.landing.planning import Days

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)


def june(number: int) -> date:
    return date(2024, 6, number)


def waiting(*numbers: int, ticket: int = 5) -> dict[date, int]:
    return {june(number): ticket for number in numbers}


def days(first: int, last: int | None = None) -> Days:
    return june(first), june(last or first)


def failed(of: Days, *, ticket: int = 5, ended: datetime = LONG_AGO, run: str = "r") -> Attempt:
    return Attempt(run_id=run, days=of, ticket=ticket, ended_at=ended, failed=True)


def succeeded(of: Days, *, ended: datetime = LONG_AGO) -> Attempt:
    return Attempt(run_id="s", days=of, ticket=5, ended_at=ended)


def running(of: Days) -> Attempt:
    return Attempt(run_id="u", days=of, ticket=5)


def decided(of: dict[date, int], *attempts: Attempt, masters: tuple[int, ...] = (), gap: int = 3) -> Decision:
    return decide(of, attempts, master_days={june(day) for day in masters}, gap=gap, most_attempts=3, now=NOW)


def test_days_that_belong_together_are_one_run_and_days_far_apart_are_several():
    assert decided(waiting(1, 2, 4, 20, 21)).requests == [days(1, 4), days(20, 21)]


def test_nothing_waits_nothing_is_asked_for():
    assert decided({}, succeeded(days(1, 30))) == Decision()


def test_days_that_a_run_is_at_are_not_asked_for_again():
    decision = decided(waiting(1, 2, 20), running(days(1, 3)))
    assert (decision.requests, decision.under_way) == ([days(20)], [june(1), june(2)])


def test_ranges_with_master_data_go_first_and_the_others_when_it_is_loaded():
    first = decided(waiting(1, 20), masters=(20,))
    assert (first.requests, first.behind_masters) == ([days(20)], [june(1)])
    meanwhile = decided(waiting(1, 20), running(days(20)), masters=(20,))
    assert (meanwhile.requests, meanwhile.behind_masters) == ([], [june(1)])
    assert decided(waiting(1), succeeded(days(20))).requests == [days(1)]


def test_master_data_that_fails_does_not_keep_orders_waiting():
    attempts = [failed(days(20), ended=NOW)]
    decision = decided(waiting(1, 20), *attempts, masters=(20,))
    assert (decision.requests, decision.resting) == ([days(1)], [june(20)])


def test_after_a_failure_there_is_a_rest_that_grows_with_every_further_one():
    tries = [failed(days(1), ended=NOW - timedelta(seconds=15))]
    assert decided(waiting(1), *tries).requests == [days(1)]
    tries.append(failed(days(1), ended=NOW - timedelta(seconds=15)))
    assert (decided(waiting(1), *tries).requests, decided(waiting(1), *tries).resting) == ([], [june(1)])


def test_success_of_another_run_shortens_the_rest():
    ended = NOW - timedelta(seconds=15)
    tries = [failed(days(1), ended=ended), failed(days(1), ended=ended), succeeded(days(9), ended=NOW)]
    assert decided(waiting(1), *tries).requests == [days(1)]


def test_days_that_failed_together_are_tried_once_more_and_then_in_halves():
    together = failed(days(1, 4))
    assert decided(waiting(1, 2, 3, 4), together).requests == [days(1, 4)]
    assert decided(waiting(1, 2, 3, 4), together, together).requests == [days(1, 2), days(3, 4)]


def test_a_day_that_fails_alone_is_given_up_after_the_last_attempt():
    tries = [failed(days(1, 2)), *(failed(days(2), run=f"run{number}") for number in range(3))]
    assert decided(waiting(2), *tries[:3]).requests == [days(2)]
    assert decided(waiting(2), *tries).given_up == {june(2): tries[-1]}


def test_a_day_for_which_something_new_has_come_is_no_longer_given_up():
    tries = [failed(days(2), ticket=5) for _ in range(3)]
    assert decided(waiting(2, ticket=6), *tries).requests == [days(2)]


def test_one_bad_day_does_not_stop_the_others():
    decision = decided(waiting(1, 2, 3), *(failed(days(2)) for _ in range(3)))
    assert (decision.requests, list(decision.given_up)) == ([days(1), days(3)], [june(2)])


def test_few_failed_ranges_are_tried_at_once():
    tries = [failed(days(number)) for number in range(1, 31, 5)] + [succeeded(days(3))]
    decision = decided(waiting(*range(1, 31, 5)), *tries)
    assert (len(decision.requests), len(decision.resting)) == (4, 2)
