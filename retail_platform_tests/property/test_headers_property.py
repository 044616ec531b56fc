"""Lines, payments, headers and customers in any order of arrival, by runs that overlap: always the same tables."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.components.lane_checks import keep_books
from retail_platform.lake.parquet import each_day
from retail_platform.landing.bronze import bronze_batches
from retail_platform.landing.drops import scan
from retail_platform.landing.planning import Days, to_ranges
from retail_platform.landing.refining import derive_days, refine_days
from retail_platform.platform import QUARANTINE_SUFFIX, Platform
from retail_platform.source_spec import SourceSpec
from retail_platform_tests.scenario import (
    LATER_MARKET_FILES,
    MARKET_FILES,
    market_items,
    market_orders,
    market_payments,
)
from retail_platform_tests.shop import TECHNICAL, Shop

FILES = MARKET_FILES | LATER_MARKET_FILES
SOURCE = "olist"

Step = Callable[[], None]


@dataclass(frozen=True)
class Run:
    """A run over a range of days, as a sensor asks for it: its steps in order, bronze first, then silver."""

    days: Days
    ticket: int
    steps: list[Step]


class Lanes:
    """The lane of a shop without Dagster: a step is what one asset does, and steps of several runs may alternate."""

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self.shop = shop
        self.chance = chance
        self.lane = shop.platform.lanes[SOURCE]
        self.entities = entities_of(shop)

    def run_for(self, days: Days) -> Run:
        """A run for these days; its bronze tables, and then its silver ones, come in any order."""
        feeds = [feed for feed in self.lane.spec.feeds if not feed.startswith("product")]
        bronze = [self._bronze(feed, days) for feed in self.chance.sample(feeds, len(feeds))]
        silver = [self._silver(entity, days) for entity in self.chance.sample(self.entities, len(self.entities))]
        return Run(days=days, ticket=self.shop.platform.ledger.last_ticket(), steps=[*bronze, *silver])

    def work_off(self) -> None:
        """Ask for runs until no day waits; all runs of a round are under way at once."""
        ledger = self.shop.platform.ledger
        for _ in range(20):
            dirty = ledger.dirty_days(SOURCE)
            if not dirty:
                return
            runs = [self.run_for(days) for days in to_ranges(dirty, gap=self.chance.choice((0, 0, 1, 31)))]
            waiting = [iter(run.steps) for run in runs]
            turns = [steps for steps, run in zip(waiting, runs, strict=True) for _ in run.steps]
            self.chance.shuffle(turns)
            for steps in turns:
                next(steps)()
            for run in runs:
                ledger.finish(SOURCE, first=run.days[0], last=run.days[1], ticket=run.ticket)
        raise AssertionError(f"days never stop being dirty: {ledger.dirty_marks(SOURCE)}")

    def _bronze(self, feed: str, days: Days) -> Step:
        def step() -> None:
            problems: list[str] = []
            for batch in bronze_batches(self.lane, feed, first=days[0], last=days[1], problems=problems):
                self.lane.bronze(feed).write_files(batch)
            assert problems == []

        return step

    def _silver(self, entity: str, days: Days) -> Step:
        def step() -> None:
            platform, every = self.shop.platform, list(each_day(*days))
            declared = self.lane.spec.entities[entity]
            filed = self.lane.bronze(declared.feed).scan(every)
            if declared.derived:
                members = derive_days(self.lane, entity, filed, every, platform.engine)
                platform.table(["silver", SOURCE, entity]).write_days(members, every)
                return
            refined = refine_days(self.lane, entity, filed, every, platform.engine)
            assert refined.blocked == {}
            platform.table(["silver", SOURCE, entity + QUARANTINE_SUFFIX]).write_days(refined.quarantine, every)
            platform.table(["silver", SOURCE, entity]).write_days(refined.silver, every)
            keep_books(platform, dg.AssetKey(["silver", SOURCE, entity]), every, refined)

        return step


def entities_of(shop: Shop) -> list[str]:
    """The entities that are computed; olist's products have nothing to do with headers."""
    return [name for name in shop.platform.sources[SOURCE].entities if name != "products"]


def tables(shop: Shop) -> Mapping[str, pl.DataFrame]:
    """Silver, quarantine and books; days without rows left out."""
    found = {}
    for entity in entities_of(shop):
        for name in (entity, entity + QUARANTINE_SUFFIX):
            frame = shop.platform.table(["silver", SOURCE, name]).scan().collect()
            found[name] = frame.select(pl.all().exclude(*TECHNICAL)).sort("_source_file", "_row_number")
    kept = [book for book in shop.platform.ledger.books(source=SOURCE) if book.bronze_rows]
    unbalanced = [b for b in kept if b.bronze_rows != b.silver_rows + b.quarantined_rows + b.superseded_rows]
    assert unbalanced == []
    found["books"] = pl.DataFrame([vars(book) for book in kept]).sort("entity", "day")
    return found


def arrive(
    root: Path,
    portions: Sequence[Mapping[str, str]],
    seed: int,
    *,
    line_key: Sequence[str] = ("order_id", "order_item_id"),
    spec: SourceSpec | None = None,
) -> Mapping[str, pl.DataFrame]:
    """The tables after these portions arrived one after the other; `spec` is declared in the place of olist."""
    feeds = {"olist/order_items": {"key": line_key}}
    with Shop(root, feeds=feeds, sources=(SOURCE,), settle_seconds=0, rewrite_hold_share=1) as shop:
        if spec is not None:
            shop.platform = Platform(settings=shop.settings, sources={SOURCE: spec})
        lanes = Lanes(shop, random.Random(seed))
        for hour, portion in enumerate(portions):
            for path, content in portion.items():
                shop.deliver(path, content, at=f"2024-07-01T{hour:02}:00:00")
            scan(lanes.lane)
            lanes.work_off()
        return tables(shop)


def portions(seed: int, files: Mapping[str, str] = FILES) -> Iterator[Mapping[str, str]]:
    """The files in random order, cut into portions."""
    chance = random.Random(seed)
    paths = chance.sample(list(files), len(files))
    while paths:
        some = chance.randint(1, 4)
        yield {path: files[path] for path in paths[:some]}
        paths = paths[some:]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.DataFrame]:
    """The tables when all files come at once."""
    return arrive(tmp_path_factory.mktemp("at_once"), [FILES], 0)


def june(day: int) -> date:
    return date(2024, 6, day)


def test_the_latest_header_dates_the_latest_lines(at_once: Mapping[str, pl.DataFrame]):
    orders = at_once["orders"].select(
        "order_id",
        "line_number",
        "order_date",
        "customer_id",
        pl.col("unit_price").cast(pl.Decimal(18, 2)).cast(pl.String),
        pl.col("freight_amount").cast(pl.String),
        "status",
    )
    assert sorted(orders.rows()) == [
        ("A", 1, june(1), "bob", "12.00", "1.50", "Completed"),
        ("A", 2, june(1), "bob", "20.00", "2.50", "Completed"),
        ("B", 1, june(2), "bob", "10.00", "1.50", "Completed"),
        ("B", 2, june(2), "bob", "3.00", "0.50", "Completed"),
        ("F", 1, june(1), "bob", "2.00", "1.00", "Open"),
        ("G", 1, june(2), "ann", "5.00", "1.00", "Open"),
    ]
    order = pl.col("raw").str.json_path_match("$.order_id")
    line = pl.col("raw").str.json_path_match("$.order_item_id")
    aside = at_once["orders_quarantine"].select(order, line.alias("line"), "partition_date", "reasons")
    assert sorted(aside.rows(), key=str) == [
        ("C", "1", june(2), ["unit_price_unreadable"]),
        ("E", "1", june(3), ["status_unknown"]),
        ("H", "1", june(6), ["header_missing"]),
        ("H", "2", june(4), ["header_missing", "unit_price_unreadable"]),
        (None, "1", june(4), ["order_id_missing", "header_missing"]),
    ]
    payments = at_once["payments"].select("order_id", "payment_number", "payment_date", "installments")
    assert sorted(payments.rows()) == [
        ("A", "1", june(1), 6),
        ("B", "1", june(2), 1),
        ("B", "2", june(2), 1),
        ("C", "1", june(2), 1),
        ("G", "1", june(2), 1),
    ]
    headers = at_once["order_headers"].select("order_id", "order_date", "customer_id", "status")
    assert sorted(headers.rows()) == [
        ("A", june(1), "bob", "Completed"),
        ("B", june(2), "bob", "Completed"),
        ("C", june(2), "ann", "Cancelled"),
        ("D", june(3), "ann", "Completed"),
        ("F", june(1), "bob", "Open"),
        ("G", june(2), "ann", "Open"),
    ]
    totals = at_once["books"].group_by("entity").agg(pl.col("^.*_rows$").sum()).sort("entity")
    assert totals.rows() == [
        ("customers", 5, 4, 0, 1),
        ("order_headers", 12, 6, 1, 5),
        ("orders", 14, 6, 5, 3),
        ("payments", 6, 5, 0, 1),
    ]


def _same(found: Mapping[str, pl.DataFrame], expected: Mapping[str, pl.DataFrame]) -> None:
    assert list(found) == list(expected)
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame)


def test_files_one_by_one_in_reverse(tmp_path: Path, at_once: Mapping[str, pl.DataFrame]):
    _same(arrive(tmp_path, [{path: content} for path, content in reversed(FILES.items())], 1), at_once)


@pytest.mark.parametrize("seed", range(12))
def test_portions_in_any_order_and_runs_that_overlap(tmp_path: Path, seed: int, at_once: Mapping[str, pl.DataFrame]):
    _same(arrive(tmp_path, list(portions(seed)), seed), at_once)


REWRITTEN = {
    # B and E lose all their items, A one; G is no order any more, and A goes back to its first version.
    "olist/order_items/items-2024-06-04.csv": market_items("A 1 P1 10.00 1.50", "C 1 P3 7.77 0.00", "G 1 P1 5.00 1.00"),
    "olist/orders/orders-2024-06-05.csv": market_orders("B K2 delivered 2024-06-03T08:00:00"),
    "olist/order_payments/payments-2024-06-06.csv": market_payments("B 2 voucher 1 4.50"),
}
"""Files that come again under their old names, with other content."""


@pytest.mark.parametrize("seed", range(50, 54))
def test_what_is_rewritten_is_as_if_it_had_come_so_at_first(tmp_path: Path, seed: int):
    expected = arrive(tmp_path / "at_first", [FILES | REWRITTEN], 0)
    chance = random.Random(seed)
    again = [{path: REWRITTEN[path]} for path in chance.sample(list(REWRITTEN), len(REWRITTEN))]
    _same(arrive(tmp_path / "again", [*portions(seed), *again], seed), expected)


MOVING = {
    "olist/orders/orders-2024-06-03.csv": market_orders(
        "A K1 shipped 2024-06-01T10:00:00", "B K1 shipped 2024-06-02T10:00:00"
    ),
    "olist/order_items/first-2024-06-03.csv": market_items(
        "A 7 P1 10.00 0.00", "A 8 P1 11.00 0.00", "A 9 P1 12.00 0.00"
    ),
    "olist/order_items/later-2024-06-04.csv": market_items("B 7 P1 10.00 0.00", "X 9 P1 12.00 0.00"),
}


@pytest.mark.parametrize("order", list(itertools.permutations(MOVING)))
def test_a_line_that_moves_to_another_order_lives_on_its_day_alone(tmp_path: Path, order: Sequence[str]):
    """Where lines have numbers of their own, a later file may give one to another order."""
    found = arrive(tmp_path / "moved", [{path: MOVING[path]} for path in order], 0, line_key=["order_item_id"])
    assert sorted(found["orders"].select("order_id", "line_number", "order_date").rows()) == [
        ("A", 8, june(1)),
        ("B", 7, june(2)),
    ]
    assert found["orders_quarantine"].select("partition_date", "reasons").rows() == [(june(4), ["header_missing"])]
    books = found["books"].filter(pl.col("entity") == "orders").select("day", pl.col("^.*_rows$"))
    assert books.rows() == [(june(1), 3, 1, 0, 2), (june(2), 1, 1, 0, 0), (june(4), 1, 0, 1, 0)]


def test_a_line_that_a_rewritten_file_gives_to_another_order_leaves_the_first(tmp_path: Path):
    headers = {path: content for path, content in MOVING.items() if "/orders/" in path}
    first = {"olist/order_items/items-2024-06-03.csv": market_items("A 7 P1 10.00 0.00")}
    again = {"olist/order_items/items-2024-06-03.csv": market_items("B 7 P1 10.00 0.00")}
    found = arrive(tmp_path / "moved", [headers, first, again], 0, line_key=["order_item_id"])
    assert found["orders"].select("order_id", "line_number", "order_date").rows() == [("B", 7, june(2))]
    books = found["books"].filter(pl.col("entity") == "orders").select("day", pl.col("^.*_rows$"))
    assert books.rows() == [(june(2), 1, 1, 0, 0)]


def test_a_line_that_is_rewritten_while_its_first_header_comes_leaves_that_header_s_day(tmp_path: Path):
    """The header's run takes the line as it was, before the run of the rewritten file takes it away."""
    headers = {path: content for path, content in MOVING.items() if "/orders/" in path}
    path = "olist/order_items/items-2024-06-20.csv"
    feeds = {"olist/order_items": {"key": ["order_item_id"]}}
    with Shop(tmp_path, feeds=feeds, sources=(SOURCE,), settle_seconds=0, rewrite_hold_share=1) as shop:
        lanes = Lanes(shop, random.Random(0))
        shop.deliver(path, market_items("A 7 P1 10.00 0.00"))
        scan(lanes.lane)
        lanes.work_off()
        shop.deliver(path, market_items("B 7 P1 10.00 0.00"), at="2024-07-01T07:00:00")
        for other, content in headers.items():
            shop.deliver(other, content)
        scan(lanes.lane)
        for run in [lanes.run_for((june(1), june(2))), lanes.run_for((june(20), june(20)))]:
            for step in run.steps:
                step()
            shop.platform.ledger.finish(SOURCE, first=run.days[0], last=run.days[1], ticket=run.ticket)
        lanes.work_off()
        found = tables(shop)
    assert found["orders"].select("order_id", "line_number", "order_date").rows() == [("B", 7, june(2))]
    assert found["orders_quarantine"].is_empty()


OWN = SourceSpec.model_validate(
    {
        "currency": "EUR",
        "feeds": {
            "heads": {
                "kind": "transactional",
                "columns": ["no", "day", "buyer"],
                "key": ["no"],
                "date": {"column": "day", "formats": ["%d.%m.%Y"]},
            },
            # Lines have no number: a later file gives all lines of an order anew.
            "lines": {"kind": "undated", "columns": ["no", "article", "pieces"], "key": ["no"], "rows_per_key": "many"},
            "prices": {"kind": "master", "columns": ["article", "price"], "key": ["article"]},
        },
        "entities": {
            "orders": {
                "feed": "lines",
                "header": {"feed": "heads", "by": "no", "take": ["day", "buyer"]},
                "lookups": {"list": {"feed": "prices", "by": "article", "take": ["price"]}},
                "columns": {
                    "order_id": "no",
                    "line_number": "_line_number",
                    "order_date": "header.day",
                    "customer_id": "header.buyer",
                    "product_id": "article",
                    "quantity": "pieces",
                    "unit_price": "list.price",
                },
            },
            "customers": {
                "feed": "lines",
                "derived": "latest",
                "header": {"feed": "heads", "by": "no", "take": ["buyer"]},
                "columns": {"customer_id": "header.buyer"},
            },
        },
    }
)
OWN_FILES = {
    "olist/heads/heads-2024-06-03.csv": "no;day;buyer\nA;01.06.2024;ann\nB;02.06.2024;bob\nD;04.06.2024;ann\n",
    "olist/heads/heads-2024-06-05.csv": "no;day;buyer\nA;03.06.2024;ann\n",
    "olist/lines/lines-2024-06-03.csv": "no;article;pieces\nA;X;2\nA;X;2\nB;X;1\nB;Y;1\nB;X;1\nC;Y;1\nD;Z;1\n",
    "olist/lines/lines-2024-06-06.csv": "no;article;pieces\nA;X;3\n",
    "olist/prices/prices-2024-05-31.csv": "article;price\nX;10.00\n",
    "olist/prices/prices-2024-06-03.csv": "article;price\nX;12.00\nY;5.00\n",
}
"""A shop whose lines have neither date nor number nor price."""


@pytest.mark.parametrize("seed", range(200, 208))
def test_lines_without_date_number_and_price_find_them_in_any_order(tmp_path: Path, seed: int):
    found = arrive(tmp_path / "shop", list(portions(seed, OWN_FILES)), seed, spec=OWN)
    lines = found["orders"].select("order_id", "line_number", "order_date", "customer_id", "product_id", "quantity")
    prices = found["orders"]["unit_price"].cast(pl.Decimal(18, 2)).cast(pl.String).alias("price")
    assert sorted(lines.with_columns(prices).rows()) == [
        ("A", 1, june(3), "ann", "X", 3, "12.00"),
        ("B", 1, june(2), "bob", "X", 1, "10.00"),
        ("B", 2, june(2), "bob", "Y", 1, "5.00"),
        ("B", 3, june(2), "bob", "X", 1, "10.00"),
    ]
    aside = found["orders_quarantine"].select("partition_date", "reasons")
    assert sorted(aside.rows()) == [(june(3), ["header_missing"]), (june(4), ["unit_price_unreadable"])]
    books = found["books"].select("day", pl.col("^.*_rows$"))
    assert books.rows() == [(june(2), 3, 3, 0, 0), (june(3), 4, 1, 1, 2), (june(4), 1, 0, 1, 0)]
    buyers = found["customers"].select("drop_date", "customer_id", "occurrences")
    assert sorted(buyers.rows()) == [(june(2), "bob", 3), (june(3), "ann", 1), (june(4), "ann", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_orders_and_interleavings(tmp_path: Path, seed: int, at_once: Mapping[str, pl.DataFrame]):
    _same(arrive(tmp_path, list(portions(seed)), seed), at_once)
