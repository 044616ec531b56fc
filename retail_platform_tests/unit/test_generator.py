"""A generated shop behaves like a shop, is the same for the same plan, and knows what is wrong with its files."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal
from rich.console import Console

from retail_platform.commands.console import UserError
from retail_platform.commands.generate import generate
from retail_platform.contracts.silver import ENTITIES
from retail_platform.generator import words
from retail_platform.generator.dirt import KINDS, Kind, deliver
from retail_platform.generator.feeds import FEEDS, money
from retail_platform.generator.file_dirt import FILE_KINDS
from retail_platform.generator.plan import ShopPlan
from retail_platform.generator.rhythm import busyness
from retail_platform.generator.shop import GeneratedShop, make_shop
from retail_platform.generator.truth import truth_of
from retail_platform.generator.writing import file_names, write_shop
from retail_platform.landing.csv_file import read_csv
from retail_platform.source_catalog import load_sources

PLAN = ShopPlan(start=date(2024, 5, 20), days=40, orders_per_day=30, seed=3, dirt=0.3)


@pytest.fixture(scope="module")
def generated() -> GeneratedShop:
    return make_shop(PLAN)


@pytest.fixture(scope="module")
def lines(generated: GeneratedShop) -> pl.DataFrame:
    return generated.true["orders"]


@pytest.fixture(scope="module")
def folder(generated: GeneratedShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's files."""
    folder = tmp_path_factory.mktemp("files")
    write_shop(generated, folder)
    return folder


def june(day: int) -> date:
    return date(2024, 6, day)


class TestShop:
    """What is true of the shop, whatever is delivered."""

    def test_a_december_saturday_is_busier_than_a_february_tuesday_and_the_average_is_as_asked(self) -> None:
        busy = busyness(ShopPlan(start=date(2024, 1, 1), days=366))
        day = {"2024-12-14": 348, "2024-02-13": 43}
        assert busy[day["2024-12-14"]] > 2 * busy[day["2024-02-13"]]
        assert busy.mean() == pytest.approx(1)

    def test_an_order_is_one_visit_with_numbered_lines(self, lines: pl.DataFrame) -> None:
        sales = lines.filter(~pl.col("order_id").str.ends_with("-R"))
        orders = sales.group_by("order_id").agg(
            pl.col("order_date", "customer_id", "status", "payment_method").n_unique().name.suffix("s"),
            is_numbered=(pl.col("line_number").sort() == pl.int_range(1, pl.len() + 1)).all(),
            lines=pl.len(),
        )
        assert orders.drop("order_id", "lines").unique().rows() == [(1, 1, 1, 1, True)]
        assert set(orders["lines"]) == {1, 2, 3, 4, 5, 6}
        assert orders.height == pytest.approx(PLAN.days * PLAN.orders_per_day, rel=0.1)

    def test_few_products_and_customers_make_most_of_the_sales(self, lines: pl.DataFrame) -> None:
        for member in ("product_id", "customer_id"):
            counts = lines[member].value_counts(sort=True)["count"].to_list()
            assert sum(counts[: len(counts) // 4]) > 0.4 * sum(counts)

    def test_each_line_has_the_price_that_the_list_gives_for_its_day(self, generated: GeneratedShop) -> None:
        lines = generated.true["orders"].sort("order_date")
        prices = generated.true["products"].rename({"cents": "listed"})
        priced = lines.join_asof(
            prices, left_on="order_date", right_on="drop_date", by="product_id", check_sortedness=False
        )
        assert_series_equal(priced["listed"], lines["cents"], check_names=False)
        assert set(lines["cents"] % 100) == {49, 99}
        assert prices["product_id"].is_duplicated().any()

    def test_customers_order_from_the_day_they_sign_up(self, generated: GeneratedShop, lines: pl.DataFrame) -> None:
        people = generated.true["customers"]
        joined = lines.join(people.unique("customer_id"), on="customer_id", how="left")
        assert (joined["signup_date"] <= joined["order_date"]).all()
        first_told = people.group_by("customer_id").agg(pl.col("drop_date").min(), pl.col("signup_date").first())
        told = pl.max_horizontal("signup_date", pl.lit(PLAN.start))
        assert first_told.filter(pl.col("drop_date") != told).is_empty()

    def test_customers_move_or_change_their_address_but_not_their_name(self) -> None:
        people = make_shop(replace(PLAN, days=200)).true["customers"]
        states = people.group_by("customer_id").agg(pl.col("full_name", "signup_date", "city", "email").n_unique())
        assert states.select("full_name", "signup_date").unique().rows() == [(1, 1)]
        assert (states["city"] > 1).any()
        assert (states["email"] > 1).any()

    def test_refunds_give_back_lines_of_completed_orders_days_later(self, lines: pl.DataFrame) -> None:
        refunds = lines.filter(pl.col("order_id").str.ends_with("-R"))
        sold = lines.with_columns(pl.col("order_id") + "-R")
        both = refunds.join(
            sold, on=["order_id", "line_number", "customer_id", "product_id"], how="left", suffix="_sold"
        )
        days = (both["order_date"] - both["order_date_sold"]).dt.total_days()
        assert (days.min(), days.max()) == (2, 21)
        assert both.filter(
            (pl.col("quantity") != -pl.col("quantity_sold"))
            | (pl.col("status_sold") != "Completed")
            | (pl.col("status") != "Returned")
        ).is_empty()
        assert set(lines["status"]) == {"Completed", "Cancelled", "Returned", "Open"}
        long_ago = pl.col("order_date") <= PLAN.last - timedelta(days=3)
        assert lines.filter(long_ago, pl.col("status") == "Open").is_empty()

    def test_what_is_paid_is_what_the_lines_come_to(self, generated: GeneratedShop, lines: pl.DataFrame) -> None:
        payments = generated.true["payments"]
        owed = (
            lines.filter(pl.col("status") != "Cancelled")
            .group_by("order_id")
            .agg((pl.col("quantity") * pl.col("cents")).sum().alias("cents"), pl.col("payment_method").first())
        )
        due = owed.filter(pl.col("payment_method") != "Bank Transfer")
        paid = payments.filter(pl.col("payment_method") != "Bank Transfer")
        assert_frame_equal(
            paid.select("order_id", "cents").sort("order_id"), due.select("order_id", "cents").sort("order_id")
        )
        transfers = payments.filter(pl.col("payment_method") == "Bank Transfer")
        assert transfers.join(owed, on=["order_id", "cents"], how="anti").is_empty()

    def test_no_order_at_all_is_a_shop_too(self) -> None:
        quiet = next(
            shop
            for seed in range(20)
            if (shop := make_shop(ShopPlan(start=june(1), days=1, orders_per_day=1, seed=seed)))
            .true["orders"]
            .is_empty()
        )
        assert truth_of(quiet)["orders"].silver.is_empty()

    def test_words_fit_into_every_file(self) -> None:
        people = [*words.FIRST_NAMES, *words.LAST_NAMES, *(city for city, _, _ in words.CITIES)]
        products = [word for one in words.CATEGORIES for word in (one.name, *one.styles, *one.nouns)]
        for word in (*people, *products):
            assert word.encode("cp1252")
        assert len(set(words.FIRST_NAMES)) == len(words.FIRST_NAMES)
        assert len(set(words.LAST_NAMES)) == len(words.LAST_NAMES)


class TestDirt:
    """What is wrong with deliveries."""

    def rows(self) -> pl.DataFrame:
        return pl.DataFrame(
            {"name": ["a", "b"], "_row": [0, 1], "_own_date": [june(1), june(2)], "_drop_date": [june(1), june(2)]}
        )

    def delivered(self, kind: Kind) -> list[tuple[object, ...]]:
        plan = ShopPlan(start=june(1), days=2, dirt=1.0)
        rows = deliver(self.rows(), [kind], plan, np.random.default_rng(1))
        return rows.select("name", "_own_date", "_drop_date", "_kind", "_again").rows()

    def test_late_rows_come_with_a_later_file_and_those_of_the_last_day_cannot(self) -> None:
        late = Kind(name="late", share=1, befalls=pl.col("_later") > pl.col("_drop_date"), is_late=True)
        assert self.delivered(late) == [
            ("a", june(1), june(2), "late", False),
            ("b", june(2), june(2), None, False),
        ]

    def test_a_wrong_row_is_put_right_by_a_later_delivery(self) -> None:
        wrong = Kind(name="wrong", share=1, spoils={"name": pl.lit("?")}, again="always")
        assert self.delivered(wrong) == [
            ("?", june(1), june(1), "wrong", False),
            ("?", june(2), june(2), "wrong", False),
            ("a", june(1), june(2), None, True),
            ("b", june(2), june(2), None, True),
        ]

    def test_every_kind_is_told_apart_and_breaks_a_rule_that_there_is(self) -> None:
        for feed, kinds in KINDS.items():
            rules = {rule.name for rule in ENTITIES[feed].rules if rule.outcome == "quarantine"}
            assert {kind.breaks for kind in kinds if kind.breaks} <= rules
            assert sum(kind.share for kind in kinds) == pytest.approx(1)
            assert len({kind.name for kind in kinds}) == len(kinds)

    def test_a_dirty_shop_has_dirt_of_every_kind(self, generated: GeneratedShop) -> None:
        rows = {(f"{feed} rows", kind.name) for feed, kinds in KINDS.items() for kind in kinds}
        files = {("files", kind.name) for kind in FILE_KINDS}
        assert {(where, what) for where, what, _ in generated.dirt()} == rows | files

    def test_dirt_is_as_much_as_was_asked_for(self, generated: GeneratedShop) -> None:
        rows = sum(count for where, _, count in generated.dirt() if where == "orders rows")
        assert rows / generated.true["orders"].height == pytest.approx(PLAN.dirt, rel=0.15)

    def test_without_dirt_the_shop_is_the_same_and_delivered_as_it_is(self, generated: GeneratedShop) -> None:
        clean = make_shop(replace(PLAN, dirt=0))
        for feed, true in generated.true.items():
            assert_frame_equal(clean.true[feed], true)
            texts = FEEDS[feed].texts(true).sort("_drop_date", "_row")
            assert_frame_equal(clean.delivered[feed].drop("_kind", "_again"), texts)
        assert list(clean.dirt()) == []
        assert {(truth.quarantined.height, truth.superseded) for truth in truth_of(clean).values()} == {(0, 0)}


class TestFiles:
    """What stands in landing."""

    def test_the_same_plan_gives_the_same_bytes_and_dates(self, folder: Path, tmp_path: Path) -> None:
        write_shop(make_shop(replace(PLAN)), tmp_path)
        assert contents(tmp_path) == contents(folder)

    def test_another_seed_gives_another_shop(self, folder: Path, tmp_path: Path) -> None:
        write_shop(make_shop(replace(PLAN, seed=4)), tmp_path)
        same = "orders/orders_2024-05-20.csv"
        assert contents(tmp_path)[same] != contents(folder)[same]

    def test_files_are_those_that_were_announced(self, generated: GeneratedShop, folder: Path) -> None:
        announced = {name.as_posix() for name in file_names(generated)}
        assert announced == {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        assert all(re.fullmatch(r"(\w+)/\1_2024-0[56]-\d\d(_again)?\.csv", name) for name in announced)

    def test_a_file_is_there_in_the_morning_after_its_day(self, folder: Path) -> None:
        found = datetime.fromtimestamp((folder / "orders/orders_2024-05-31.csv").stat().st_mtime, UTC)
        assert found == datetime(2024, 6, 1, 2, 10, tzinfo=UTC)

    def test_todays_files_are_not_of_tomorrow(self, tmp_path: Path) -> None:
        write_shop(make_shop(ShopPlan(start=datetime.now(UTC).date(), days=1)), tmp_path)
        assert max(modified for _, modified in contents(tmp_path).values()) <= datetime.now(UTC).timestamp()

    def test_headers_are_what_the_bundled_source_declares(self, folder: Path) -> None:
        feeds = load_sources(("storefront",))["storefront"].feeds
        for feed, spec in feeds.items():
            for file in (folder / feed).iterdir():
                header = read_csv(file.read_bytes(), expected=spec.all_columns).header
                assert header == tuple(FEEDS[feed].columns)
                assert sorted(header) == sorted(spec.all_columns)

    def test_odd_files_are_odd_as_they_say(self, generated: GeneratedShop, folder: Path) -> None:
        found = set()
        for (feed, day), kind in generated.odd_files.items():
            content = (folder / feed / f"{feed}_{day}.csv").read_bytes()
            csv = read_csv(content, expected=list(FEEDS[feed].columns))
            found.add((kind.name, csv.encoding, csv.delimiter, csv.line_end))
            again = folder / feed / f"{feed}_{day}_again.csv"
            assert (again.exists() and again.read_bytes() == content) == kind.is_repeated
        assert found == {
            ("cp1252 with semicolons", "cp1252", ";", "LF"),
            ("byte order mark", "utf-8-sig", ",", "LF"),
            ("semicolons", "utf-8", ";", "LF"),
            ("CRLF line ends", "utf-8", ",", "CRLF"),
            ("delivered twice", "utf-8", ",", "LF"),
        }

    def test_masters_are_told_whole_on_the_first_day_and_then_as_they_change(
        self, generated: GeneratedShop, folder: Path
    ) -> None:
        products = generated.true["products"]
        first, *others = products.group_by("drop_date").len().sort("drop_date")["len"].to_list()
        assert first > 10 * max(others)
        quiet = set(pl.date_range(PLAN.start, PLAN.last, eager=True)) - set(products["drop_date"])
        assert quiet
        assert not any((folder / "products" / f"products_{day}.csv").exists() for day in quiet)

    def test_cents_are_written_as_money(self) -> None:
        texts = pl.select(money(pl.lit(pl.Series([0, 5, 1999, -5, -123450])))).to_series()
        assert texts.to_list() == ["0.00", "0.05", "19.99", "-0.05", "-1234.50"]


class TestCommand:
    """`retail generate`."""

    def told(self, folder: Path, **asked: object) -> str:
        told = Console(file=StringIO(), width=200)
        usual = {"days": 3, "orders_per_day": 5, "start": None, "seed": 1, "dirt": 0.1, "folder": folder}
        generate(told, **(usual | asked))  # pyrefly: ignore[bad-argument-type]
        assert isinstance(told.file, StringIO)
        return told.file.getvalue()

    def test_it_says_what_there_is_and_what_is_wrong_with_it(self, tmp_path: Path) -> None:
        told = self.told(tmp_path, start=june(1), days=5)
        assert told.splitlines()[0] == f"{len(contents(tmp_path))} files in {tmp_path}, of 2024-06-01 to 2024-06-05"
        assert re.search(r"^order lines +payments +customers +products$", told, flags=re.MULTILINE)
        assert re.search(r"^files +byte order mark +1$", told, flags=re.MULTILINE)

    def test_the_last_day_is_yesterday_unless_said(self, tmp_path: Path) -> None:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        assert f"to {yesterday}" in self.told(tmp_path)
        assert (tmp_path / "orders" / f"orders_{yesterday}.csv").exists()

    def test_the_same_shop_again_changes_nothing_and_another_is_refused(self, tmp_path: Path) -> None:
        self.told(tmp_path, start=june(1))
        before = contents(tmp_path)
        self.told(tmp_path, start=june(1))
        assert contents(tmp_path) == before
        with pytest.raises(UserError, match=r"holds \d files that are not this shop's, such as customers/customers_"):
            self.told(tmp_path, start=june(3))
        assert contents(tmp_path) == before

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({"days": 0}, "--days is 0: a shop is open for at least one."),
            ({"days": 10**6, "orders_per_day": 1}, "--days is 1,000,000: there were not that many."),
            ({"orders_per_day": 0}, "--orders-per-day is 0: a shop has at least one."),
            ({"days": 3650, "orders_per_day": 10**4}, "3,650 days of 10,000 orders are more than 5,000,000 orders"),
            ({"seed": -1}, "--seed is -1: it is a number from 0."),
            ({"dirt": 0.51}, "--dirt is 0.51: it is the share of rows that are dirty, from 0 to 0.5."),
            ({"dirt": float("nan")}, "--dirt is nan"),
            ({"start": date(2002, 12, 31)}, "before the platform's first day, 2003-01-01"),
            ({"start": date.max - timedelta(days=1)}, "3 days from 9999-12-30 lead beyond today"),
        ],
    )
    def test_nonsense_is_refused_in_a_sentence(self, tmp_path: Path, asked: dict[str, object], says: str) -> None:
        with pytest.raises(UserError, match=re.escape(says)):
            self.told(tmp_path, **asked)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_made_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        with pytest.raises(UserError, match="cannot be written to: Not a directory"):
            self.told(tmp_path / "file")

    def test_it_waits_for_no_heavy_library(self) -> None:
        script = "import retail_platform.commands.generate, sys, json; print(json.dumps(list(sys.modules)))"
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        loaded = {name.split(".")[0] for name in json.loads(told.stdout)}
        assert {"dagster", "pandera", "pandas", "duckdb"} & loaded == set()


def contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Every file of a folder, with its date."""
    return {
        file.relative_to(folder).as_posix(): (file.read_bytes(), file.stat().st_mtime)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
