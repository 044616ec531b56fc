"""Lines and payments whose date is in another file: what comes first, moves or changes, and the days they are of."""

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from retail_platform.components.lane_checks import keep_books
from retail_platform.landing.drops import hold
from retail_platform.landing.refining import refine_days
from retail_platform_tests.scenario import market_customers, market_items, market_orders, market_payments
from retail_platform_tests.shop import Shop

Rows = list[tuple[object, ...]]
Days = Sequence[tuple[dt.date, dt.date]]

ORDERS = "olist/orders/{}.csv"
ITEMS = "olist/order_items/{}.csv"
PAYMENTS = "olist/order_payments/{}.csv"


def june(day: int) -> dt.date:
    return dt.date(2024, 6, day)


def each(*days: int) -> Days:
    """Each of these days of June as a range of its own."""
    return [(june(day), june(day)) for day in days]


def silver(shop: Shop, entity: str) -> pl.DataFrame:
    return shop.platform.table(["silver", "olist", entity]).scan().collect()


def lines(shop: Shop, *orders: str) -> Rows:
    """The lines of these orders: order, line, day, price, status."""
    found = silver(shop, "orders").filter(pl.col("order_id").is_in(orders))
    price = pl.col("unit_price").cast(pl.Decimal(18, 2)).cast(pl.String)
    return sorted(found.select("order_id", "line_number", "order_date", price, "status").rows())


def paid(shop: Shop, *orders: str) -> Rows:
    """The payments of these orders: order, number, day, amount."""
    found = silver(shop, "payments").filter(pl.col("order_id").is_in(orders))
    return sorted(found.select("order_id", "payment_number", "payment_date", pl.col("amount").cast(pl.String)).rows())


def set_aside(shop: Shop, order: str, entity: str = "orders") -> Rows:
    """The quarantined rows of an order: day and reasons."""
    found = silver(shop, f"{entity}_quarantine").filter(pl.col("raw").str.json_path_match("$.order_id") == order)
    return sorted(found.select("partition_date", "reasons").rows())


def books(shop: Shop, *days: int, entity: str = "orders") -> Rows:
    """What became of the rows of these days of June: rows, silver, quarantined, superseded."""
    kept = {book.day: book for book in shop.platform.ledger.books(source="olist") if book.entity == entity}
    found = [kept[june(day)] for day in days]
    return [(book.bronze_rows, book.silver_rows, book.quarantined_rows, book.superseded_rows) for book in found]


def load_days(shop: Shop) -> Days:
    """Load what is new; the ranges of days that were computed."""
    report = shop.load("olist")
    assert report.errors == []
    return report.ranges.get("olist", [])


OPENING = {
    # One order a day, so that the opening is one run.
    ORDERS.format("base-2024-06-30"): market_orders(
        *(f"Z{day} K1 delivered 2024-06-{day:02}T10:00:00" for day in range(1, 31))
    ),
    "olist/customers/customers-2024-06-01.csv": market_customers("K1 ann recife PE"),
    ITEMS.format("early-2024-06-21"): market_items("E1 1 P1 10.00 1.00", "E1 2 P1 20.00 1.00"),
    PAYMENTS.format("early-2024-06-21"): market_payments("E1 1 boleto 1 32.00"),
    ORDERS.format("late-2024-06-30"): market_orders("L1 K1 delivered 2024-06-03T10:00:00"),
    ORDERS.format("move-2024-06-20"): market_orders("M1 K1 delivered 2024-06-04T10:00:00"),
    ITEMS.format("move-2024-06-22"): market_items("M1 1 P1 10.00 1.00"),
    PAYMENTS.format("move-2024-06-22"): market_payments("M1 1 boleto 1 11.00"),
    ORDERS.format("correct-2024-06-20"): market_orders("C1 K1 delivered 2024-06-06T10:00:00"),
    ITEMS.format("correct-2024-06-23"): market_items("C1 1 P1 10.00 1.00", "C1 2 P1 20.00 1.00"),
    ORDERS.format("status-2024-06-20"): market_orders("S1 K1 shipped 2024-06-07T10:00:00"),
    ITEMS.format("status-2024-06-24"): market_items("S1 1 P1 10.00 1.00"),
    ORDERS.format("gone"): market_orders(*(f"G{number} K1 delivered 2024-06-08T10:00:00" for number in range(1, 6))),
    ITEMS.format("gone-2024-06-25"): market_items("G1 1 P1 10.00 1.00", "G2 1 P1 20.00 1.00"),
    ORDERS.format("rewritten-2024-06-20"): market_orders("R1 K1 delivered 2024-06-09T10:00:00"),
    ITEMS.format("rewritten"): market_items(
        "R1 1 P1 10.00 1.00", *(f"R1 {number} P1 1.00 0.00" for number in range(2, 7))
    ),
    ORDERS.format("held-2024-06-20"): market_orders("H1 K1 delivered 2024-06-10T10:00:00"),
    ITEMS.format("held-2024-06-26"): market_items("H1 1 P1 10.00 1.00"),
    ORDERS.format("bought-2024-06-20"): market_orders(
        "B1 K7 delivered 2024-06-11T10:00:00", "B2 K1 delivered 2024-06-12T10:00:00"
    ),
    ITEMS.format("bought-2024-06-27"): market_items("B1 1 P1 10.00 1.00", "B2 1 P1 10.00 1.00"),
    ORDERS.format("undated-2024-06-28"): market_orders("U1 K1 delivered someday"),
    ITEMS.format("undated-2024-06-27"): market_items("U1 1 P1 10.00 1.00"),
    ITEMS.format("bad-2024-06-29"): market_items("X1 1 P1 free 1.00", "X1 - P1 1.00 1.00") + "X2,1\n",
}
"""What the shop of this module holds before its tests; each has orders and days of its own."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop after its opening. A load touches no day that it need not touch, so a stale day would show."""
    folder = tmp_path_factory.mktemp("headers") / "data"
    with Shop(folder, sources=("olist",), run_gap_days=0) as shop:
        for path, content in OPENING.items():
            shop.deliver(path, content, at="2024-06-30T06:00:00")
        assert shop.load().errors == []
        yield shop


class TestArrival:
    def test_lines_before_their_header_wait_and_leave_when_it_comes(self, shop: Shop) -> None:
        assert set_aside(shop, "E1") == [(june(21), ["header_missing"])] * 2
        assert set_aside(shop, "E1", "payments") == [(june(21), ["header_missing"])]
        assert books(shop, 2, 21) == [(0, 0, 0, 0), (2, 0, 2, 0)]
        shop.deliver(ORDERS.format("early-2024-06-29"), market_orders("E1 K1 delivered 2024-06-02T10:00:00"))
        assert load_days(shop) == each(2, 21)
        assert lines(shop, "E1") == [
            ("E1", 1, june(2), "10.00", "Completed"),
            ("E1", 2, june(2), "20.00", "Completed"),
        ]
        assert paid(shop, "E1") == [("E1", "1", june(2), "32.00")]
        assert set_aside(shop, "E1") == set_aside(shop, "E1", "payments") == []
        assert books(shop, 2, 21) == [(2, 2, 0, 0), (0, 0, 0, 0)]
        assert books(shop, 2, 21, entity="payments") == [(1, 1, 0, 0), (0, 0, 0, 0)]

    def test_lines_after_their_header_go_to_its_day_at_once(self, shop: Shop) -> None:
        shop.deliver(ITEMS.format("late-2024-06-20"), market_items("L1 1 P1 10.00 1.00"))
        assert load_days(shop) == each(3, 20)
        assert lines(shop, "L1") == [("L1", 1, june(3), "10.00", "Completed")]
        assert books(shop, 3, 20) == [(1, 1, 0, 0), (0, 0, 0, 0)]

    def test_header_and_lines_that_come_together_are_computed_once(self, shop: Shop) -> None:
        shop.deliver(ORDERS.format("both-2024-06-15"), market_orders("T1 K1 created 2024-06-14T10:00:00"))
        shop.deliver(ITEMS.format("both-2024-06-15"), market_items("T1 1 P1 10.00 1.00"))
        assert load_days(shop) == [(june(14), june(15))]
        assert lines(shop, "T1") == [("T1", 1, june(14), "10.00", "Open")]

    def test_what_waits_is_told_all_that_is_wrong_with_it_and_nothing_else(self, shop: Shop) -> None:
        found = silver(shop, "orders_quarantine").filter(pl.col("_source_file").str.contains("bad"))
        assert sorted(found.select("partition_date", "reasons").rows()) == [
            (june(29), ["header_missing", "unit_price_unreadable"]),
            (june(29), ["line_number_missing", "header_missing"]),
            (june(29), ["row_malformed"]),
        ]

    def test_a_header_without_a_readable_date_keeps_its_lines_in_quarantine_with_it(self, shop: Shop) -> None:
        assert set_aside(shop, "U1") == [(june(28), ["order_date_unreadable"])]
        assert set_aside(shop, "U1", "order_headers") == [(june(28), ["order_date_unreadable"])]
        shop.deliver(ORDERS.format("undated-2024-06-29"), market_orders("U1 K1 delivered 2024-06-13T10:00:00"))
        assert load_days(shop) == each(13, 28)
        assert lines(shop, "U1") == [("U1", 1, june(13), "10.00", "Completed")]
        assert set_aside(shop, "U1") == []


class TestChanges:
    def test_a_moved_header_takes_lines_and_payments_along(self, shop: Shop) -> None:
        assert lines(shop, "M1") == [("M1", 1, june(4), "10.00", "Completed")]
        shop.deliver(ORDERS.format("move-2024-06-21"), market_orders("M1 K1 delivered 2024-06-05T10:00:00"))
        assert load_days(shop) == [(june(4), june(5))]
        assert lines(shop, "M1") == [("M1", 1, june(5), "10.00", "Completed")]
        assert paid(shop, "M1") == [("M1", "1", june(5), "11.00")]
        assert books(shop, 4, 5) == [(0, 0, 0, 0), (1, 1, 0, 0)]

    def test_a_corrected_line_counts_on_the_day_of_its_header(self, shop: Shop) -> None:
        shop.deliver(ITEMS.format("correct-2024-06-24"), market_items("C1 1 P1 12.00 1.00"))
        assert load_days(shop) == each(6, 24)
        assert lines(shop, "C1") == [("C1", 1, june(6), "12.00", "Completed"), ("C1", 2, june(6), "20.00", "Completed")]
        assert books(shop, 6) == [(3, 2, 0, 1)]

    def test_a_corrected_line_that_waits_leaves_the_first_one_s_quarantine(self, shop: Shop) -> None:
        shop.deliver(ITEMS.format("wait-2024-06-16"), market_items("W1 1 P1 1.00 1.00"))
        load_days(shop)
        shop.deliver(ITEMS.format("wait-2024-06-18"), market_items("W1 1 P1 2.00 1.00"))
        assert load_days(shop) == each(16, 18)
        assert set_aside(shop, "W1") == [(june(18), ["header_missing"])]
        assert books(shop, 16, 18) == [(1, 0, 0, 1), (1, 0, 1, 0)]

    def test_a_header_that_says_something_else_touches_its_own_day_alone(self, shop: Shop) -> None:
        shop.deliver(ORDERS.format("status-2024-06-21"), market_orders("S1 K1 delivered 2024-06-07T10:00:00"))
        assert load_days(shop) == each(7)
        assert lines(shop, "S1") == [("S1", 1, june(7), "10.00", "Completed")]

    def test_lines_whose_header_is_withdrawn_wait_again(self, shop: Shop) -> None:
        kept = market_orders(*(f"G{number} K1 delivered 2024-06-08T10:00:00" for number in range(2, 6)))
        shop.deliver(ORDERS.format("gone"), kept, at="2024-06-30T09:00:00")
        # The other orders of the file are the same, but of a later file: their lines are looked at again.
        assert load_days(shop) == each(8, 25)
        assert lines(shop, "G1", "G2") == [("G2", 1, june(8), "20.00", "Completed")]
        assert set_aside(shop, "G1") == [(june(25), ["header_missing"])]
        assert books(shop, 8, 25) == [(1, 1, 0, 0), (1, 0, 1, 0)]

    def test_a_rewritten_file_of_lines_leaves_nothing_behind(self, shop: Shop) -> None:
        content = market_items(*(f"R1 {number} P1 1.00 0.00" for number in range(2, 7)))
        shop.deliver(ITEMS.format("rewritten"), content, at="2024-07-01T09:00:00")
        assert load_days(shop) == [(june(9), june(9)), (june(30), dt.date(2024, 7, 1))]
        assert [line[1] for line in lines(shop, "R1")] == [2, 3, 4, 5, 6]
        assert books(shop, 9) == [(5, 5, 0, 0)]

    def test_lines_that_are_held_are_taken_out_of_the_day_of_their_header(self, shop: Shop) -> None:
        (drop,) = shop.platform.ledger.drops(path=ITEMS.format("held-2024-06-26"))
        hold(shop.platform.lanes["olist"], drop, why="It is wrong.")
        assert load_days(shop) == each(10, 26)
        assert lines(shop, "H1") == []
        assert books(shop, 10, 26) == [(0, 0, 0, 0), (0, 0, 0, 0)]

    def test_a_customer_that_comes_late_is_found_through_the_header(self, shop: Shop) -> None:
        customer = pl.col("order_id").is_in(["B1", "B2"])
        assert silver(shop, "orders").filter(customer).sort("order_id")["customer_id"].to_list() == [None, "ann"]
        shop.deliver("olist/customers/customers-2024-06-19.csv", market_customers("K7 gil recife PE"))
        assert load_days(shop) == each(11, 19)
        for entity in ("orders", "order_headers"):
            assert silver(shop, entity).filter(customer).sort("order_id")["customer_id"].to_list() == ["gil", "ann"]


def test_the_books_of_all_days_hold_every_row_once_and_every_check_passes(shop: Shop) -> None:
    """After all that happened to the shop of this module."""
    lane = shop.platform.lanes["olist"]
    kept = shop.platform.ledger.books(source="olist")
    for entity, feed in (("orders", "order_items"), ("payments", "order_payments"), ("order_headers", "orders")):
        of_entity = [book for book in kept if book.entity == entity]
        fates = [book.silver_rows + book.quarantined_rows + book.superseded_rows for book in of_entity]
        assert sum(fates) == lane.bronze(feed).scan().select(pl.len()).collect().item()
        assert sum(book.bronze_rows for book in of_entity) == sum(fates)
    for check in ("books_balance", "rows_match_files", "one_day_per_key", "unique_key", "contract"):
        assert set(shop.checks(check).values()) == {True}


class TestBooks:
    """The books of lines can fail to balance: they compare bronze and key index with what was written."""

    def unbalanced(self, shop: Shop, *days: int) -> Sequence[tuple[dt.date, int]]:
        """Compute days again by hand; those whose books do not balance, with the rows that are missing or too many."""
        platform, every = shop.platform, [june(day) for day in days]
        lane = platform.lanes["olist"]
        refined = refine_days(lane, "orders", lane.bronze("order_items").scan(every), every, platform.engine)
        platform.table(["silver", "olist", "orders"]).write_days(refined.silver, every)
        platform.table(["silver", "olist", "orders_quarantine"]).write_days(refined.quarantine, every)
        books = keep_books(platform, dg.AssetKey(["silver", "olist", "orders"]), every, refined)
        missing = [book.bronze_rows - book.silver_rows - book.quarantined_rows - book.superseded_rows for book in books]
        return [(book.day, rows) for book, rows in zip(books, missing, strict=True) if rows]

    def test_a_line_that_the_key_index_lost_is_missed_on_its_drop_date(self, tmp_path: Path) -> None:
        with Shop(tmp_path / "data", sources=("olist",)) as shop:
            shop.deliver(ORDERS.format("o-2024-06-02"), market_orders("A K1 delivered 2024-06-01T10:00:00"))
            shop.deliver(ITEMS.format("i-2024-06-03"), market_items("A 1 P1 10.00 1.00", "B 1 P1 20.00 1.00"))
            assert shop.load("olist").errors == []
            assert self.unbalanced(shop, 1, 2, 3) == []
            index = shop.platform.lanes["olist"].index("order_items")
            whole = index.scan().collect()
            index.replace(whole.clear(), files=whole.select("file_id", "partition_date").unique().rows())
            assert self.unbalanced(shop, 1, 2, 3) == [(june(3), 1)]

    def test_a_line_whose_bronze_file_was_lost_is_missed_on_its_own_day(self, tmp_path: Path) -> None:
        with Shop(tmp_path / "data", sources=("olist",)) as shop:
            shop.deliver(ORDERS.format("o-2024-06-02"), market_orders("A K1 delivered 2024-06-01T10:00:00"))
            shop.deliver(ITEMS.format("i-2024-06-03"), market_items("A 1 P1 10.00 1.00"))
            assert shop.load("olist").errors == []
            (file,) = shop.platform.lanes["olist"].bronze("order_items").files(june(3))
            file.unlink()
            assert self.unbalanced(shop, 1, 3) == [(june(1), 1), (june(3), -1)]
