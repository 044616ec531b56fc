"""What a user does in Dagster's UI, against the real webserver, daemon and code server over real files.

All tests share one running Dagster. Each delivers files of its own, on days of its own, and leaves them loaded.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retail_platform_tests import scenario
from retail_platform_tests.e2e.dagster_ui import DagsterUI, assert_loaded, each_day, wait_until
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow

LAYERS = ("bronze", "silver", "gold", "marts", "serving")
DROP_SENSORS = ("storefront_drops", "online_retail_drops")
SNAPSHOT_SENSOR = "snapshots_follow_facts"
ORDERS = "silver/storefront/orders"
QUARANTINE = "silver/storefront/orders_quarantine"


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUI]:
    """Dagster over an empty shop. All is done by the user's hand: the sensors that load and take snapshots are off."""
    with Shop(tmp_path_factory.mktemp("ui") / "data", sources="storefront,online_retail") as shop:
        ui = DagsterUI(shop)
        try:
            for sensor in (*DROP_SENSORS, SNAPSHOT_SENSOR):
                ui.turn(sensor, on=False)
            yield ui
        finally:
            ui.stop()


def lines(day: str, good: int, bad: int = 0, *, units: int = 1) -> list[str]:
    """Order lines of a day; those that are bad have no quantity."""
    quantities = [str(units)] * good + [""] * bad
    return [f"{day}-{number},{day},C1,P1,{quantity},,Card," for number, quantity in enumerate(quantities)]


def deliver_orders(shop: Shop, *order_lines: str, on: str) -> None:
    """A file of orders, with the price list that it needs."""
    shop.deliver(f"storefront/products/products-{on}.csv", scenario.PRODUCTS)
    shop.deliver(f"storefront/orders/orders-{on}.csv", scenario.orders(*order_lines))


def test_a_backfill_of_everything_is_one_run_for_the_days_asked_for(ui: DagsterUI, tmp_path: Path) -> None:
    days = each_day("2024-05-31", "2024-06-04")
    for path, content in scenario.FILES.items():
        ui.shop.deliver(path, content)
    invoices = scenario.invoices(
        "536365,85123A,HEART HOLDER,6,2024-06-01 08:26:00,2.55,17850,United Kingdom",
        "536366,22633,HAND WARMER,6,2024-06-03 08:28:00,1.85,,United Kingdom",
        "536367,22633,HAND WARMER,none,2024-06-03 09:28:00,1.85,,United Kingdom",
    )
    ui.shop.deliver("online_retail/invoices/2024-06-04.csv", invoices)

    backfill = ui.end_of_backfill(ui.backfill(ui.assets(), days))
    assert (backfill.status, backfill.error, backfill.days) == ("COMPLETED_SUCCESS", "", days)
    (run_id,) = backfill.run_ids
    run = ui.run(run_id)
    assert (run.status, run.days, sorted(run.assets)) == ("SUCCESS", (days[0], days[-1]), ui.assets())
    assert {asset: ui.days_by_status(asset) for asset in ui.assets()} == {
        asset: {"MATERIALIZED": days} for asset in ui.assets()
    }
    for asset in ui.assets():
        for check, found in ui.checks_by_status(asset).items():
            assert sorted([*found.get("SUCCEEDED", []), *found.get("FAILED", [])]) == days, (asset, check)
            assert set(found) <= {"SUCCEEDED", "FAILED"}, (asset, check)
    failed = {name: found["FAILED"] for name, found in ui.checks_by_status(ORDERS).items() if "FAILED" in found}
    assert failed == {
        "order_id_missing": ["2024-06-03"],
        "order_date_unreadable": ["2024-06-04"],
        "quantity_unreadable": ["2024-06-03"],
        "quantity_zero": ["2024-06-03"],
        "status_unknown": ["2024-06-03"],
        "unit_price_unreadable": ["2024-06-03"],
    }
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, with_snapshots=False)


def test_what_a_job_backfilled_is_not_loaded_once_more_by_the_sensors(ui: DagsterUI) -> None:
    days = each_day("2024-05-20", "2024-05-21")
    deliver_orders(ui.shop, *lines(days[0], 3), on=days[1])
    backfill = ui.end_of_backfill(ui.backfill_job("load_storefront", days))
    (run_id,) = backfill.run_ids
    run = ui.run(run_id)
    assert (backfill.status, run.job, run.days) == ("COMPLETED_SUCCESS", "load_storefront", (days[0], days[1]))
    assert run.tags["retail/source"] == "storefront"

    runs = ui.runs()
    for sensor in DROP_SENSORS:
        ui.turn(sensor, on=True)
    assert {tick.said.partition("; ")[2] for tick in ui.new_ticks(*DROP_SENSORS, count=2)} == {"all is loaded"}
    for sensor in DROP_SENSORS:
        ui.turn(sensor, on=False)
    ui.settle()
    assert ui.runs() == runs


def test_each_asset_can_be_materialized_alone_for_a_day(ui: DagsterUI, tmp_path: Path) -> None:
    day = "2024-06-06"
    deliver_orders(ui.shop, *lines(day, 3, 1), on=day)
    ui.shop.deliver(
        f"storefront/customers/customers-{day}.csv", scenario.customers("C1,Ann Lee,,Rome,NY,USA,2023-01-05")
    )
    payments = f"payment_id,order_id,payment_date,payment_mode,amount,status\nB1,{day}-0,{day},Card,10.00,Paid\n"
    ui.shop.deliver(f"storefront/payments/payments-{day}.csv", payments)
    invoice = scenario.invoices(f"536400,22633,HAND WARMER,6,{day} 08:28:00,1.85,17850,United Kingdom")
    ui.shop.deliver(f"online_retail/invoices/{day}.csv", invoice)

    for layer in LAYERS:
        alone = [asset for asset in ui.assets() if asset.startswith(layer) and not asset.endswith("_quarantine")]
        # Dagster asks whether the quarantine may be written along with silver: both come of one judgement of the rows.
        together = {asset: {asset, *ui.also_materialized([asset])} for asset in alone}
        assert all(others <= {asset, f"{asset}_quarantine"} for asset, others in together.items())
        launched = {asset: ui.materialize([asset], day) for asset in alone}
        backfills = {asset: ui.backfill([asset], [day]) for asset in alone}
        for asset in alone:
            (of_backfill,) = ui.end_of_backfill(backfills[asset]).run_ids
            for run in (ui.end(launched[asset]), ui.run(of_backfill)):
                assert (run.status, run.days, run.assets) == ("SUCCESS", (day, day), together[asset])
        assert {asset: ui.days_by_status(asset, among=[day]) for asset in alone} == {
            asset: {"MATERIALIZED": [day]} for asset in alone
        }
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, with_snapshots=False)


def test_a_cancelled_backfill_is_continued_where_it_stopped(ui: DagsterUI, tmp_path: Path) -> None:
    days = each_day("2024-06-10", "2024-06-12")
    deliver_orders(ui.shop, *(line for day in days for line in lines(day, 3)), on=days[-1])
    with ui.publishing_held_up():
        backfill = ui.backfill(ui.assets(), days)
        run_id = ui.holder_of("serving/duckdb")
        ui.cancel(backfill)
        cancelled = ui.end_of_backfill(backfill)
        assert (cancelled.status, cancelled.run_ids, ui.end(run_id).status) == ("CANCELED", [run_id], "CANCELED")
        # The sensor that publishes may have taken the free place already.
        wait_until(lambda: not any(run_id in held_by for held_by in ui.pools().values()))
    done = {asset for asset, count in cancelled.materialized.items() if count == len(days)}
    assert done == set(ui.assets()) - {"serving/duckdb"}

    continued = ui.end_of_backfill(ui.continue_backfill(backfill))
    assert continued.status == "COMPLETED_SUCCESS"
    assert [(ui.run(run).assets, ui.run(run).days) for run in continued.run_ids] == [
        ({"serving/duckdb"}, (days[0], days[-1]))
    ]
    assert ui.days_by_status("serving/duckdb", among=days) == {"MATERIALIZED": days}
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, with_snapshots=False)


def test_a_backfill_whose_process_was_killed_is_continued(ui: DagsterUI, tmp_path: Path) -> None:
    days = each_day("2024-06-14", "2024-06-16")
    deliver_orders(ui.shop, *(line for day in days for line in lines(day, 3)), on=days[-1])
    with ui.scans_held_up("storefront"):
        backfill = ui.backfill(ui.assets(), days)
        wait_until(lambda: any(pool.startswith("bronze/storefront") for pool in ui.pools()))
        (run_id,) = ui.backfill_state(backfill).run_ids
        ui.kill_run(run_id)
        assert ui.end(run_id).status == "FAILURE"
    failed = ui.end_of_backfill(backfill)
    assert failed.status == "COMPLETED_FAILED"
    assert ui.days_by_status(ORDERS, among=days) == {"FAILED": days}

    continued = ui.end_of_backfill(ui.continue_backfill(backfill))
    assert continued.status == "COMPLETED_SUCCESS"
    assert [(ui.run(run).status, ui.run(run).days) for run in continued.run_ids] == [("SUCCESS", (days[0], days[-1]))]
    assert {asset: ui.days_by_status(asset, among=days) for asset in ui.assets()} == {
        asset: {"MATERIALIZED": days} for asset in ui.assets()
    }
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, with_snapshots=False)


def test_a_blocked_day_alone_fails_until_a_better_file_comes(ui: DagsterUI, tmp_path: Path) -> None:
    days = each_day("2024-06-18", "2024-06-22")
    bad = "2024-06-20"
    good = [day for day in days if day != bad]
    deliver_orders(ui.shop, *(line for day in good for line in lines(day, 50)), *lines(bad, 39, 11), on=days[-1])

    backfill = ui.end_of_backfill(ui.backfill(ui.assets(), days))
    assert backfill.status == "COMPLETED_FAILED"
    assert {asset: count for asset, count in backfill.failed.items() if count} == {ORDERS: 1}
    (run_id,) = backfill.run_ids
    assert ui.run(run_id).status == "SUCCESS"
    assert {asset: ui.days_by_status(asset, among=days) for asset in ui.assets()} == {
        asset: {"MATERIALIZED": days} for asset in ui.assets()
    } | {ORDERS: {"MATERIALIZED": good, "FAILED": [bad]}}
    assert ui.latest_materializations(ORDERS, days) == dict.fromkeys(good, run_id)
    assert ui.checks_by_status(ORDERS, among=days)["quarantine_rate"] == {"SUCCEEDED": good, "FAILED": [bad]}
    assert ui.checks_by_status(ORDERS, among=days)["books_balance"] == {"SUCCEEDED": days}
    assert ui.check_history(ORDERS, "quarantine_rate", bad) == ["FAILED"]
    marker, status = ui.latest_run(ORDERS, bad)
    assert (status, ui.run(marker).tags["retail/failed_in"], ui.run(marker).days) == ("FAILURE", run_id, (bad, bad))
    (why,) = [event["message"] for event in ui.events(marker) if event["__typename"] == "RunFailureEvent"]
    assert why.startswith(f"{bad}: blocked: 11 of 50 rows (22%) are in quarantine")
    sold = "SELECT order_date::VARCHAR, sum(quantity)::INT FROM gold.fact_sales WHERE {} GROUP BY 1 ORDER BY 1"
    within = f"order_date BETWEEN '{days[0]}' AND '{days[-1]}'"
    assert ui.shop.rows(sold.format(within)) == [(day, 50) for day in good]

    ui.shop.deliver("storefront/orders/orders-2024-06-23.csv", scenario.orders(*lines(bad, 50)))
    ui.turn("storefront_drops", on=True)
    wait_until(lambda: ui.days_by_status(ORDERS, among=days) == {"MATERIALIZED": days})
    ui.turn("storefront_drops", on=False)
    ui.settle()
    assert ui.checks_by_status(ORDERS, among=days)["quarantine_rate"] == {"SUCCEEDED": days}
    assert ui.check_history(ORDERS, "quarantine_rate", bad) == ["SUCCEEDED", "FAILED"]
    assert ui.shop.rows(sold.format(within)) == [(day, 50) for day in days]
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, with_snapshots=False)


def test_what_is_computed_by_hand_is_published(ui: DagsterUI, tmp_path: Path) -> None:
    days = each_day("2024-06-25", "2024-06-27")
    returned = [f"{day}-back,{day},C1,P1,-10,Returned,Card," for day in days]
    deliver_orders(ui.shop, *returned, on=days[-1])
    ui.end_of_backfill(ui.backfill(ui.assets(), days))
    fees = f"SELECT sum(restocking_fee)::VARCHAR FROM gold.fact_sales WHERE order_date >= '{days[0]}'"
    assert ui.shop.rows(fees) == [("30.00",)]
    ui.settle()
    runs = ui.runs()

    ui.stop()
    ui.start(RETAIL_RESTOCKING_FEE_RATE="0.20")
    with ui.shop.platform.warehouse.connect() as reader:
        every_day = each_day("2024-05-20", days[-1])
        computed_with_fees = ["gold/fact_orders", "gold/fact_sales", "marts/daily_sales"]
        backfill = ui.end_of_backfill(ui.backfill(computed_with_fees, every_day))
        assert backfill.status == "COMPLETED_SUCCESS"
        wait_until(lambda: ui.shop.rows(fees) == [("60.00",)])
        assert reader.sql(fees).fetchall() == [("30.00",)]
    ui.settle()
    computed, published = ui.runs()[len(runs) :]
    assert [computed.run_id] == backfill.run_ids
    assert (published.job, published.status, published.days) == ("publish", "SUCCESS", computed.days)
    assert published.tags["retail/publishes"] == ", ".join(computed_with_fees)

    ui.turn(SNAPSHOT_SENSOR, on=True)
    ui.settle(SNAPSHOT_SENSOR)
    assert_loaded(ui.shop, in_a_fresh_folder=tmp_path, restocking_fee_rate="0.20")
