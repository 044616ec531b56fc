"""Given a day with too much wrong in it, then it is blocked, and it alone."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from retail_platform_tests import scenario
from retail_platform_tests.scenario import orders
from retail_platform_tests.shop import Shop

BAD = dt.date(2024, 6, 12)
"""The day that is blocked; the days before and after it are good."""
SILVER = "silver/storefront/orders"
QUARANTINE = "silver/storefront/orders_quarantine"
WHY = (
    "11 of 50 rows (22%) are in quarantine, more than 20%: look at `retail quarantine list`, and deliver the day "
    "again. Silver keeps what it held."
)


def day(number: int) -> dt.date:
    return dt.date(2024, 6, number)


def lines(of: dt.date, good: int, bad: int = 0, *, units: int = 1) -> list[str]:
    """Order lines of a day; those that are bad have no quantity."""
    numbers = dict.fromkeys(range(good), str(units)) | dict.fromkeys(range(good, good + bad), "")
    return [f"{of}-{number},{of},C1,P1,{quantity},,Card," for number, quantity in numbers.items()]


def units(shop: Shop, *days: dt.date) -> dict[object, object]:
    """Units sold, by day, as gold and the mart say."""
    within = f"order_date BETWEEN '{days[0]}' AND '{days[-1]}'"
    gold = shop.rows(f"SELECT order_date, sum(quantity)::INT FROM gold.fact_sales WHERE {within} GROUP BY 1 ORDER BY 1")
    mart = shop.rows(f"SELECT order_date, sum(units)::INT FROM marts.daily_sales WHERE {within} GROUP BY 1 ORDER BY 1")
    assert gold == mart
    return dict(gold)  # pyrefly: ignore[no-matching-overload] - two columns


def materialized(shop: Shop, asset: str) -> set[str]:
    return shop.instance.get_materialized_partitions(dg.AssetKey(asset.split("/")))


def retail(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RETAIL_DATA_DIR": str(shop.settings.root), "RETAIL_SOURCES": "storefront"}
    command = [sys.executable, "-m", "retail_platform.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with one blocked day, and days that come near to it."""
    with Shop(tmp_path_factory.mktemp("blocked") / "data", sources=("storefront",)) as shop:
        shop.deliver("storefront/customers/customers-2024-06-10.csv", scenario.CUSTOMERS)
        shop.deliver("storefront/products/products-2024-06-10.csv", scenario.PRODUCTS)
        content = orders(
            *lines(day(11), 50),
            *lines(BAD, 39, 11),  # 22 %
            *lines(day(13), 40, 10),  # exactly 20 %
            *lines(day(14), 1, 48),  # only 49 rows
            *lines(day(15), 50),
            *(f"undated-{number},someday,C1,P1,1,,Card," for number in range(60)),  # filed under the 16th
            *lines(day(16), 49),
        )
        shop.deliver("storefront/orders/orders-2024-06-16.csv", content)
        report = shop.load()
        assert (report.errors, report.runs) == ([], 1)
        yield shop


class TestNewBlockedDay:
    def test_the_blocked_day_alone_has_no_rows(self, shop: Shop) -> None:
        assert units(shop, day(11), day(16)) == {day(11): 50, day(13): 40, day(14): 1, day(15): 50, day(16): 49}

    def test_its_quarantine_is_written(self, shop: Shop) -> None:
        rows = shop.rows("""
            SELECT partition_date, reasons, count(*) FROM silver.storefront_orders_quarantine GROUP BY ALL ORDER BY ALL
        """)
        assert rows == [
            (BAD, ["quantity_unreadable"], 11),
            (day(13), ["quantity_unreadable"], 10),
            (day(14), ["quantity_unreadable"], 48),
            (day(16), ["order_date_unreadable"], 60),
        ]

    def test_dagster_has_all_days_but_the_blocked_one(self, shop: Shop) -> None:
        days = {day(number).isoformat() for number in range(10, 17)}
        assert materialized(shop, SILVER) == days - {BAD.isoformat()}
        for asset in (QUARANTINE, "gold/fact_sales", "marts/daily_sales", "serving/duckdb"):
            assert materialized(shop, asset) == days

    def test_the_check_fails_as_an_error_on_that_day_alone(self, shop: Shop) -> None:
        results = shop.evaluations(SILVER, "quarantine_rate")
        assert {of for of, result in results.items() if not result.passed} == {BAD}
        assert results[BAD].severity == dg.AssetCheckSeverity.ERROR
        assert results[BAD].metadata["details"].value == WHY
        assert [of for of, passed in shop.checks("quarantine_rate").items() if not passed] == [BAD]
        assert set(shop.checks("books_balance").values()) == {True}

    def test_the_quarantine_shows_its_days_and_why(self, shop: Shop) -> None:
        results = shop.evaluations(QUARANTINE, "nothing_set_aside")
        assert [of.day for of, result in sorted(results.items()) if result.passed] == [10, 11, 15]
        assert {result.severity for result in results.values()} == {dg.AssetCheckSeverity.WARN}
        said = {name: value.value for name, value in results[BAD].metadata.items()}
        assert said == {"failed_rows": 11, "total_rows": 50, "details": "quantity_unreadable: 11"}

    def test_the_books_say_why(self, shop: Shop) -> None:
        rows = shop.rows("""
            SELECT entity, day, bronze_rows, silver_rows, quarantined_rows, superseded_rows, blocked_because
            FROM ops.books WHERE blocked_because <> ''
        """)
        assert rows == [("orders", BAD, 50, 39, 11, 0, WHY)]

    def test_the_command_line_says_so_and_fails(self, shop: Shop) -> None:
        told = retail(shop, "load")
        assert (told.returncode, told.stdout.splitlines()[0]) == (1, f"blocked storefront/orders {BAD}: {WHY}")
        told = retail(shop, "status")
        assert (told.returncode, told.stdout.splitlines()[-1]) == (1, f"blocked storefront/orders {BAD}: {WHY}")


class TestBlockedCorrection:
    """A day that was good, and is corrected for the worse and then for the better."""

    DAYS = (day(20), day(21), day(22))

    @pytest.fixture
    def corrected(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
        with Shop(tmp_path_factory.mktemp("corrected") / "data", sources=("storefront",)) as shop:
            shop.deliver("storefront/products/products-2024-06-19.csv", scenario.PRODUCTS)
            content = orders(*(line for of in self.DAYS for line in lines(of, 60)))
            shop.deliver("storefront/orders/orders-2024-06-22.csv", content)
            assert shop.load().errors == []
            yield shop

    def test_silver_keeps_what_it_held_until_a_better_file_comes(self, corrected: Shop) -> None:
        shop, (before, bad, after) = corrected, self.DAYS
        quarantined = "SELECT count(*) FROM silver.storefront_orders_quarantine"
        assert units(shop, before, after) == {before: 60, bad: 60, after: 60}

        worse = [*lines(before, 60, units=2), *lines(bad, 40, 20, units=2), *lines(after, 60, units=2)]
        shop.deliver("storefront/orders/orders-2024-06-23.csv", orders(*worse))
        report = shop.load()
        assert (report.errors, report.runs) == ([], 1)
        assert units(shop, before, after) == {before: 120, bad: 60, after: 120}
        assert shop.rows(quarantined) == [(20,)]
        assert [book.day for book in shop.platform.ledger.books(blocked=True)] == [bad]
        assert shop.load().runs == 0

        shop.deliver("storefront/orders/orders-2024-06-24.csv", orders(*lines(bad, 60, units=3)))
        assert shop.load().errors == []
        assert units(shop, before, after) == {before: 120, bad: 180, after: 120}
        assert shop.rows(quarantined) == [(0,)]
        assert shop.platform.ledger.books(blocked=True) == []
        assert shop.evaluations(SILVER, "quarantine_rate")[bad].passed
        assert materialized(shop, SILVER) >= {of.isoformat() for of in self.DAYS}
