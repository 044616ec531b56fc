"""What a drop sensor asks for, tick by tick, over real files, ledger and runs; the test plays the daemon alone."""

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from retail_platform.components import drop_sensor, source
from retail_platform.components.days import PUBLISH
from retail_platform.components.publish_sensor import publish_what_is_not
from retail_platform.components.snapshot_sensor import refresh_snapshots
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.defs.jobs import WAREHOUSE
from retail_platform.instance.headless import HeadlessResult, run_range
from retail_platform.instance.run_history import partition_range
from retail_platform.landing.drops import accept
from retail_platform_tests import scenario
from retail_platform_tests.scenario import orders
from retail_platform_tests.shop import Shop

TOO_MANY = "new or changed, too many or too large for a tick"
FAILURE = "silver_storefront_orders: RuntimeError: thirteen brings bad luck"
PATH = "storefront/orders/orders-2024-06-14.csv"


class Daemon:
    """Evaluates a sensor, and runs what it asks for."""

    def __init__(self, shop: Shop, source: str = "storefront") -> None:
        self.shop = shop
        self.source = source
        self.cursor: str | None = None
        self.said = ""

    def tick(self) -> list[dg.RunRequest]:
        result, self.said = drop_sensor.look_for_drops(
            self.shop.instance, self.shop.platform, self.source, cursor=self.cursor
        )
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> HeadlessResult:
        assert request.job_name
        days = partition_range(request.tags)
        assert days is not None
        kept = {name: value for name, value in request.tags.items() if not name.startswith("dagster/")}
        return run_range(
            self.shop.definitions,
            request.job_name,
            instance=self.shop.instance,
            start_day=days[0],
            end_day=days[1],
            tags=kept,
        )

    def take_snapshots(self) -> None:
        """What the sensor of the snapshots asks for once the facts are there."""
        result = refresh_snapshots(self.shop.instance, self.shop.platform, cursor=None)
        for request in result.run_requests or []:
            days = partition_range(request.tags)
            assert days is not None
            run_range(self.shop.definitions, SNAPSHOTS, instance=self.shop.instance, start_day=days[0], end_day=days[1])

    def settle(self, *, rounds: int = 10) -> list[str]:
        """Tick and run until nothing is asked for; the days that were run."""
        ran: list[str] = []
        for _ in range(rounds):
            requests = self.tick()
            if not requests:
                return ran
            for request in requests:
                self.run(request)
                ran.append(request.tags["retail/days"])
        raise AssertionError(f"still asking for runs: {self.said}")


@pytest.fixture
def daemon(shop: Shop) -> Daemon:
    return Daemon(shop)


@pytest.fixture
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed days are tried again at once."""
    monkeypatch.setattr("retail_platform.landing.dispatch._FIRST_REST", date.resolution * 0)


def deliver_scenario(shop: Shop) -> None:
    for path, content in scenario.FILES.items():
        shop.deliver(path, content)


def failing_on(day: date) -> Callable[..., object]:
    """What breaks a silver step whenever this day is among its days: as a bug of ours, or a source's function would."""
    real = source.refine_days

    def refine_days(lane, entity, rows, days, engine):
        frame = rows.collect()
        if entity == "orders" and day in days and frame.filter(frame["quantity"] == "13").height:
            raise RuntimeError("thirteen brings bad luck")
        return real(lane, entity, frame.lazy(), days, engine)

    return refine_days


def test_what_the_sensor_loads_is_what_a_load_loads(daemon: Daemon, tmp_path):
    deliver_scenario(daemon.shop)
    daemon.settle()
    daemon.take_snapshots()
    with Shop(tmp_path / "other") as other:
        deliver_scenario(other)
        other.load(snapshots=True)
        expected = other.tables()
    tables = daemon.shop.tables()
    assert tables.keys() == expected.keys()
    for name, frame in expected.items():
        assert_frame_equal(tables[name], frame)


def test_lines_that_come_before_their_headers_end_where_a_load_takes_them(tmp_path: Path):
    files = scenario.MARKET_FILES | scenario.LATER_MARKET_FILES
    with Shop(tmp_path / "sensor", sources=("olist",), run_gap_days=0) as shop:
        daemon = Daemon(shop, "olist")
        for feeds in (("order_items", "order_payments"), ("orders", "customers")):
            for path, content in files.items():
                if path.split("/")[1] in feeds:
                    shop.deliver(path, content)
            daemon.settle()
        tables = shop.tables(["silver", "gold"])
    with Shop(tmp_path / "load", sources=("olist",)) as other:
        for path, content in files.items():
            other.deliver(path, content)
        assert other.load().errors == []
        expected = other.tables(["silver", "gold"])
    assert tables.keys() == expected.keys()
    for name, frame in expected.items():
        assert_frame_equal(tables[name], frame)


def test_files_that_belong_together_are_one_run_that_says_what_it_is_about(daemon: Daemon):
    deliver_scenario(daemon.shop)
    (request,) = daemon.tick()
    said = {name: value for name, value in request.tags.items() if name != "retail/ticket"}
    assert request.job_name == "load_storefront"
    assert said == {
        "dagster/asset_partition_range_end": "2024-06-04",
        "dagster/asset_partition_range_start": "2024-05-31",
        "dagster/priority": "1",
        "retail/days": "2024-05-31 to 2024-06-04",
        "retail/drops": "customers/customers-2024-05-31.csv, products/products-2024-05-31.csv, "
        "orders/orders-2024-06-04.csv",
        "retail/finishes": "storefront",
        "retail/scanned": "true",
        "retail/source": "storefront",
    }


def test_when_all_is_loaded_nothing_is_asked_for_whatever_became_of_the_cursor(daemon: Daemon):
    deliver_scenario(daemon.shop)
    daemon.settle()
    daemon.cursor = None
    assert (daemon.tick(), daemon.said) == ([], "3 files in landing/storefront; all is loaded")


def test_what_was_asked_for_and_never_started_is_asked_for_again(daemon: Daemon):
    deliver_scenario(daemon.shop)
    first = daemon.tick()
    again = daemon.tick()
    assert [request.tags for request in again] == [request.tags for request in first] != []


def test_days_whose_run_has_yet_to_start_are_not_asked_for_again(daemon: Daemon):
    deliver_scenario(daemon.shop)
    (request,) = daemon.tick()
    job = daemon.shop.definitions.resolve_job_def("load_storefront")
    daemon.shop.instance.create_run_for_job(job, tags=dict(request.tags))
    assert daemon.tick() == []
    assert daemon.said == "3 files in landing/storefront; under way: 2024-05-31 to 2024-06-04"


def test_a_file_that_still_grows_is_left_until_it_rests(tmp_path: Path):
    # A machine that is busy with other things may take longer to look than the default of two seconds.
    with Shop(tmp_path / "patient", settle_seconds=300) as shop:
        daemon = Daemon(shop)
        file = shop.deliver(PATH, orders("A1,2024-06-14,C1,P1,1,Completed,Card,"))
        os.utime(file)
        assert daemon.tick() == []
        assert daemon.said == f"1 files in landing/storefront; 1 may still be written: {PATH}; all is loaded"
        old = time.time() - 600
        os.utime(file, (old, old))
        assert [request.tags["retail/days"] for request in daemon.tick()] == ["2024-06-14"]


def test_unfinished_and_hidden_files_are_not_seen(daemon: Daemon):
    for name in ("a.csv.tmp", "a.csv.part", ".a.csv", ".rsync/a.csv"):
        daemon.shop.deliver(f"storefront/orders/{name}", orders("A1,2024-06-14,C1,P1,1,Completed,Card,"))
    assert (daemon.tick(), daemon.said) == ([], "0 files in landing/storefront; all is loaded")


def test_far_apart_days_are_several_runs_and_master_data_goes_first(daemon: Daemon):
    daemon.shop.deliver("storefront/products/products-2024-06-14.csv", scenario.PRODUCTS)
    lines = (f"A{month},2024-{month:02}-01,C1,P1,1,Completed,Card," for month in (1, 2, 4))
    daemon.shop.deliver(PATH, orders(*lines))
    assert daemon.settle() == [
        "2024-06-14",
        "2024-01-01 to 2024-02-01",
        "2024-04-01",
    ]
    assert daemon.shop.rows("SELECT count(*), sum(unit_price) FROM gold.fact_sales") == [(3, 30)]


def test_too_many_files_for_a_tick_are_read_by_a_run(daemon: Daemon):
    for number in range(31):
        line = f"A{number},2024-06-14,C1,P1,1,Completed,Card,"
        daemon.shop.deliver(f"storefront/orders/orders-2024-06-14-{number}.csv", orders(line))
    (request,) = daemon.tick()
    assert (request.job_name, daemon.said) == (
        "scan_storefront",
        f"31 files in landing/storefront; 31 of them are {TOO_MANY}; a run reads them",
    )
    job = daemon.shop.definitions.resolve_job_def("scan_storefront")
    assert job.execute_in_process(instance=daemon.shop.instance).success
    assert [request.tags["retail/drops"][-11:] for request in daemon.tick()] == ["and 26 more"]


def test_a_failing_scan_does_not_keep_loaded_files_waiting(daemon: Daemon):
    deliver_scenario(daemon.shop)
    daemon.shop.scan()
    job = daemon.shop.definitions.resolve_job_def("scan_storefront")
    run = daemon.shop.instance.create_run_for_job(job)
    daemon.shop.instance.report_run_failed(run, "no space left on device")
    for number in range(31):
        line = f"A{number},2024-06-14,C1,P1,1,Completed,Card,"
        daemon.shop.deliver(f"storefront/orders/orders-2024-06-14-{number}.csv", orders(line))
    assert [request.tags["retail/days"] for request in daemon.tick()] == ["2024-05-31 to 2024-06-04"]


@pytest.mark.usefixtures("_no_rest")
def test_a_failing_drop_is_found_among_others_and_held_and_the_others_go_through(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
):
    deliver_scenario(daemon.shop)
    daemon.settle()
    for number in range(11, 19):
        quantity = 13 if number == 14 else 1
        line = f"B{number},2024-06-{number},C1,P1,{quantity},Completed,Card,"
        daemon.shop.deliver(f"storefront/orders/orders-2024-06-{number}.csv", orders(line))
    with monkeypatch.context() as patched:
        patched.setattr("retail_platform.components.source.refine_days", failing_on(date(2024, 6, 14)))
        daemon.settle(rounds=20)
    (held,) = daemon.shop.platform.ledger.drops(statuses=("held",))
    assert held.path == PATH
    assert held.message == (
        f"The runs of 2024-06-14 fail, the last one with: {FAILURE}. If that is put right, run: "
        f"retail drops accept {held.drop_id}. Or deliver the file again."
    )
    sold = "SELECT order_date::VARCHAR, quantity::INT FROM gold.fact_sales WHERE order_id LIKE 'B%' ORDER BY 1"
    others = [(f"2024-06-{number}", 1) for number in range(11, 19) if number != 14]
    assert daemon.shop.rows(sold) == others
    assert daemon.shop.rows("SELECT count(*) FROM bronze.storefront_orders WHERE order_id = 'B14'") == [(0,)]
    accept(daemon.shop.platform.lanes["storefront"], held.drop_id)
    daemon.settle()
    assert daemon.shop.rows(sold) == sorted([*others, ("2024-06-14", 13)])


@pytest.mark.usefixtures("_no_rest")
def test_a_held_drop_that_is_delivered_anew_is_replaced(daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    deliver_scenario(daemon.shop)
    daemon.shop.deliver(PATH, orders("B1,2024-06-14,C1,P1,13,Completed,Card,"))
    with monkeypatch.context() as patched:
        patched.setattr("retail_platform.components.source.refine_days", failing_on(date(2024, 6, 14)))
        daemon.settle(rounds=20)
    daemon.shop.deliver(PATH, orders("B1,2024-06-15,C1,P1,2,Completed,Card,"))
    daemon.settle()
    sold = "SELECT order_date::VARCHAR, quantity::INT FROM gold.fact_sales WHERE order_id LIKE 'B%'"
    assert daemon.shop.rows(sold) == [("2024-06-15", 2)]
    statuses = {drop.status for drop in daemon.shop.platform.ledger.drops(path=PATH)}
    assert statuses == {"replaced", "loaded"}


def test_what_was_materialized_without_the_warehouse_is_published(daemon: Daemon):
    deliver_scenario(daemon.shop)
    daemon.settle()
    shop = daemon.shop
    keys = [key for key in shop.definitions.resolve_asset_graph().executable_asset_keys if key != WAREHOUSE]

    def publish_tick() -> dg.RunRequest | dg.SkipReason:
        return publish_what_is_not(shop.instance, shop.platform, WAREHOUSE, keys)

    assert publish_tick() == dg.SkipReason("Everything is published.")
    run_range(
        shop.definitions,
        "load_storefront",
        instance=shop.instance,
        start_day="2024-06-01",
        end_day="2024-06-02",
        asset_selection=[dg.AssetKey(["gold", "fact_sales"])],
    )
    request = publish_tick()
    assert isinstance(request, dg.RunRequest)
    assert (partition_range(request.tags), request.tags["retail/publishes"]) == (
        ("2024-06-01", "2024-06-02"),
        "gold/fact_sales",
    )
    run_range(shop.definitions, PUBLISH, instance=shop.instance, start_day="2024-06-01", end_day="2024-06-02")
    assert publish_tick() == dg.SkipReason("Everything is published.")
