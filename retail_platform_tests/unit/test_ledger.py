"""The ledger: drops, their days, and the work that waits, kept whole whoever writes at once."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from subprocess import PIPE

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.landing.ledger import Book, Drop, FileState, Ledger
from retail_platform.landing.ledger_tables import DIRTY_DAYS, DROP_DAYS
from retail_platform_tests.unit.frames import MORNING, june

STATE = FileState(size=10, modified_ns=1, drop_id="d1")
DROP = Drop(
    drop_id="d1",
    source="shop",
    feed="orders",
    path="shop/orders/a.csv",
    file_id="f1",
    fingerprint="abc",
    size=10,
    drop_date=june(5),
    latest_date=june(5),
    dropped_at=MORNING,
    seen_at=MORNING,
    rows=3,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}")
    yield ledger
    ledger.close()


def register(ledger: Ledger, drop: Drop = DROP, *, replaces: tuple[str, ...] = (), **days: int) -> None:
    """Take a drop in; `d1=2` are two rows of the first of June."""
    of_drop = {june(int(name[1:])): rows for name, rows in days.items()}
    state = replace(STATE, drop_id=drop.drop_id)
    ledger.register(drop, state, days=of_drop, replaces=replaces, dirty=of_drop)


def test_nothing_is_opened_before_it_is_used(tmp_path: Path):
    Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}").close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_registered_is_remembered(ledger: Ledger):
    register(ledger, d1=2, d2=1)
    assert ledger.drops() == [DROP]
    assert ledger.drop("d1") == DROP
    assert ledger.days_of(["d1", "unknown"]) == {"d1": {june(1): 2, june(2): 1}, "unknown": {}}
    assert ledger.file_states("shop") == {DROP.path: STATE}
    assert ledger.file_states("other") == {}
    assert ledger.dirty_days("shop") == [june(1), june(2)]
    with pytest.raises(KeyError):
        ledger.drop("unknown")


def test_registering_again_changes_nothing_but_asks_again(ledger: Ledger):
    register(ledger, d1=2)
    ledger.finish("shop", first=june(1), last=june(1), ticket=ledger.last_ticket())
    register(ledger, d1=2)
    assert ledger.drops() == [DROP]
    assert ledger.days_of(["d1"]) == {"d1": {june(1): 2}}
    assert ledger.dirty_days("shop") == [june(1)]


def test_instants_are_utc_wherever_they_come_from(ledger: Ledger):
    east = datetime(2024, 6, 2, 8, tzinfo=timezone(timedelta(hours=2)))
    register(ledger, replace(DROP, dropped_at=east), d1=1)
    assert ledger.drop("d1").dropped_at == east
    assert ledger.drop("d1").dropped_at.tzinfo == UTC


def test_drops_are_listed_by_drop_date_and_path_and_narrowed(ledger: Ledger):
    later = replace(DROP, drop_id="d2", drop_date=june(6), path="shop/orders/0.csv")
    held = replace(DROP, drop_id="d3", path="shop/orders/b.csv", status="held")
    other = replace(DROP, drop_id="d4", source="other", feed="payments", path="other/payments/a.csv")
    for day, drop in enumerate((later, other, held, DROP), start=1):
        ledger.register(drop, replace(STATE, drop_id=drop.drop_id), days={june(day): 1}, replaces=(), dirty=())
    assert ledger.drops() == [other, DROP, held, later]
    assert ledger.drops(source="shop", statuses=["pending"]) == [DROP, later]
    assert ledger.drops(feed="payments") == [other]
    assert ledger.drops(path=held.path) == [held]
    assert ledger.drops(days=(june(1), june(2))) == [other, later]
    assert ledger.drops(drop_ids=["d2", "d3"]) == [held, later]


def test_a_new_content_takes_the_place_of_the_old(ledger: Ledger):
    register(ledger, d1=2)
    new = replace(DROP, drop_id="d2", fingerprint="def")
    register(ledger, new, replaces=("d1",), d1=0, d2=3)
    assert [(drop.drop_id, drop.status) for drop in ledger.drops()] == [("d1", "replaced"), ("d2", "pending")]
    assert ledger.file_states("shop")[DROP.path].drop_id == "d2"


def test_a_held_drop_is_let_through(ledger: Ledger):
    register(ledger, d1=2)
    held = replace(DROP, drop_id="d2", status="held", message="look")
    ledger.register(held, STATE, days={june(1): 1}, replaces=(), dirty=())
    ledger.finish("shop", first=june(1), last=june(1), ticket=ledger.last_ticket())
    ledger.accept("d2", replaces=["d1"], dirty=[june(1)])
    assert [(drop.status, drop.message) for drop in ledger.drops()] == [
        ("replaced", ""),
        ("pending", "accepted by hand"),
    ]
    assert ledger.dirty_days("shop") == [june(1)]


# Loading


def test_a_drop_is_loaded_once_all_its_days_are(ledger: Ledger):
    register(ledger, d1=2, d2=1)
    ledger.mark_loaded({"d1": [june(1)]}, source="shop", also_dirty=[june(9)])
    assert ledger.drop("d1").status == "pending"
    assert ledger.is_loaded(["d1"], first=june(1), last=june(1)) == {"d1"}
    assert ledger.is_loaded(["d1"], first=june(1), last=june(2)) == set()
    assert ledger.rows_by_day("shop", "orders", first=june(1), last=june(30)) == {june(1): 2}
    assert ledger.dirty_days("shop") == [june(1), june(2), june(9)]
    ledger.mark_loaded({"d1": [june(2)]}, source="shop", also_dirty=[])
    assert ledger.drop("d1").status == "loaded"
    assert ledger.rows_by_day("shop", "orders", first=june(1), last=june(30)) == {june(1): 2, june(2): 1}


def test_what_bronze_has_yet_to_take_waits_even_if_finished(ledger: Ledger):
    register(ledger, d1=2)
    ledger.finish("shop", first=june(1), last=june(1), ticket=ledger.last_ticket())
    assert ledger.dirty_days("shop") == [june(1)]


# Tickets


def test_finishing_tears_up_only_tickets_of_the_range_that_were_there_when_the_run_began(ledger: Ledger):
    ledger.make_dirty("shop", [june(1), june(2), june(9)], reason="test")
    ledger.make_dirty("other", [june(1)], reason="test")
    ticket = ledger.last_ticket()
    ledger.make_dirty("shop", [june(2)], reason="while the run was running")
    ledger.finish("shop", first=june(1), last=june(5), ticket=ticket)
    assert ledger.dirty_days("shop") == [june(2), june(9)]
    assert ledger.dirty_days("other") == [june(1)]


def test_a_ticket_number_never_comes_twice(ledger: Ledger):
    assert ledger.last_ticket() == 0
    ledger.make_dirty("shop", [june(1)], reason="test")
    ticket = ledger.last_ticket()
    ledger.finish("shop", first=june(1), last=june(1), ticket=ticket)
    ledger.make_dirty("shop", [june(1)], reason="test")
    assert ledger.last_ticket() > ticket
    ledger.finish("shop", first=june(1), last=june(1), ticket=ticket)
    assert ledger.dirty_days("shop") == [june(1)]


# Books


def test_books_are_replaced_by_entity_and_day(ledger: Ledger):
    def book(day: int, silver: int, blocked: str = "", entity: str = "orders") -> Book:
        return Book(
            source="shop",
            entity=entity,
            day=june(day),
            bronze_rows=3,
            silver_rows=silver,
            quarantined_rows=3 - silver,
            superseded_rows=0,
            blocked_because=blocked,
        )

    ledger.write_books([book(1, 3), book(2, 0, "too much is wrong"), book(1, 2, entity="payments")])
    assert ledger.books(blocked=True) == [book(2, 0, "too much is wrong")]
    ledger.write_books([book(2, 3)])
    assert ledger.books(source="shop") == [book(1, 3), book(2, 3), book(1, 2, entity="payments")]
    assert ledger.books(source="other") == []


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger):
    register(ledger, d1=2)
    with pytest.raises(TypeError):
        ledger.register(
            replace(DROP, drop_id="d2"),
            STATE,
            days={june(1): 1},
            replaces=["d1"],
            dirty=[june(3), "not a day"],  # pyrefly: ignore[bad-argument-type]
        )
    assert ledger.drops() == [DROP]
    assert ledger.dirty_days("shop") == [june(1)]


def test_a_table_is_read_as_a_frame(ledger: Ledger):
    register(ledger, d2=1, d1=2)
    expected = pl.DataFrame(
        {"drop_id": ["d1", "d1"], "day": [june(1), june(2)], "rows": [2, 1], "is_loaded": [False, False]}
    )
    assert_frame_equal(ledger.read_table(DROP_DAYS), expected)
    assert ledger.read_table(DIRTY_DAYS).schema["since"] == pl.Datetime("us", "UTC")


# Several processes

WRITER = """
import sys
from datetime import date, timedelta
from retail_platform.landing.ledger import Ledger
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    ledger.make_dirty(sys.argv[2], [date(2024, 1, 1) + timedelta(days=number)], reason="test")
ledger.close()
"""


def test_processes_write_at_once_and_nothing_is_lost(ledger: Ledger, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}"
    names = ("one", "two", "three")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, name], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        for name in names
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate()[1] for writer in writers] == [""] * len(writers)
    wanted = [date(2024, 1, 1) + timedelta(days=number) for number in range(100)]
    assert {name: ledger.dirty_days(name) for name in names} == dict.fromkeys(names, wanted)
    assert ledger.read_table(DIRTY_DAYS)["ticket"].n_unique() == len(names) * len(wanted)
