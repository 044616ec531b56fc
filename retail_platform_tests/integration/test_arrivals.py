"""Given these drops, in this order, then these tables: late, corrected, moved, repeated, rewritten and deleted data."""

import datetime as dt
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.landing.drops import accept
from retail_platform_tests import scenario
from retail_platform_tests.scenario import customers, invoices, orders, products
from retail_platform_tests.shop import Shop

Lines = list[tuple[object, ...]]


def june(day: int) -> dt.date:
    return dt.date(2024, 6, day)


def sales(shop: Shop, like: str) -> Lines:
    """The order lines whose order id is like this: order, line, day, product, units, price, amount."""
    return shop.rows(f"""
        SELECT order_id, line_number, order_date, product_id, quantity, unit_price::VARCHAR, total_amount::VARCHAR
        FROM gold.fact_sales WHERE order_id LIKE '{like}' ORDER BY ALL
    """)


def set_aside(shop: Shop, like: str, *, source: str = "storefront") -> Lines:
    """The quarantined order lines whose raw row is like this: day and reasons."""
    return shop.rows(f"""
        SELECT partition_date, reasons FROM silver.{source}_orders_quarantine WHERE raw LIKE '%{like}%' ORDER BY ALL
    """)


def book(shop: Shop, day: dt.date, entity: str = "orders") -> Mapping[str, int]:
    """What became of a day's rows."""
    rows = shop.frame(f"FROM ops.books WHERE source = 'storefront' AND entity = '{entity}' AND day = '{day}'")
    return rows.select(pl.selectors.ends_with("_rows")).row(0, named=True)


def fates(bronze: int, silver: int, quarantined: int, superseded: int) -> Mapping[str, int]:
    return {
        "bronze_rows": bronze,
        "silver_rows": silver,
        "quarantined_rows": quarantined,
        "superseded_rows": superseded,
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that was given the scenario's files."""
    with Shop(tmp_path_factory.mktemp("first") / "data", sources=("storefront",)) as shop:
        for path, content in scenario.FILES.items():
            shop.deliver(path, content)
        report = shop.load()
        assert (report.errors, report.runs) == ([], 1)
        yield shop


class TestFirstLoad:
    """The scenario as delivered."""

    def test_facts_are_the_valid_order_lines(self, first: Shop) -> None:
        expected = pl.DataFrame(
            [
                ("O1", 1, june(1), "C1", "P1", 2, "10", "20", "Sale", "0", "20", "Completed", "Card"),
                ("O1", 2, june(1), "C1", "P2", 1, "99.99", "99.99", "Sale", "0", "99.99", "Completed", "Card"),
                # 3 x 0.335 is 1.005: half a cent is rounded up
                ("O2", 1, june(1), "C2", "P3", 3, "0.335", "1.01", "Sale", "0", "1.01", "Completed", "Cash"),
                ("O3", 1, june(1), "C4", "P1", 1, "10", "10", "Sale", "0", "10", "Cancelled", "Card"),
                ("O4", 1, june(2), "C9", "P1", 1, "10", "10", "Sale", "0", "10", "Completed", "Card"),
                ("O5", 1, june(2), None, "P2", 1, "99.99", "99.99", "Sale", "0", "99.99", "Completed", "Card"),
                ("O6", 1, june(2), "C2", "P1", -2, "10", "-20", "Refund", "2", "-18", "Returned", "Card"),
                ("O12", 1, june(3), "C2", "P2", 1, "99.99", "99.99", "Sale", "0", "99.99", "Completed", "Card"),
            ],
            schema=[
                "order_id",
                "line_number",
                "order_date",
                "customer_id",
                "product_id",
                "quantity",
                "unit_price",
                "total_amount",
                "transaction_type",
                "restocking_fee",
                "net_amount",
                "status",
                "payment_method",
            ],
            orient="row",
        ).with_columns(
            pl.col("unit_price").cast(pl.Decimal(18, 4)),
            pl.col("total_amount", "restocking_fee", "net_amount").cast(pl.Decimal(18, 2)),
        )
        facts = first.frame("FROM gold.fact_sales ORDER BY order_date, length(order_id), order_id, line_number")
        assert_frame_equal(facts.select(expected.columns), expected)

    def test_invalid_rows_are_in_quarantine_with_all_reasons(self, first: Shop) -> None:
        rows = first.rows("""
            SELECT partition_date, _row_number, raw ->> 'order_id', reasons, _source_file
            FROM silver.storefront_orders_quarantine ORDER BY ALL
        """)
        file = "storefront/orders/orders-2024-06-04.csv"
        assert rows == [
            (june(3), 9, "O7", ["unit_price_unreadable"], file),
            (june(3), 10, "O8", ["quantity_zero"], file),
            (june(3), 11, "O9", ["quantity_unreadable", "status_unknown"], file),
            (june(3), 12, None, ["order_id_missing"], file),
            (june(4), 13, "O11", ["order_date_unreadable"], file),
        ]

    def test_malformed_email_sets_a_customer_aside(self, first: Shop) -> None:
        rows = first.rows("SELECT raw ->> 'customer_id', reasons FROM silver.storefront_customers_quarantine")
        assert rows == [("C3", ["email_malformed"])]

    def test_customers_are_masked_and_unknown_ones_inferred(self, first: Shop) -> None:
        rows = first.rows("""
            SELECT source_system, customer_id, full_name, email, city, state, region, signup_date, is_inferred
            FROM gold.dim_customer_current ORDER BY customer_id NULLS FIRST
        """)
        assert rows == [
            ("unknown", None, None, None, None, None, None, None, True),
            (
                "storefront",
                "C1",
                "A*** L***",
                "a***@example.com",
                "Boston",
                "MA",
                "Northeast",
                dt.date(2023, 1, 5),
                False,
            ),
            ("storefront", "C2", "B*** R***", "b***@example.com", "Austin", "TX", "South", dt.date(2023, 2, 10), False),
            ("storefront", "C4", "D*** F***", "d***@example.com", "Salem", "OR", "West", june(2), False),
            ("storefront", "C9", None, None, None, None, None, None, True),
        ]

    def test_products_carry_their_list_price(self, first: Shop) -> None:
        rows = first.rows("""
            SELECT product_id, product_name, category, list_price::VARCHAR, valid_from, valid_to, is_current, is_active
            FROM gold.dim_product ORDER BY ALL
        """)
        always = (dt.date(1900, 1, 1), dt.date(9999, 12, 31), True, True)
        assert rows == [
            ("P1", "Lamp", "Home", "10.0000", *always),
            ("P2", "Desk", "Home", "99.9900", *always),
            ("P3", "Pen", "Office", "0.3350", *always),
        ]

    def test_the_mart_sums_each_day_by_status(self, first: Shop) -> None:
        rows = first.rows("""
            SELECT order_date, status, orders, units, gross, refunds, fees, net, customers, average_order_value
            FROM marts.daily_sales ORDER BY ALL
        """)
        money = Decimal
        none = money("0.00")
        assert rows == [
            (june(1), "Cancelled", 1, 1, money("10.00"), none, none, money("10.00"), 1, money("10.00")),
            (june(1), "Completed", 2, 6, money("121.00"), none, none, money("121.00"), 2, money("60.50")),
            (june(2), "Completed", 2, 2, money("109.99"), none, none, money("109.99"), 1, money("55.00")),
            (june(2), "Returned", 1, -2, none, money("20.00"), money("2.00"), money("-18.00"), 1, None),
            (june(3), "Completed", 1, 1, money("99.99"), none, none, money("99.99"), 1, money("99.99")),
        ]

    def test_the_sales_view_adds_the_members_of_the_day(self, first: Shop) -> None:
        rows = first.rows("""
            SELECT order_id, line_number, customer_name, sales_region, product_name, category
            FROM gold.sales WHERE order_date = '2024-06-02' ORDER BY ALL
        """)
        assert rows == [
            ("O4", 1, None, None, "Lamp", "Home"),
            ("O5", 1, None, None, "Desk", "Home"),
            ("O6", 1, "B*** R***", "South", "Lamp", "Home"),
        ]

    def test_the_books_balance(self, first: Shop) -> None:
        assert {day: book(first, june(day)) for day in (1, 2, 3, 4)} == {
            1: fates(4, 4, 0, 0),
            2: fates(3, 3, 0, 0),
            3: fates(5, 1, 4, 0),
            4: fates(1, 0, 1, 0),
        }
        assert set(first.checks("books_balance").values()) == {True}
        assert set(first.checks("rows_match_files").values()) == {True}

    def test_checks_fail_on_the_days_they_speak_of(self, first: Shop) -> None:
        failed = {
            check: [day for day, result in first.evaluations(asset, check).items() if not result.passed]
            for asset, check in (
                ("serving/duckdb", "order_not_before_signup"),
                ("serving/duckdb", "customer_delivered"),
                ("serving/duckdb", "product_delivered"),
                ("silver/storefront/orders", "quantity_zero"),
                ("silver/storefront/orders", "order_date_unreadable"),
                ("silver/storefront/customers", "email_malformed"),
            )
        }
        assert failed == {
            "order_not_before_signup": [june(1)],
            "customer_delivered": [june(2)],
            "product_delivered": [],
            "quantity_zero": [june(3)],
            "order_date_unreadable": [june(4)],
            "email_malformed": [dt.date(2024, 5, 31)],
        }

    def test_a_second_load_runs_nothing(self, first: Shop) -> None:
        report = first.load()
        assert (report.runs, report.ranges, report.errors) == (0, {}, [])


OPENING = {
    "storefront/customers/customers-2024-05-31.csv": scenario.CUSTOMERS,
    "storefront/customers/members.csv": customers("Z1,Zoe Day,zoe@example.com,Boston,MA,USA,2024-01-01"),
    "storefront/products/products-2024-05-31.csv": scenario.PRODUCTS,
    "storefront/products/lamps-2024-06-01.csv": products("L1,Lamp,Light,10.00", "L2,Lamp,Light,20.00"),
    "storefront/products/late-2024-06-25.csv": products("Q1,Quilt,Home,30.00"),
    # One order on each day, so that the opening is one run.
    "storefront/orders/base-2024-06-30.csv": orders(*(f"B{day:02},{june(day)},C1,P1,1,,Card," for day in range(1, 31))),
    "storefront/orders/correct-2024-06-10.csv": orders("K1,2024-06-03,C1,P1,1,,Card,", "K2,2024-06-03,C1,P1,2,,Card,"),
    "storefront/orders/move-2024-06-10.csv": orders("M1,2024-06-05,C1,P1,1,,Card,", "M2,2024-06-05,C1,P1,2,,Card,"),
    "storefront/orders/repeat-2024-06-10.csv": orders(
        "R1,2024-06-08,C1,P1,1,,Card,",
        "R1,2024-06-08,C1,P1,1,,Card,",
        "R2,2024-06-08,C1,P1,1,,Card,",
        "R2,2024-06-08,C1,P1,7,,Cash,",
    ),
    "storefront/orders/shrink.csv": orders(*(f"S{number},2024-06-10,C1,P1,{number},,Card," for number in range(1, 6))),
    "storefront/orders/away.csv": orders("Y1,2024-06-12,C1,P1,1,,Card,", "Y2,2024-06-12,C1,P1,2,,Card,"),
    "storefront/orders/back.csv": orders("F1,2024-06-15,C1,P1,1,,Card,"),
    "storefront/orders/gone.csv": orders("G1,2024-06-17,C1,P1,1,,Card,"),
    "storefront/orders/undated-2024-06-19.csv": orders("U1,someday,C1,P1,1,,Card,"),
    "storefront/orders/unpriced-2024-06-30.csv": orders("N1,2024-06-21,C1,NEW,1,,Card,"),
    "storefront/orders/priced-2024-06-30.csv": orders(
        "L1,2024-06-22,C1,L1,1,,Card,", "L2,2024-06-22,C1,L2,1,,Card,", "L3,2024-06-24,C1,L1,1,,Card,"
    ),
    "storefront/orders/quilts-2024-06-30.csv": orders("Q1,2024-06-23,C1,Q1,1,,Card,", "Q2,2024-06-26,C1,Q1,1,,Card,"),
    "storefront/orders/2024-06-14/shop-7/lines.csv": orders("D1,2024-06-13,C1,P1,1,,Card,", "D2,,C1,P1,1,,Card,"),
    "storefront/orders/20240614/lines.csv": orders("D3,?,C1,P1,1,,Card,"),
    "storefront/orders/strange-2024-06-27.csv": orders(
        "X1,1999-12-31,C1,P1,1,,Card,",
        "X2,2024-06-28,C1,P1,1,,Card,",
        "X3,2024-06-29,C1,P1,1,,Card,",
        "X4,2102-01-01,C1,P1,1,,Card,",
    ),
    "online_retail/invoices/2010-12-01.csv": invoices(
        "536365,85123A,HEART HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
        "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom",
        "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom",
        "536366,84406b,CUP,8,2010-12-01 08:30:00,0.001,,France",
        "C536379,84406B,wrong cup,-1,2010-12-01 09:41:00,27.50,14527.0,United Kingdom",
        "A563185,B,Adjust bad debt,1,2010-12-01 14:50:00,11062.06,,United Kingdom",
    ),
}
"""What the shop of this module holds before its tests; each has order ids and days of its own."""

MODIFIED = {
    "storefront/customers/members.csv": "2024-06-02T10:00:00",
    "storefront/orders/strange-2024-06-27.csv": "2024-06-27T23:00:00",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop after its opening. A load touches no day that it need not touch, so a stale day would show."""
    with Shop(tmp_path_factory.mktemp("arrivals") / "data", run_gap_days=0) as shop:
        for path, content in OPENING.items():
            shop.deliver(path, content, at=MODIFIED.get(path, "2024-07-01T06:00:00"))
        assert shop.load().errors == []
        yield shop


def load_days(shop: Shop) -> Sequence[tuple[dt.date, dt.date]]:
    """Load what is new of the storefront; the ranges of days that were computed."""
    report = shop.load("storefront")
    assert report.errors == []
    return report.ranges.get("storefront", [])


class TestCorrections:
    def test_the_later_drop_date_wins_whenever_it_arrives(self, shop: Shop) -> None:
        shop.deliver("storefront/orders/correct-2024-06-09.csv", orders("K1,2024-06-03,C1,P1,8,,Card,"))
        shop.deliver("storefront/orders/correct-2024-06-11.csv", orders("K2,2024-06-03,C1,P1,9,,Card,"))
        assert load_days(shop) == [(june(3), june(3))]
        assert sales(shop, "K%") == [
            ("K1", 1, june(3), "P1", 1, "10.0000", "10.00"),
            ("K2", 1, june(3), "P1", 9, "10.0000", "90.00"),
        ]
        assert book(shop, june(3)) == fates(5, 3, 0, 2)

    def test_a_moved_order_leaves_its_old_day(self, shop: Shop) -> None:
        shop.deliver("storefront/orders/move-2024-06-11.csv", orders("M1,2024-06-06,C1,P1,1,,Card,"))
        assert load_days(shop) == [(june(5), june(6))]
        assert sales(shop, "M%") == [
            ("M1", 1, june(6), "P1", 1, "10.0000", "10.00"),
            ("M2", 1, june(5), "P1", 2, "10.0000", "20.00"),
        ]
        assert book(shop, june(5)) == fates(3, 2, 0, 1)
        assert book(shop, june(6)) == fates(2, 2, 0, 0)
        assert shop.checks("one_day_per_key")[june(5)]
        mart = "SELECT order_date, units FROM marts.daily_sales WHERE order_date BETWEEN '2024-06-05' AND '2024-06-06'"
        assert shop.rows(f"{mart} ORDER BY ALL") == [(june(5), 3), (june(6), 2)]

    def test_of_lines_repeated_in_a_file_the_last_one_counts(self, shop: Shop) -> None:
        assert sales(shop, "R%") == [
            ("R1", 1, june(8), "P1", 1, "10.0000", "10.00"),
            ("R2", 1, june(8), "P1", 7, "10.0000", "70.00"),
        ]
        assert book(shop, june(8)) == fates(5, 3, 0, 2)

    def test_a_row_that_gets_its_date_leaves_quarantine(self, shop: Shop) -> None:
        assert set_aside(shop, '"U1"') == [(june(19), ["order_date_unreadable"])]
        shop.deliver("storefront/orders/dated-2024-06-20.csv", orders("U1,2024-06-18,C1,P1,1,,Card,"))
        assert load_days(shop) == [(june(18), june(19))]
        assert set_aside(shop, '"U1"') == []
        assert sales(shop, "U1") == [("U1", 1, june(18), "P1", 1, "10.0000", "10.00")]

    def test_a_line_with_and_without_its_number_is_one_line(self, shop: Shop) -> None:
        shop.deliver("storefront/orders/plain-2024-06-28.csv", orders("W1,2024-06-30,C1,P1,1,,Card,"))
        shop.deliver("storefront/orders/numbered-2024-06-29.csv", orders("W1,2024-06-30,C1,P1,3,,Card,1"))
        unnumbered = orders("W2,2024-06-30,C1,P1,5,,Card").replace(",line_number", "")
        shop.deliver("storefront/orders/numbered-2024-06-28.csv", orders("W2,2024-06-30,C1,P1,4,,Card,1"))
        shop.deliver("storefront/orders/unnumbered-2024-06-29.csv", unnumbered)
        assert load_days(shop) == [(june(30), june(30))]
        assert sales(shop, "W%") == [
            ("W1", 1, june(30), "P1", 3, "10.0000", "30.00"),
            ("W2", 1, june(30), "P1", 5, "10.0000", "50.00"),
        ]
        assert shop.checks("unique_key")[june(30)]

    def test_silver_knows_the_first_and_the_winning_drop(self, shop: Shop) -> None:
        for day, units in ((28, 1), (29, 2), (30, 3)):
            content = orders(f"H1,2024-06-29,C1,P1,{units},,Card,")
            shop.deliver(f"storefront/orders/history-2024-06-{day}.csv", content, at=f"2024-06-{day}T12:00:00")
        assert load_days(shop) == [(june(29), june(29))]
        rows = shop.rows("""
            SELECT quantity, timezone('UTC', created_at), timezone('UTC', updated_at) FROM silver.storefront_orders
            WHERE order_id = 'H1'
        """)
        assert rows == [(3, dt.datetime(2024, 6, 28, 12), dt.datetime(2024, 6, 30, 12))]  # noqa: DTZ001 - UTC


class TestRewrites:
    def test_a_slightly_shorter_rewrite_replaces_and_a_much_shorter_one_is_held(self, shop: Shop) -> None:
        path = "storefront/orders/shrink.csv"
        four = [f"S{number},2024-06-10,C1,P1,{number},,Card," for number in range(1, 5)]
        shop.deliver(path, orders(*four), at="2024-07-02T06:00:00")
        assert load_days(shop) == [(june(10), june(10))]
        assert [line[0] for line in sales(shop, "S%")] == ["S1", "S2", "S3", "S4"]

        shop.deliver(path, orders(*four[:3]), at="2024-07-03T06:00:00")
        assert load_days(shop) == []
        assert [line[0] for line in sales(shop, "S%")] == ["S1", "S2", "S3", "S4"]
        (held,) = shop.platform.ledger.drops(path=path, statuses=("held",))
        assert held.message == (
            f"the new content lacks 1 of the 4 keys that {path} gave before. If that is meant, run: "
            f"retail drops accept {held.drop_id}. If not, deliver the whole file again."
        )

        accept(shop.platform.lanes["storefront"], held.drop_id)
        assert load_days(shop) == [(june(10), june(10))]
        assert [line[0] for line in sales(shop, "S%")] == ["S1", "S2", "S3"]
        assert book(shop, june(10)) == fates(4, 4, 0, 0)

    def test_a_rewrite_with_other_days_empties_the_old_ones(self, shop: Shop) -> None:
        content = orders("Y1,2024-06-13,C1,P1,1,,Card,", "Y2,2024-06-13,C1,P1,2,,Card,")
        shop.deliver("storefront/orders/away.csv", content, at="2024-07-02T06:00:00")
        assert load_days(shop) == [(june(12), june(13))]
        assert [line[:3] for line in sales(shop, "Y%")] == [("Y1", 1, june(13)), ("Y2", 1, june(13))]
        assert book(shop, june(12)) == fates(1, 1, 0, 0)
        assert shop.checks("rows_match_files")[june(12)]

    def test_content_that_comes_back_counts_again(self, shop: Shop) -> None:
        path = "storefront/orders/back.csv"
        shop.deliver(path, orders("F1,2024-06-15,C1,P1,2,,Card,"), at="2024-07-02T06:00:00")
        load_days(shop)
        assert sales(shop, "F%") == [("F1", 1, june(15), "P1", 2, "10.0000", "20.00")]
        shop.deliver(path, OPENING[path], at="2024-07-03T06:00:00")
        assert load_days(shop) == [(june(15), june(15))]
        assert sales(shop, "F%") == [("F1", 1, june(15), "P1", 1, "10.0000", "10.00")]
        assert [drop.status for drop in shop.platform.ledger.drops(path=path)] == ["loaded", "replaced"]

    def test_a_key_that_a_rewrite_gives_up_falls_back_to_the_file_before(self, shop: Shop) -> None:
        others = [f"E{number},2024-06-20,C1,P1,1,,Card," for number in range(2, 7)]
        shop.deliver("storefront/orders/early-2024-06-25.csv", orders("E1,2024-06-20,C1,P1,1,,Card,"))
        shop.deliver("storefront/orders/late-2024-06-26.csv", orders("E1,2024-06-21,C1,P1,5,,Card,", *others))
        load_days(shop)
        assert sales(shop, "E1") == [("E1", 1, june(21), "P1", 5, "10.0000", "50.00")]
        shop.deliver("storefront/orders/late-2024-06-26.csv", orders(*others), at="2024-07-02T06:00:00")
        assert load_days(shop) == [(june(20), june(21))]
        assert sales(shop, "E1") == [("E1", 1, june(20), "P1", 1, "10.0000", "10.00")]

    def test_touching_a_file_changes_nothing(self, shop: Shop) -> None:
        path = "storefront/orders/repeat-2024-06-10.csv"
        shop.deliver(path, OPENING[path], at="2024-07-05T06:00:00")
        assert load_days(shop) == []

    def test_a_deleted_file_takes_nothing_away(self, shop: Shop) -> None:
        (shop.settings.landing_dir / "storefront/orders/gone.csv").unlink()
        assert load_days(shop) == []
        shop.platform.ledger.make_dirty("storefront", [june(17)], reason="asked for by hand")
        assert load_days(shop) == [(june(17), june(17))]
        assert sales(shop, "G%") == [("G1", 1, june(17), "P1", 1, "10.0000", "10.00")]
        assert book(shop, june(17)) == fates(2, 2, 0, 0)
        assert shop.checks("rows_match_files")[june(17)]


class TestPriceLists:
    def test_orders_wait_in_quarantine_for_their_price(self, shop: Shop) -> None:
        assert set_aside(shop, '"N1"') == [(june(21), ["unit_price_unreadable"])]
        shop.deliver("storefront/products/new-2024-06-20.csv", products("NEW,Novelty,Toys,2.50"))
        assert load_days(shop) == [(june(20), june(21))]
        assert set_aside(shop, '"N1"') == []
        assert sales(shop, "N1") == [("N1", 1, june(21), "NEW", 1, "2.5000", "2.50")]

    def test_a_later_list_changes_orders_from_its_date_on(self, shop: Shop) -> None:
        shop.deliver("storefront/products/lamps-2024-06-24.csv", products("L1,Lamp,Light,12.00", "L2,Lamp,Light,20.00"))
        assert load_days(shop) == [(june(24), june(24))]
        assert sales(shop, "L%") == [
            ("L1", 1, june(22), "L1", 1, "10.0000", "10.00"),
            ("L2", 1, june(22), "L2", 1, "20.0000", "20.00"),
            ("L3", 1, june(24), "L1", 1, "12.0000", "12.00"),
        ]
        rows = shop.rows("""
            SELECT product_id, list_price::VARCHAR, valid_from, valid_to, is_current FROM gold.dim_product
            WHERE product_id IN ('L1', 'L2') ORDER BY ALL
        """)
        assert rows == [
            ("L1", "10.0000", dt.date(1900, 1, 1), june(23), False),
            ("L1", "12.0000", june(24), dt.date(9999, 12, 31), True),
            ("L2", "20.0000", dt.date(1900, 1, 1), dt.date(9999, 12, 31), True),
        ]

    def test_an_older_list_that_comes_late_changes_the_days_before_the_next(self, shop: Shop) -> None:
        assert [line[5] for line in sales(shop, "Q%")] == ["30.0000", "30.0000"]
        shop.deliver("storefront/products/late-2024-06-22.csv", products("Q1,Quilt,Home,25.00"))
        assert load_days(shop) == [(june(22), june(23))]
        assert sales(shop, "Q%") == [
            ("Q1", 1, june(23), "Q1", 1, "25.0000", "25.00"),
            ("Q2", 1, june(26), "Q1", 1, "30.0000", "30.00"),
        ]


class TestMembers:
    def test_an_overwritten_file_adds_a_version_and_the_same_day_replaces_it(self, shop: Shop) -> None:
        path = "storefront/customers/members.csv"
        versions = """
            SELECT city, valid_from, valid_to, is_current FROM gold.dim_customer WHERE customer_id = 'Z1' ORDER BY ALL
        """
        line = "Z1,Zoe Day,zoe@example.com,{},USA,2024-01-01"
        shop.deliver(path, customers(line.format("Austin,TX")), at="2024-06-20T10:00:00")
        assert load_days(shop) == [(june(20), june(20))]
        first, last = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
        assert shop.rows(versions) == [("Austin", june(20), last, True), ("Boston", first, june(19), False)]
        shop.deliver(path, customers(line.format("Reno,NV")), at="2024-06-20T15:00:00")
        assert load_days(shop) == [(june(20), june(20))]
        assert shop.rows(versions) == [("Boston", first, june(19), False), ("Reno", june(20), last, True)]
        current = "SELECT city, region FROM gold.dim_customer_current WHERE customer_id = 'Z1'"
        assert shop.rows(current) == [("Reno", "West")]


class TestDays:
    def test_dates_out_of_bounds_are_filed_under_the_drop_date(self, shop: Shop) -> None:
        assert [line[:3] for line in sales(shop, "X%")] == [("X2", 1, june(28))]
        assert [set_aside(shop, f'"{order}"') for order in ("X1", "X3", "X4")] == [
            [(june(27), ["order_date_before_start"])],
            [(june(27), ["order_date_in_future"])],
            [(june(27), ["order_date_in_future"])],
        ]

    def test_the_nearest_dated_folder_gives_the_drop_date(self, shop: Shop) -> None:
        paths = ("storefront/orders/2024-06-14/shop-7/lines.csv", "storefront/orders/20240614/lines.csv")
        drops = [shop.platform.ledger.drops(path=path)[0] for path in paths]
        assert [drop.drop_date for drop in drops] == [june(14), june(14)]
        assert sales(shop, "D%") == [("D1", 1, june(13), "P1", 1, "10.0000", "10.00")]
        assert [set_aside(shop, f'"{order}"') for order in ("D2", "D3")] == [
            [(june(14), ["order_date_unreadable"])],
            [(june(14), ["order_date_unreadable"])],
        ]

    def test_today_counts_and_tomorrow_waits(self, shop: Shop) -> None:
        now = dt.datetime.now(dt.UTC)
        today, tomorrow = now.date(), now.date() + dt.timedelta(days=1)
        content = orders(f"T1,{today},C1,P1,1,,Card,", f"T2,{tomorrow},C1,P1,1,,Card,")
        shop.deliver("storefront/orders/now.csv", content, at=now.replace(tzinfo=None).isoformat())
        assert load_days(shop) == [(today, today)]
        assert sales(shop, "T%") == [("T1", 1, today, "P1", 1, "10.0000", "10.00")]
        assert shop.platform.ledger.dirty_days("storefront") == [tomorrow]
        (drop,) = shop.platform.ledger.drops(path="storefront/orders/now.csv")
        assert (drop.status, drop.rows) == ("pending", 2)
        assert load_days(shop) == []


class TestInvoices:
    def invoices(self, shop: Shop, *numbers: str) -> Lines:
        return shop.rows(f"""
            SELECT order_id, line_number, product_id, customer_id, quantity, total_amount::VARCHAR, status
            FROM gold.fact_sales WHERE source_system = 'online_retail' AND order_id IN {(*numbers, "")} ORDER BY ALL
        """)

    def test_identical_lines_are_separate_and_codes_are_cleaned(self, shop: Shop) -> None:
        assert self.invoices(shop, "536366", "C536379", "A563185") == [
            ("536366", 1, "84406B", None, 8, "0.01", "Completed"),
            ("A563185", 1, "B", None, 1, "11062.06", "Cancelled"),
            ("C536379", 1, "84406B", "14527", -1, "-27.50", "Cancelled"),
        ]
        instants = "SELECT DISTINCT ordered_at::TIMESTAMP FROM gold.fact_sales WHERE order_id = '536366'"
        assert shop.rows(instants) == [(dt.datetime(2010, 12, 1, 8, 30),)]  # noqa: DTZ001 - DuckDB gives UTC as naive

    def test_a_delivered_again_invoice_replaces_the_whole_one(self, shop: Shop) -> None:
        lantern = ("71053", "17850", 6, "20.34", "Completed")
        assert self.invoices(shop, "536365") == [
            ("536365", 1, "85123A", "17850", 6, "15.30", "Completed"),
            ("536365", 2, *lantern),
            ("536365", 3, *lantern),
        ]
        content = invoices("536365,71053,LANTERN,5,2010-12-01 08:26:00,3.39,17850.0,United Kingdom")
        shop.deliver("online_retail/invoices/2010-12-02.csv", content)
        report = shop.load("online_retail")
        assert report.ranges == {"online_retail": [(dt.date(2010, 12, 1), dt.date(2010, 12, 1))]}
        assert self.invoices(shop, "536365") == [("536365", 1, "71053", "17850", 5, "16.95", "Completed")]

    def test_the_most_frequent_description_of_all_days_names_a_product(self, shop: Shop) -> None:
        name = "SELECT product_name, category, is_inferred FROM gold.dim_product WHERE product_id = '{}'"
        content = invoices(
            "537001,T1,BLUE MUG,1,2010-12-05 10:00:00,1,1.0,France",
            "537002,T1,blue mug?,1,2010-12-06 10:00:00,1,1.0,France",
            "537003,T1,BLUE MUG,1,2010-12-07 10:00:00,1,1.0,France",
            "537004,T1,check,1,2010-12-08 10:00:00,1,1.0,France",
            "537004,T1,,1,2010-12-08 10:00:00,1,1.0,France",
            "537004,t1,,1,2010-12-08 10:00:00,1,1.0,France",
            "537004,T1,,1,2010-12-08 10:00:00,1,1.0,France",
            "537005,POST,POSTAGE,1,2010-12-08 10:00:00,18,1.0,France",
        )
        shop.deliver("online_retail/invoices/2010-12-08.csv", content)
        assert shop.load("online_retail").errors == []
        assert shop.rows(name.format("T1")) == [("BLUE MUG", None, False)]
        assert shop.rows(name.format("POST")) == [("POSTAGE", "Non-product", False)]
        content = invoices(*(f"53800{n},T1,RED MUG,1,2010-12-09 10:00:00,1,1.0,Spain" for n in range(3)))
        shop.deliver("online_retail/invoices/2010-12-09.csv", content)
        assert shop.load("online_retail").errors == []
        assert shop.rows(name.format("T1")) == [("RED MUG", None, False)]
        customer = "SELECT country, is_current FROM gold.dim_customer WHERE source_system = 'online_retail'"
        assert shop.rows(f"{customer} AND customer_id = '1'") == [("Spain", True)]


class TestDeclaredOtherwise:
    def test_an_appended_file_keeps_what_it_gave_before(self, tmp_path: Path) -> None:
        with Shop(
            tmp_path / "data", sources=("storefront",), feeds={"storefront/orders": {"on_rewrite": "append"}}
        ) as shop:
            shop.deliver("storefront/products/products-2024-05-31.csv", scenario.PRODUCTS)
            path = "storefront/orders/tonight.csv"
            content = orders("O1,2024-06-01,C1,P1,1,,Card,", "O2,2024-06-01,C1,P1,2,,Card,")
            shop.deliver(path, content, at="2024-06-01T22:00:00")
            shop.load()
            content = orders("O2,2024-06-01,C1,P1,5,,Card,", "O3,2024-06-02,C1,P1,3,,Card,")
            shop.deliver(path, content, at="2024-06-02T22:00:00")
            report = shop.load()
            assert report.ranges == {"storefront": [(june(1), june(2))]}
            assert [(line[0], line[4]) for line in sales(shop, "%")] == [("O1", 1), ("O2", 5), ("O3", 3)]
            assert book(shop, june(1)) == fates(3, 2, 0, 1)
            assert [drop.status for drop in shop.platform.ledger.drops(path=path)] == ["loaded", "loaded"]
            assert set(shop.checks("rows_match_files").values()) == {True}

    def test_a_member_missing_from_a_later_snapshot_is_inactive_from_then_on(self, tmp_path: Path) -> None:
        with Shop(
            tmp_path / "data", sources=("storefront",), feeds={"storefront/products": {"delivery": "snapshot"}}
        ) as shop:
            lines = {"P1": "P1,Lamp,Home,10.00", "P2": "P2,Desk,Home,20.00"}
            for day, present in ((1, "P1 P2"), (3, "P1"), (5, "P1 P2")):
                content = products(*(lines[name] for name in present.split()))
                shop.deliver(f"storefront/products/2024-06-0{day}.csv", content)
            shop.load()
            rows = shop.rows("""
                SELECT product_id, valid_from, valid_to, is_active, is_current FROM gold.dim_product ORDER BY ALL
            """)
            first, last = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
            assert rows == [
                ("P1", first, last, True, True),
                ("P2", first, june(2), True, False),
                ("P2", june(3), june(4), False, False),
                ("P2", june(5), last, True, True),
            ]


STOREFRONT_FILES = scenario.FILES | scenario.LATER_FILES
ALL_FILES = STOREFRONT_FILES | scenario.INVOICE_FILES

STRUCTURAL = ("books_balance", "rows_match_files", "one_day_per_key", "unique_key", "contract")
"""Checks that pass whatever is delivered."""


def tables_after(folder: Path, portions: Sequence[Mapping[str, str]], **settings: Any) -> Mapping[str, pl.DataFrame]:
    """The tables after each portion was loaded by itself."""
    with Shop(folder / "data", **settings) as shop:
        for portion in portions:
            for path, content in portion.items():
                shop.deliver(path, content)
            assert shop.load().errors == []
        assert shop.load(snapshots=True).snapshot_runs == 1
        failed = shop.rows(f"""
            SELECT asset, check_name, partition FROM ops.check_results WHERE check_name IN {STRUCTURAL}
            GROUP BY ALL HAVING NOT arg_max(passed, checked_at)
        """)
        assert failed == []
        return shop.tables()


def shuffled(files: Mapping[str, str], seed: int) -> list[dict[str, str]]:
    """The files in random order, cut into two to four portions."""
    chance = random.Random(seed)
    paths = chance.sample(list(files), len(files))
    cuts = [0, *sorted(chance.sample(range(1, len(paths)), chance.randint(1, 3))), len(paths)]
    return [{path: files[path] for path in paths[start:end]} for start, end in itertools.pairwise(cuts)]


def assert_same_tables(found: Mapping[str, pl.DataFrame], expected: Mapping[str, pl.DataFrame]) -> None:
    assert list(found) == list(expected)
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.DataFrame]:
    """The tables when the storefront's files come all at once."""
    return tables_after(tmp_path_factory.mktemp("at_once"), [STOREFRONT_FILES], sources=("storefront",))


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.DataFrame]:
    """The tables when both sources' files come all at once."""
    return tables_after(tmp_path_factory.mktemp("all_at_once"), [ALL_FILES])


class TestAnyOrder:
    """The main promise: any order of arrival gives the same silver, gold and marts."""

    def test_the_corrected_facts(self, at_once: Mapping[str, pl.DataFrame]) -> None:
        facts = at_once["gold.fact_sales"].select(
            "order_id", "line_number", "order_date", "quantity", pl.col("unit_price").cast(pl.String), "status"
        )
        assert facts.sort("order_date", "order_id", "line_number").rows() == [
            ("O1", 1, june(1), 5, "10.0000", "Completed"),
            ("O1", 2, june(1), 1, "99.9900", "Completed"),
            ("O2", 1, june(1), 3, "0.3350", "Returned"),
            ("O3", 1, june(1), 1, "10.0000", "Cancelled"),
            ("O4", 1, june(1), 4, "10.0000", "Completed"),
            ("O11", 1, june(2), 1, "12.0000", "Completed"),
            ("O5", 1, june(2), 1, "99.9900", "Completed"),
            ("O6", 1, june(2), -2, "12.0000", "Returned"),
            ("O7", 1, june(3), 1, "45.5000", "Completed"),
            ("O9", 1, june(3), 2, "12.0000", "Completed"),
        ]

    def test_files_one_by_one_in_reverse(self, tmp_path: Path, at_once: Mapping[str, pl.DataFrame]) -> None:
        one_by_one = [{path: content} for path, content in reversed(STOREFRONT_FILES.items())]
        assert_same_tables(tables_after(tmp_path, one_by_one, sources=("storefront",)), at_once)

    @pytest.mark.parametrize("seed", [1])
    def test_portions_in_random_order(self, tmp_path: Path, seed: int, at_once: Mapping[str, pl.DataFrame]) -> None:
        tables = tables_after(tmp_path, shuffled(STOREFRONT_FILES, seed), sources=("storefront",))
        assert_same_tables(tables, at_once)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(100, 106))
    def test_all_files_in_many_orders(self, tmp_path: Path, seed: int, all_at_once: Mapping[str, pl.DataFrame]) -> None:
        tables = tables_after(tmp_path, shuffled(ALL_FILES, seed), run_gap_days=seed % 2 * 31)
        assert_same_tables(tables, all_at_once)
