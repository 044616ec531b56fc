"""A file is finished when it has not changed for a while."""

from retail_platform.landing.finding import LandingFile
from retail_platform.landing.settling import Sighting, part_settled

NOW = 1_000_000.0


def file(size: int = 10, *, modified: float) -> LandingFile:
    return LandingFile(path="shop/orders/a.csv", feed="orders", size=size, modified_ns=int(modified * 1e9))


def test_a_file_that_was_written_long_enough_ago_is_finished_at_first_sight():
    settled = part_settled([file(modified=NOW - 2)], seen={}, now=NOW, quiet_seconds=2)
    assert ([one.path for one in settled.finished], settled.growing) == (["shop/orders/a.csv"], {})


def test_a_file_that_was_written_just_now_is_growing():
    settled = part_settled([file(modified=NOW - 1)], seen={}, now=NOW, quiet_seconds=2)
    seen = Sighting(size=10, modified_ns=int((NOW - 1) * 1e9), since=NOW)
    assert (settled.finished, settled.growing) == ([], {"shop/orders/a.csv": seen})


def test_a_file_from_a_clock_ahead_of_ours_is_finished_when_it_has_looked_the_same_for_long_enough():
    ahead = file(modified=NOW + 3600)
    first = part_settled([ahead], seen={}, now=NOW, quiet_seconds=2)
    second = part_settled([ahead], seen=first.growing, now=NOW + 1, quiet_seconds=2)
    third = part_settled([ahead], seen=second.growing, now=NOW + 2, quiet_seconds=2)
    assert [len(look.finished) for look in (first, second, third)] == [0, 0, 1]


def test_a_file_that_changed_between_two_looks_is_watched_anew():
    first = part_settled([file(modified=NOW + 3600)], seen={}, now=NOW, quiet_seconds=2)
    grown = file(size=20, modified=NOW + 3601)
    second = part_settled([grown], seen=first.growing, now=NOW + 5, quiet_seconds=2)
    assert second.growing == {"shop/orders/a.csv": Sighting(size=20, modified_ns=grown.modified_ns, since=NOW + 5)}


def test_without_a_quiet_time_every_file_is_finished():
    assert part_settled([file(modified=NOW)], seen={}, now=NOW, quiet_seconds=0).growing == {}
