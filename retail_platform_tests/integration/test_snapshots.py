"""Snapshots follow the facts: what is out of date is found in the lake, by a load and by the sensor alike."""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.components.snapshot_sensor import refresh_snapshots
from retail_platform.components.snapshots import shelf
from retail_platform.contracts.marts import SNAPSHOT_MARTS
from retail_platform.contracts.snapshot_names import NEWEST_ONLY, SNAPSHOT_NAMES, SNAPSHOTS
from retail_platform.instance.headless import HeadlessResult, run_range
from retail_platform.instance.run_history import partition_range
from retail_platform_tests import scenario
from retail_platform_tests.scenario import orders
from retail_platform_tests.shop import Shop

WITH_HISTORY = [name for name in SNAPSHOT_NAMES if name not in NEWEST_ONLY]
LATER = "storefront/orders/orders-2024-06-20.csv"


def deliver(shop: Shop, files: Mapping[str, str] = scenario.FILES) -> None:
    for path, content in files.items():
        shop.deliver(path, content)


def take(shop: Shop, first: date, last: date, *names: str) -> HeadlessResult:
    """Snapshots made by hand: a backfill of these days."""
    return run_range(
        shop.definitions,
        SNAPSHOTS,
        instance=shop.instance,
        start_day=first.isoformat(),
        end_day=last.isoformat(),
        asset_selection=[dg.AssetKey(["marts", name]) for name in names] or None,
    )


def snapshots(shop: Shop) -> dict[str, pl.DataFrame]:
    """Every snapshot of every mart, as the lake holds them."""
    found = {}
    for name, contract in SNAPSHOT_MARTS.items():
        rows = shop.platform.table(["marts", name]).scan().collect()
        found[name] = rows.sort("snapshot_date", *contract.key, nulls_last=True)
    return found


def days_of(shop: Shop, name: str = "customer_segments") -> list[date]:
    return shop.platform.table(["marts", name]).days()


def june(day: int) -> date:
    return date(2024, 6, day)


def test_the_light_list_of_names_is_that_of_the_contracts():
    assert list(SNAPSHOT_NAMES) == list(SNAPSHOT_MARTS)


def test_a_load_takes_the_newest_day_and_the_warehouse_shows_it(shop: Shop):
    deliver(shop)
    report = shop.load(snapshots=True)
    assert (report.errors, report.runs, report.snapshot_runs) == ([], 1, 1)
    today = shop.platform.last_day
    for name in SNAPSHOT_NAMES:
        assert days_of(shop, name) == [today]
    spent = "SELECT snapshot_date, as_of, customer_id, total_spent::VARCHAR FROM marts.customer_segments ORDER BY 3"
    assert shop.rows(spent) == [
        (today, june(3), "C1", "119.99"),
        (today, june(3), "C2", "101.00"),
        (today, june(3), "C9", "10.00"),
    ]
    assert shelf(shop.platform).overdue(today) == []
    again = shop.load(snapshots=True)
    assert (again.runs, again.snapshot_runs) == (0, 0)


def test_what_was_killed_before_its_snapshots_is_made_good_by_the_next_load(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    deliver(shop)
    with monkeypatch.context() as killed:
        killed.setattr("retail_platform.loading.Loader.take_snapshots", lambda *_: None)
        shop.load(snapshots=True)
    assert shop.rows("SELECT count(*) FROM marts.top_customers") == [(0,)]
    again = shop.load(snapshots=True)
    assert (again.runs, again.snapshot_runs) == (0, 1)
    assert shop.rows("SELECT count(*) FROM marts.top_customers") == [(3,)]


def test_older_snapshots_from_the_changed_day_on_are_taken_again_and_earlier_ones_are_left(shop: Shop):
    deliver(shop)
    shop.load(snapshots=True)
    assert take(shop, june(1), june(5)).success
    before = shop.platform.table(["marts", "customer_segments"])
    untouched = {day: before.day_file(day).stat().st_mtime_ns for day in days_of(shop)}
    shop.deliver(LATER, orders("B1,2024-06-03,C4,P1,1,Completed,Card,"))
    report = shop.load(snapshots=True)
    # Today, and what was out of date: from the third of June on.
    assert (report.errors, report.snapshot_runs) == ([], 2)
    now = {day: before.day_file(day).stat().st_mtime_ns for day in days_of(shop)}
    assert [day for day in now if now[day] != untouched[day]] == [june(3), june(4), june(5), shop.platform.last_day]
    seen = """
        SELECT snapshot_date, count(*) FROM marts.customer_segments_history WHERE customer_id = 'C4'
        GROUP BY 1 ORDER BY 1
    """
    assert shop.rows(seen) == [(june(3), 1), (june(4), 1), (june(5), 1), (shop.platform.last_day, 1)]


def test_a_range_is_equal_to_its_days_one_by_one_in_any_order(shop: Shop, tmp_path: Path):
    days = [june(1) + timedelta(days=number) for number in range(7)]
    deliver(shop, scenario.FILES | scenario.LATER_FILES | scenario.INVOICE_FILES)
    shop.load(snapshots=True)
    assert take(shop, days[0], days[-1]).success
    with Shop(tmp_path / "other", affinity_min_orders=20) as other:
        deliver(other, scenario.FILES | scenario.LATER_FILES | scenario.INVOICE_FILES)
        other.load(snapshots=True)
        for day in random.Random(5).sample(days, len(days)):
            assert take(other, day, day, *WITH_HISTORY).success
        expected, found = snapshots(shop), snapshots(other)
        for name in WITH_HISTORY:
            assert_frame_equal(found[name], expected[name])
            assert expected[name]["snapshot_date"].n_unique() > 5


def test_parts_of_a_long_range_are_put_together(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    deliver(shop)
    shop.load(snapshots=True)
    take(shop, june(1), june(5))
    whole = snapshots(shop)
    monkeypatch.setattr("retail_platform.components.snapshots._MOST_ROWS", 20)
    take(shop, june(1), june(5))
    for name, frame in whole.items():
        assert_frame_equal(snapshots(shop)[name], frame)


def test_of_a_range_only_the_last_day_has_pairs(tmp_path: Path):
    with Shop(tmp_path / "data", affinity_min_orders=1) as shop:
        deliver(shop)
        shop.load(snapshots=True)
        take(shop, june(1), june(3))
        pairs = shop.platform.table(["marts", "product_affinity"])
        today = shop.platform.last_day
        assert pairs.days() == [june(1), june(2), june(3), today]
        assert sorted(pairs.scan().collect()["snapshot_date"].unique()) == [june(3), today]


def test_a_threshold_that_changes_makes_every_snapshot_anew(shop: Shop):
    deliver(shop)
    shop.load(snapshots=True)
    segments = "SELECT customer_id, value_segment FROM marts.customer_segments ORDER BY 1"
    assert shop.rows(segments) == [("C1", "Low"), ("C2", "Low"), ("C9", "Low")]
    changed = {"value_segment_high": 110, "value_segment_medium": 100, "top_customers": 2}
    with Shop(shop.settings.root, **changed) as again:
        assert again.load(snapshots=True).snapshot_runs == 1
        assert again.rows(segments) == [("C1", "High"), ("C2", "Medium"), ("C9", "Low")]
        assert again.rows("SELECT rank, customer_id FROM marts.top_customers ORDER BY 1") == [(1, "C1"), (2, "C2")]


class Daemon:
    """Evaluates the sensor, and runs what it asks for."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.cursor: str | None = None
        self.said: str | None = ""

    def tick(self) -> dg.RunRequest | None:
        result = refresh_snapshots(self.shop.instance, self.shop.platform, cursor=self.cursor)
        self.cursor, self.said = result.cursor, None
        if isinstance(result.skip_reason, dg.SkipReason):
            self.said = result.skip_reason.skip_message
        return next(iter(result.run_requests or []), None)

    def run(self, request: dg.RunRequest) -> None:
        days = partition_range(request.tags)
        assert days is not None
        assert request.asset_selection
        run_range(
            self.shop.definitions,
            SNAPSHOTS,
            instance=self.shop.instance,
            start_day=days[0],
            end_day=days[1],
            asset_selection=request.asset_selection,
        )


def made_by_hand(shop: Shop) -> None:
    """Facts without a load: what the sensor, and nobody else, will notice."""
    shop.load(snapshots=True)
    run_range(
        shop.definitions,
        "load_storefront",
        instance=shop.instance,
        start_day="2024-06-01",
        end_day="2024-06-03",
        asset_selection=[dg.AssetKey(["gold", "fact_sales"])],
    )


def test_the_sensor_asks_for_the_newest_day_first_and_then_for_older_ones(shop: Shop):
    daemon = Daemon(shop)
    assert (daemon.tick(), daemon.said) == (None, "All snapshots are up to date.")
    deliver(shop)
    made_by_hand(shop)
    take(shop, june(1), june(2), "top_customers", "customer_segments")
    made_by_hand(shop)
    asked = []
    while request := daemon.tick():
        asked.append((request.tags["retail/days"], [key.path[-1] for key in request.asset_selection or []]))
        daemon.run(request)
    assert asked == [
        (str(shop.platform.last_day), [*SNAPSHOT_NAMES, "duckdb"]),
        ("2024-06-01 to 2024-06-02", ["customer_segments", "top_customers", "duckdb"]),
    ]
    assert daemon.said == "All snapshots are up to date."


def test_snapshots_wait_for_loads_but_not_for_ever(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    daemon = Daemon(shop)
    deliver(shop)
    made_by_hand(shop)
    job = shop.definitions.resolve_job_def("load_storefront")
    shop.instance.create_run_for_job(job)
    assert daemon.tick() is None
    assert daemon.said == "Days of storefront are being loaded: snapshots are taken after them."
    monkeypatch.setattr("retail_platform.components.snapshot_sensor._MOST_PATIENCE", 0)
    assert daemon.tick() is not None


def test_after_a_failure_the_sensor_rests(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    daemon = Daemon(shop)
    deliver(shop)
    made_by_hand(shop)
    with monkeypatch.context() as broken:
        broken.setattr("retail_platform.components.snapshots.take_snapshots", lambda *_: 1 / 0)
        request = daemon.tick()
        assert request is not None
        daemon.run(request)
    assert daemon.tick() is None
    assert "The last run of snapshots failed" in (daemon.said or "")
    monkeypatch.setattr("retail_platform.components.snapshot_sensor._FIRST_REST", timedelta(0))
    request = daemon.tick()
    assert request is not None
    daemon.run(request)
    assert shelf(shop.platform).overdue(shop.platform.last_day) == []


def test_facts_that_change_while_a_snapshot_is_taken_make_it_out_of_date(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from retail_platform.components import snapshots as module  # noqa: PLC0415

    deliver(shop)
    real = module.take_snapshots

    def slow(history, contract, take, days):
        rows = real(history, contract, take, days)
        if contract.name == "top_customers":
            facts = history.platform.table(["gold", "fact_sales"])
            facts.write_days(facts.scan([june(3)]).collect(), [june(3)])
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(module, "take_snapshots", slow)
        shop.load(snapshots=True)
    (late,) = shelf(shop.platform).overdue(shop.platform.last_day)
    assert late.days == (shop.platform.last_day, shop.platform.last_day)
    assert "top_customers" in late.marts
