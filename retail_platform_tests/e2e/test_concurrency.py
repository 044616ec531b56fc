"""Sensors, a backfill from the UI, and `retail load`, at once and killed at bad moments, over real files and processes.

All tests share one Dagster, whose sensors are on. Each delivers files of its own, and leaves everything loaded.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from retail_platform_tests import scenario
from retail_platform_tests.e2e.dagster_ui import PATIENCE, DagsterUI, Run, assert_loaded, each_day, wait_until
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow

DROPS = "storefront_drops"
SENSORS = (DROPS, "snapshots_follow_facts")
LOAD = "load_storefront"
DIED = "The process of this run is gone: it was killed, or the machine was switched off. Run it again."


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUI]:
    """Dagster over an empty shop, its sensors on as they are by default."""
    with Shop(tmp_path_factory.mktemp("concurrency") / "data", sources="storefront") as shop:
        ui = DagsterUI(shop)
        try:
            yield ui
        finally:
            ui.stop()


def lines(*days: str, units: int = 1, orders: int = 5) -> list[str]:
    """Lines of some orders a day."""
    return [f"{day}-{number},{day},C1,P1,{units},,Card," for day in days for number in range(orders)]


def loads(ui: DagsterUI) -> list[Run]:
    """The runs that the drop sensor has asked for."""
    return [run for run in ui.runs(pipelineName=LOAD) if run.tags.get("dagster/sensor_name") == DROPS]


def runs_of_days(ui: DagsterUI) -> list[Run]:
    """All runs but those that take snapshots: they follow when they can."""
    return [run for run in ui.runs() if run.job != "snapshots"]


def said_by(run: Run) -> dict[str, str]:
    """What a run says about itself in its tags."""
    return {name: value for name, value in run.tags.items() if name in ("retail/source", "retail/days", "retail/drops")}


def test_what_arrives_is_loaded_by_few_runs_that_say_why(ui: DagsterUI, tmp_path: Path) -> None:
    growing = ui.shop.settings.landing_dir / "storefront/orders/orders-2024-06-09.csv"
    with ui.scans_held_up("storefront"):
        for path, content in scenario.FILES.items():
            ui.shop.deliver(path, content)
        for name in (".orders-2024-06-04.csv", "orders-2024-06-04.csv.part", "orders-2024-06-04.csv.tmp"):
            ui.shop.deliver(f"storefront/orders/{name}", scenario.orders(*lines("2024-06-05")))
        growing.write_text(scenario.orders(), encoding="utf-8")

    def is_loaded_while_it_grows() -> bool:
        with growing.open("a", encoding="utf-8") as file:
            file.write(f"late-{file.tell()},2024-06-0{6 + file.tell() % 3},C1,P1,1,,Card,\n")
        return [run.status for run in loads(ui)] == ["SUCCESS"]

    wait_until(is_loaded_while_it_grows)
    said = [tick.said for tick in ui.ticks(DROPS)]
    assert any("1 may still be written: storefront/orders/orders-2024-06-09.csv" in words for words in said)
    assert any("3 new or changed: storefront/customers/customers-2024-05-31.csv, " in words for words in said)
    ui.settle(*SENSORS)

    assert [(run.job, run.status, run.days, said_by(run)) for run in runs_of_days(ui)] == [
        (
            LOAD,
            "SUCCESS",
            ("2024-05-31", "2024-06-04"),
            {
                "retail/source": "storefront",
                "retail/days": "2024-05-31 to 2024-06-04",
                "retail/drops": "customers/customers-2024-05-31.csv, products/products-2024-05-31.csv, "
                "orders/orders-2024-06-04.csv",
            },
        ),
        (
            LOAD,
            "SUCCESS",
            ("2024-06-06", "2024-06-08"),
            {
                "retail/source": "storefront",
                "retail/days": "2024-06-06 to 2024-06-08",
                "retail/drops": "orders/orders-2024-06-09.csv",
            },
        ),
    ]
    assert {tick.said for tick in ui.new_ticks(DROPS, count=2)} == {"4 files in landing/storefront; all is loaded"}
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path / "fresh")


def test_after_a_power_cut_nothing_is_missed_or_done_twice(ui: DagsterUI, tmp_path: Path) -> None:
    before = len(runs_of_days(ui))
    with ui.publishing_held_up():
        with ui.scans_held_up("storefront"):
            ui.shop.deliver("storefront/products/products-2024-07-01.csv", scenario.PRODUCTS)
            ui.shop.deliver("storefront/orders/a-2024-07-03.csv", scenario.orders(*lines("2024-07-01", "2024-07-02")))
        cut_off = ui.holder_of("serving/duckdb")
        ui.kill()
    ui.shop.deliver("storefront/orders/b-2024-07-03.csv", scenario.orders(*lines("2024-07-03")))
    ui.start()
    ui.settle(*SENSORS)

    dead, *others = runs_of_days(ui)[before:]
    assert (dead.run_id, dead.status, dead.days) == (cut_off, "FAILURE", ("2024-07-01", "2024-07-02"))
    assert [event["message"] for event in ui.events(cut_off) if event["__typename"] == "RunFailureEvent"] == [DIED]
    assert sorted((run.status, run.days) for run in others) == [
        ("SUCCESS", ("2024-07-01", "2024-07-02")),
        ("SUCCESS", ("2024-07-03", "2024-07-03")),
    ]
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path / "fresh")


def test_sensors_a_backfill_and_a_load_at_once_end_in_the_same_tables(ui: DagsterUI, tmp_path: Path) -> None:
    before = len(ui.runs())
    days = each_day("2024-05-20", "2024-06-08")
    with ui.scans_held_up("storefront"):
        for path, content in scenario.LATER_FILES.items():
            ui.shop.deliver(path, content)
        ui.shop.deliver("storefront/orders/more-2024-06-10.csv", scenario.orders(*lines(*days, orders=20)))
        backfill = ui.backfill(ui.assets(), days)
        wait_until(ui.pools)
        load = ui.load_beside()
    changed = scenario.orders(*lines(*days[5:], units=7, orders=20))
    ui.shop.deliver("storefront/orders/more-2024-06-11.csv", changed)
    ui.shop.deliver("storefront/products/products-2024-06-07.csv", scenario.products("P1,Lamp,Light,11.00"))
    output, _ = load.communicate(timeout=PATIENCE)
    assert "failed" not in output
    assert ui.end_of_backfill(backfill).status == "COMPLETED_SUCCESS"
    ui.settle(*SENSORS)

    runs = ui.runs()[before:]
    assert {run.status for run in runs} == {"SUCCESS"}
    assert {"dagster/backfill", "dagster/sensor_name", "retail/pid"} <= {tag for run in runs for tag in run.tags}
    assert ui.shop.platform.ledger.dirty_days("storefront") == []
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path / "fresh")


def test_the_next_run_of_a_table_goes_on_when_the_one_before_is_killed(ui: DagsterUI) -> None:
    with ui.publishing_held_up():
        first = ui.materialize(["serving/duckdb"], "2024-06-01")
        assert ui.holder_of("serving/duckdb") == first
        second = ui.materialize(["serving/duckdb"], "2024-06-02")
        assert ui.run(second).status == "QUEUED"
        ui.kill_run(first)
        wait_until(lambda: ui.pools().get("serving/duckdb") == {second})
        assert ui.run(first).status == "FAILURE"
    assert ui.end(second).status == "SUCCESS"
    assert ui.pools() == {}
    ui.settle(*SENSORS)


def test_the_place_of_a_killed_load_is_free_for_the_sensor(ui: DagsterUI, tmp_path: Path) -> None:
    with ui.publishing_held_up():
        ui.turn(DROPS, on=False)
        ui.shop.deliver("storefront/orders/c-2024-07-05.csv", scenario.orders(*lines("2024-07-05")))
        load = ui.load_beside()
        killed = ui.holder_of("serving/duckdb")
        psutil.Process(load.pid).kill()
        load.communicate()
        ui.turn(DROPS, on=True)
        assert ui.end(killed).status == "FAILURE"
    assert [event["message"] for event in ui.events(killed) if event["__typename"] == "RunFailureEvent"] == [DIED]
    ui.settle(*SENSORS)
    assert [(run.status, run.days) for run in loads(ui)[-1:]] == [("SUCCESS", ("2024-07-05", "2024-07-05"))]
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path / "fresh")
