"""The DuckDB copy of the lake: equal to the Parquet files whatever happens, and never in anyone's way."""

import datetime as dt
import itertools
import multiprocessing
import multiprocessing.process
import multiprocessing.queues
import multiprocessing.synchronize
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.lake import manifest, mirror
from retail_platform.lake.mirror import WarehouseError
from retail_platform.lake.parquet import LakeTable, replace_file
from retail_platform.lake.relations import (
    Column,
    DailyTable,
    LiveView,
    SqlView,
    WholeTable,
    ensure_schema_file,
)
from retail_platform.lake.versions import KEPT_VERSIONS, VersionStore, WarehouseBusyError
from retail_platform.lake.warehouse import PublishReport, Warehouse

DAYS = tuple(dt.date(2024, 2, 27) + dt.timedelta(days=offset) for offset in range(5))
SCHEMA = pl.Schema({"order_id": pl.String, "order_date": pl.Date, "amount": pl.Decimal(18, 2)})
COLUMNS = (
    Column(name="order_id", type="TEXT", comment="The shop's own number."),
    Column(name="order_date", type="DATE"),
    Column(name="amount", type="NUMERIC(18,2)"),
)

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Shop:
    """A lake with a fact and a mart that always agree, and the warehouse over them."""

    folder: Path

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "warehouse")

    def lake(self, name: str) -> LakeTable:
        return LakeTable(root=self.folder / "lake" / name, partition_column="order_date", schema=SCHEMA)

    def sell(self, amount: int, *days: dt.date, tables: tuple[str, ...] = ("fact", "mart")) -> None:
        """Let these days be three sales of `amount` each; none if it is 0."""
        rows = [(f"{day}/{number}", day, Decimal(amount)) for day in days for number in range(3 if amount else 0)]
        for name in tables:
            self.lake(name).write_days(pl.DataFrame(rows, schema=SCHEMA, orient="row"), days)

    def daily(self, name: str, columns: tuple[Column, ...] = COLUMNS) -> DailyTable:
        root = self.lake(name).root
        return DailyTable(
            schema="gold", name=name, root=root, partition_column="order_date", columns=columns, comment=f"The {name}."
        )

    def live(self, name: str, columns: tuple[Column, ...] = COLUMNS) -> LiveView:
        ensure_schema_file(self.lake(name).root, "order_date", SCHEMA)
        root = self.lake(name).root
        return LiveView(schema="silver", name=name, root=root, partition_column="order_date", columns=columns)

    def declaration(self, **changes) -> dict:
        declared = {"daily": [self.daily("fact"), self.daily("mart")], "whole": [], "views": [], "sql_views": []}
        return declared | changes

    def publish(self, **changes) -> PublishReport:
        return self.warehouse.publish(**self.declaration(**changes))

    def read(self, sql: str) -> pl.DataFrame:
        with self.warehouse.connect() as con:
            return con.sql(sql).pl()

    def assert_is_the_lake(self) -> None:
        for name in ("fact", "mart"):
            assert_frame_equal(
                self.read(f"FROM gold.{name} ORDER BY order_id"),
                self.lake(name).scan().collect().sort("order_id"),
            )

    def versions(self) -> list[str]:
        return sorted(folder.name for folder in (self.folder / "warehouse" / "versions").iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "Möbel & Söhne's [new] *shop*")
    shop.sell(10, *DAYS)
    return shop


def one_column(values: list[int], name: str = "number") -> pl.DataFrame:
    return pl.DataFrame({name: values}, schema={name: pl.Int64})


def whole(rows: pl.DataFrame | Path, *, type_: str = "BIGINT") -> WholeTable:
    return WholeTable(schema="ops", name="drops", rows=rows, columns=(Column(name="number", type=type_),))


# --- what is published ------------------------------------------------------------------------------------------------


def test_the_first_publish_holds_the_lake(shop: Shop) -> None:
    report = shop.publish()

    assert report.changed
    assert [(table.table, table.days, table.rows) for table in report.tables] == [
        ("gold.fact", DAYS, 15),
        ("gold.mart", DAYS, 15),
    ]
    shop.assert_is_the_lake()
    assert shop.warehouse.path.resolve() == report.version


def test_nothing_is_published_when_nothing_changed(shop: Shop) -> None:
    changes = {"whole": [whole(one_column([1, 2]))], "views": [shop.live("fact")]}
    changes |= {"sql_views": [SqlView(schema="gold", name="v", sql="FROM gold.fact")]}
    first = shop.publish(**changes)
    changes["whole"] = [whole(one_column([2, 1]))]

    second = shop.publish(**changes)

    assert (second.changed, second.version, second.tables, second.views) == (False, first.version, (), ())
    assert shop.versions() == ["000001"]


def test_only_days_whose_files_changed_are_replaced(shop: Shop) -> None:
    shop.publish()
    shop.sell(7, DAYS[1])
    shop.sell(0, DAYS[2])
    shutil.rmtree(shop.lake("fact").folder(DAYS[3]))

    report = shop.publish()

    assert [(table.days, table.rows) for table in report.tables] == [(DAYS[1:4], 3), (DAYS[1:3], 3)]
    shop.assert_is_the_lake()
    recorded = shop.read("SELECT partition, rows FROM ops.manifest WHERE table_name = 'fact' ORDER BY ALL")
    assert recorded.rows() == [(DAYS[0], 3), (DAYS[1], 3), (DAYS[2], 0), (DAYS[4], 3)]


def test_a_day_may_have_several_files_and_strangers_beside_them(shop: Shop) -> None:
    extra = pl.DataFrame([("late", DAYS[0], Decimal(1))], schema=SCHEMA, orient="row")
    replace_file(shop.lake("fact").folder(DAYS[0]) / "late.parquet", extra)
    (shop.lake("fact").folder(DAYS[0]) / ".late.parquet.tmp").write_bytes(b"half")
    (shop.lake("fact").root / "order_date=soon").mkdir()
    (shop.lake("fact").root / "_SUCCESS").touch()
    ensure_schema_file(shop.lake("fact").root, "order_date", SCHEMA)

    shop.publish()

    shop.assert_is_the_lake()


def test_a_row_in_another_days_folder_is_refused_and_nothing_is_published(shop: Shop) -> None:
    shop.publish()
    shutil.copy(shop.lake("mart").folder(DAYS[0]) / "data.parquet", shop.lake("mart").folder(DAYS[1]))

    with pytest.raises(WarehouseError, match=r"2024-02-28 .* hold 3 rows, but 0 .*[Mm]aterialize"):
        shop.publish()

    assert shop.versions() == ["000001"]
    assert shop.read("SELECT count(*) FROM gold.mart").item() == 15


def test_a_table_with_other_columns_is_rebuilt_and_cast(shop: Shop) -> None:
    shop.publish(sql_views=[SqlView(schema="gold", name="v", sql="SELECT * FROM gold.fact")])
    columns = (
        Column(name="amount", type="DOUBLE"),
        Column(name="order_date", type="DATE"),
        Column(name="tags", type="VARCHAR[]", comment="New."),
    )

    report = shop.publish(
        daily=[shop.daily("fact", columns), shop.daily("mart")],
        sql_views=[SqlView(schema="gold", name="v", sql="SELECT * FROM gold.fact")],
    )

    assert [(table.table, table.days) for table in report.tables] == [("gold.fact", DAYS)]
    assert shop.read("FROM gold.v ORDER BY ALL LIMIT 1").rows() == [(10.0, DAYS[0], None)]


def test_other_comments_are_published_without_reading_the_lake(shop: Shop) -> None:
    shop.publish()
    columns = (Column(name="order_id", type="VARCHAR", comment="It's the order."), *COLUMNS[1:])

    report = shop.publish(daily=[shop.daily("fact", columns), shop.daily("mart")])

    assert [(table.table, table.days, table.rows) for table in report.tables] == [("gold.fact", (), 0)]
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'fact' AND comment IS NOT NULL"
    assert shop.read(comments).item() == "It's the order."
    assert shop.read("SELECT comment FROM duckdb_tables() WHERE table_name = 'fact'").item() == "The fact."


def test_whole_tables_follow_the_daily_ones_of_the_same_publish(shop: Shop) -> None:
    def totals(con: duckdb.DuckDBPyConnection) -> list[WholeTable]:
        return [whole(con.sql("SELECT count(*)::BIGINT AS number FROM gold.fact").pl())]

    shop.publish(whole=totals)
    shop.sell(10, DAYS[-1] + dt.timedelta(days=1))
    report = shop.publish(whole=totals)

    assert [table.table for table in report.tables] == ["gold.fact", "gold.mart", "ops.drops"]
    assert shop.read("FROM ops.drops").rows() == [(18,)]
    assert not shop.publish(whole=totals).changed


def test_a_whole_table_may_be_a_file(shop: Shop) -> None:
    path = shop.folder / "it's [a] file.parquet"
    replace_file(path, one_column([1]))
    shop.publish(whole=[whole(path)])
    replace_file(path, one_column([1]))
    assert not shop.publish(whole=[whole(path)]).changed
    replace_file(path, one_column([1, 1]))

    report = shop.publish(whole=[whole(path)])

    assert [(table.table, table.rows) for table in report.tables] == [("ops.drops", 2)]
    assert shop.read("FROM ops.drops").rows() == [(1,), (1,)]


def test_a_whole_table_is_cast_to_its_declaration(shop: Shop) -> None:
    shop.publish(whole=[whole(one_column([1]))])
    shop.publish(whole=[whole(one_column([1]), type_="DECIMAL(9,1)")])
    assert shop.read("FROM ops.drops").rows() == [(Decimal("1.0"),)]
    shop.publish(whole=[whole(one_column([1], "other"))])
    assert shop.read("FROM ops.drops").rows() == [(None,)]


def test_what_is_no_longer_declared(shop: Shop) -> None:
    """A source switched off keeps its tables; its views would be left looking at nothing."""
    shop.publish(whole=[whole(one_column([1]))], views=[shop.live("fact")])

    report = shop.publish(daily=[shop.daily("fact")])

    assert (report.tables, report.views) == ((), ("silver.fact",))
    assert shop.read("SHOW ALL TABLES")["name"].to_list() == ["fact", "mart", "drops", "manifest"]


def test_some_tables_may_be_published_alone(shop: Shop) -> None:
    changes = {"whole": [whole(one_column([1]))], "views": [shop.live("fact")]}
    changes |= {"sql_views": [SqlView(schema="gold", name="v", sql="FROM gold.fact")]}
    shop.publish(**changes)
    shop.sell(7, DAYS[1])

    report = shop.warehouse.publish_some(daily=[shop.daily("mart")], whole=[whole(one_column([2]))])
    assert [(table.table, table.days) for table in report.tables] == [("gold.mart", (DAYS[1],)), ("ops.drops", ())]
    assert report.views == ()
    assert shop.read("SELECT number FROM ops.drops")["number"].to_list() == [2]
    assert not shop.warehouse.publish_some(daily=[shop.daily("mart")], whole=[whole(one_column([2]))]).changed
    # All that was not asked for is as the last publish left it, and up to date with the next.
    total = "SELECT sum(amount)::INT FROM {}"
    assert [shop.read(total.format(name)).item() for name in ("gold.mart", "gold.fact", "gold.v")] == [141, 150, 150]
    shop.publish(**changes)
    shop.assert_is_the_lake()
    assert shop.read(total.format("gold.v")).item() == 141


def test_a_table_may_become_a_view_and_back(shop: Shop) -> None:
    view = SqlView(schema="gold", name="mart", sql="SELECT * FROM gold.fact", comment="Now a view.")
    shop.publish()
    shop.publish(daily=[shop.daily("fact")], sql_views=[view])
    assert shop.read("SELECT comment FROM duckdb_views() WHERE NOT internal").item() == "Now a view."
    shop.assert_is_the_lake()

    shop.publish()

    shop.assert_is_the_lake()


def test_a_daily_table_may_become_a_whole_one_and_back(shop: Shop) -> None:
    shop.publish()
    rows = shop.lake("mart").scan().collect()
    mart = WholeTable(schema="gold", name="mart", rows=rows, columns=COLUMNS)
    shop.publish(daily=[shop.daily("fact")], whole=[mart])
    shop.assert_is_the_lake()
    shop.sell(7, DAYS[0])

    shop.publish()

    shop.assert_is_the_lake()


def test_rebuild_makes_the_same_from_parquet_alone(shop: Shop) -> None:
    changes = {"whole": [whole(one_column([1]))], "views": [shop.live("fact")]}
    shop.publish(**changes)
    shop.publish(daily=[shop.daily("fact")], **changes)

    report = shop.warehouse.rebuild(**shop.declaration(**changes))

    assert report.changed
    assert report.views == ("silver.fact",)
    shop.assert_is_the_lake()
    assert not shop.publish(**changes).changed


# --- live views -------------------------------------------------------------------------------------------------------


def test_a_live_view_shows_the_lake_without_a_publish(shop: Shop) -> None:
    shop.publish(views=[shop.live("fact")])
    with shop.warehouse.connect() as con:
        shop.sell(7, DAYS[0])
        shop.sell(8, dt.date(2024, 3, 9))
        assert_frame_equal(
            con.sql("FROM silver.fact").pl().sort("order_id"), shop.lake("fact").scan().collect().sort("order_id")
        )


def test_a_live_view_may_be_of_an_empty_folder_and_of_files_older_than_its_columns(shop: Shop) -> None:
    columns = (*COLUMNS, Column(name="channel", type="VARCHAR", comment="Came later."))
    shop.publish(views=[shop.live("fact"), shop.live("nothing")])

    report = shop.publish(views=[shop.live("fact", columns), shop.live("nothing")])

    assert report.views == ("silver.fact",)
    assert shop.read("SELECT DISTINCT channel FROM silver.fact").rows() == [(None,)]
    assert shop.read("FROM silver.nothing").is_empty()
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'fact' AND column_name = 'channel'"
    assert shop.read(comments).to_series().to_list() == ["Came later."]


def test_a_live_view_over_no_file_says_what_to_do(shop: Shop) -> None:
    view = LiveView(schema="silver", name="x", root=shop.folder / "x", partition_column="d", columns=COLUMNS)
    with pytest.raises(WarehouseError, match=r"silver\.x: there is no Parquet file"):
        shop.publish(views=[view])
    assert shop.versions() == []


def test_the_schema_file_suits_those_who_read_the_lake_themselves(tmp_path: Path) -> None:
    lake = LakeTable(root=tmp_path / "orders", partition_column="order_date", schema=SCHEMA)
    lake.write_days(pl.DataFrame([("1", DAYS[0], Decimal(1))], schema=SCHEMA, orient="row"), DAYS[:1])
    path = ensure_schema_file(lake.root, "order_date", SCHEMA)
    before = path.stat()

    assert ensure_schema_file(lake.root, "order_date", SCHEMA).stat() == before
    files = f"{lake.root}/**/*.parquet"
    assert pl.scan_parquet(files).collect().height == 1
    assert pl.scan_parquet(lake.root, hive_partitioning=True).collect().height == 1
    for options in ("", ", hive_partitioning = true", ", hive_partitioning = false", ", union_by_name = true"):
        with duckdb.connect() as con:
            assert con.sql(f"FROM read_parquet('{files}'{options})").fetchall() == [("1", DAYS[0], Decimal("1.00"))]
    ensure_schema_file(lake.root, "order_date", pl.Schema({**SCHEMA, "channel": pl.String}))
    assert pl.read_parquet_schema(path)["channel"] == pl.String


# --- versions ---------------------------------------------------------------------------------------------------------


def test_the_last_versions_stay_and_who_has_an_older_one_open_keeps_it(shop: Shop) -> None:
    shop.publish()
    old = shop.warehouse.connect()
    for amount in range(1, KEPT_VERSIONS + 2):
        shop.sell(amount, *DAYS)
        shop.publish()

    assert shop.versions() == ["000003", "000004", "000005"]
    assert old.sql("SELECT DISTINCT amount FROM gold.fact").fetchall() == [(Decimal("10.00"),)]
    assert shop.read("SELECT DISTINCT amount FROM gold.fact").rows() == [(Decimal("4.00"),)]
    old.close()


def test_the_catalog_has_one_name_in_all_versions(shop: Shop) -> None:
    """BI tools remember `retail.gold.fact`."""
    for amount in (1, 2):
        shop.sell(amount, *DAYS)
        shop.publish(sql_views=[SqlView(schema="gold", name="v", sql="FROM retail.gold.fact")])
    with duckdb.connect(shop.warehouse.path, read_only=True) as con:
        assert con.sql("SELECT DISTINCT amount FROM retail.gold.v").fetchall() == [(Decimal("2.00"),)]


def test_a_version_that_someone_wrote_to_is_not_built_upon(shop: Shop) -> None:
    shop.publish()
    shop.sell(7, DAYS[0])
    shop.publish()
    with duckdb.connect(shop.warehouse.path) as con:
        con.execute("DELETE FROM gold.fact")

    assert shop.publish().version.parent.name == "000003"
    shop.assert_is_the_lake()


def test_a_warehouse_restored_without_links_and_seals_is_made_again(shop: Shop) -> None:
    shop.publish()
    copy = shop.folder / "copy.duckdb"
    shutil.copyfile(shop.warehouse.path, copy)
    shutil.rmtree(shop.warehouse.path.parent)
    shop.warehouse.path.parent.mkdir()
    copy.rename(shop.warehouse.path)

    shop.publish()

    assert shop.warehouse.path.is_symlink()
    shop.assert_is_the_lake()


def test_a_lost_link_is_put_back(shop: Shop) -> None:
    shop.publish()
    shop.warehouse.path.unlink()
    with pytest.raises(WarehouseError, match="retail load"):
        shop.warehouse.connect()
    assert not shop.publish().changed
    shop.assert_is_the_lake()


def test_who_waits_too_long_for_the_lock_is_told_so(shop: Shop) -> None:
    shop.publish()
    impatient = Warehouse(shop.warehouse.path.parent, lock_timeout=0.1)
    store = VersionStore(directory=shop.warehouse.path.parent)
    with store.lock(timeout=1), pytest.raises(WarehouseBusyError, match=r"locked by another publish for 0 s.*fuser"):
        impatient.publish(**shop.declaration())


# --- a lake that moves while it is read -------------------------------------------------------------------------------


def test_a_day_replaced_under_the_reading_is_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at_days = manifest.look_at_days

    def late(table: DailyTable) -> dict[dt.date, manifest.Day]:
        days = look_at_days(table)
        shop.sell(7, DAYS[0], tables=(table.name,))
        return days

    monkeypatch.setattr(manifest, "look_at_days", late)
    shop.publish()
    monkeypatch.undo()
    shop.assert_is_the_lake()
    assert not shop.publish().changed


def test_a_day_that_never_rests_stays_dirty(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at_day, amounts = manifest.look_at_day, itertools.count(20)

    def restless(folder: str) -> manifest.Day | None:
        look = look_at_day(folder)
        if folder == str(shop.lake("fact").folder(DAYS[0])):
            shop.sell(next(amounts), DAYS[0], tables=("fact",))
        return look

    monkeypatch.setattr(manifest, "look_at_day", restless)
    shop.publish()
    monkeypatch.undo()

    report = shop.publish()

    assert [(table.table, table.days) for table in report.tables] == [("gold.fact", DAYS[:1])]
    shop.assert_is_the_lake()


def test_a_file_that_goes_away_under_the_reading_is_no_failure(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_once = mirror._replace_once

    def vanishing(con: duckdb.DuckDBPyConnection, table: DailyTable, days: dict) -> dict[dt.date, int]:
        shutil.rmtree(shop.lake("mart").folder(DAYS[0]), ignore_errors=True)
        return replace_once(con, table, days)

    shop.publish()
    shop.sell(7, *DAYS)
    monkeypatch.setattr(mirror, "_replace_once", vanishing)
    shop.publish()
    shop.assert_is_the_lake()


# --- other processes --------------------------------------------------------------------------------------------------

BOTH = "SELECT (SELECT sum(amount) FROM gold.fact), (SELECT sum(amount) FROM gold.mart)"


@dataclass
class Observer:
    """A process that runs one of the functions below until it is stopped, and what it reported."""

    process: multiprocessing.process.BaseProcess
    said: multiprocessing.queues.Queue
    stop: multiprocessing.synchronize.Event

    def result(self) -> list:
        self.stop.set()
        outcome = self.said.get(timeout=60)
        self.process.join(60)
        assert self.process.exitcode == 0
        return outcome


@pytest.fixture
def observe(shop: Shop) -> Iterator[Callable[[Callable], Observer]]:
    """Start an observer; it has opened the warehouse when this returns."""
    started = []

    def start(role: Callable) -> Observer:
        said, stop = processes.Queue(), processes.Event()
        process = processes.Process(target=role, args=(str(shop.warehouse.path), said, stop), daemon=True)
        process.start()
        started.append(process)
        assert said.get(timeout=60) == "open"
        return Observer(process, said, stop)

    yield start
    for process in started:
        process.kill()


def holder(path: str, said, stop) -> None:
    """Opens the warehouse once, and asks again and again."""
    with duckdb.connect(path, read_only=True) as con:
        said.put("open")
        seen = [con.sql(BOTH).fetchall()[0]]
        while not stop.is_set():
            seen.append(con.sql(BOTH).fetchall()[0])
    said.put(seen)


def reopener(path: str, said, stop) -> None:
    """Opens the warehouse anew for each question, once more after it is told to stop."""
    said.put("open")
    seen, stopped = [], False
    while not stopped:
        stopped = stop.is_set()
        with duckdb.connect(path, read_only=True) as con:
            seen.append(con.sql(BOTH).fetchall()[0])
    said.put(seen)


def live_reader(path: str, said, stop) -> None:
    """Asks a live view, while the files below it are replaced."""
    with duckdb.connect(path, read_only=True) as con:
        said.put("open")
        seen = []
        while not stop.is_set():
            seen += con.sql("SELECT count(*), count(amount) FROM silver.fact").fetchall()
    said.put(seen)


def bi_tool(path: str, said, stop) -> None:
    """Opens the warehouse for writing, as many tools do by default, and keeps it."""
    with duckdb.connect(path) as con:
        said.put("open")
        seen = []
        while not stop.wait(0.05):
            seen.append(con.sql(BOTH).fetchall()[0])
    said.put(seen)


def test_a_program_that_holds_it_read_write_keeps_no_one_out(shop: Shop, observe) -> None:
    shop.publish()
    tool = observe(bi_tool)

    shop.assert_is_the_lake()  # by way of a copy

    assert shop.versions() == ["000001", "000002"]
    shop.sell(7, DAYS[0])
    shop.publish()
    shop.assert_is_the_lake()
    assert set(tool.result()) == {(Decimal(150), Decimal(150))}


def test_publishing_beside_a_program_that_holds_it_read_write(shop: Shop, observe) -> None:
    shop.publish()
    observe(bi_tool)
    shop.sell(7, DAYS[0])

    report = shop.publish()

    assert [(table.table, table.days) for table in report.tables] == [("gold.fact", DAYS[:1]), ("gold.mart", DAYS[:1])]
    shop.assert_is_the_lake()


@pytest.mark.slow
def test_readers_see_whole_publishes_and_never_fail(shop: Shop, observe) -> None:
    views = [shop.live("fact")]
    shop.publish(views=views)
    tool = observe(bi_tool)
    shop.sell(11, *DAYS)
    shop.publish(views=views)  # the tool's version is no longer the newest, so others may come in by the link
    observers = [observe(role) for role in (holder, reopener, live_reader)]

    for amount in range(12, 52):
        shop.sell(amount, *DAYS)
        assert shop.publish(views=views).changed

    held, reopened, live = (observer.result() for observer in observers)
    assert set(tool.result()) == {(Decimal(150), Decimal(150))}
    assert set(held) == {(Decimal(165), Decimal(165))}
    assert all(fact == mart for fact, mart in reopened)
    assert reopened == sorted(reopened)
    assert len(set(reopened)) > 5
    assert reopened[-1] == (Decimal(51 * 15), Decimal(51 * 15))
    assert len(live) > 20
    assert set(live) == {(15, 15)}


def publish_in_turn(shop: Shop, name: str, amounts: range, said) -> None:
    """Change one table and publish both, time after time."""
    for amount in amounts:
        shop.sell(amount, *DAYS, tables=(name,))
        shop.publish()
    said.put(name)


@pytest.mark.slow
def test_two_processes_that_publish_at_once(shop: Shop) -> None:
    said = processes.Queue()
    work = [(shop, name, range(11, 26), said) for name in ("fact", "mart")]
    publishers = [processes.Process(target=publish_in_turn, args=args) for args in work]
    for publisher in publishers:
        publisher.start()
    assert {said.get(timeout=120) for _ in publishers} == {"fact", "mart"}
    for publisher in publishers:
        publisher.join(60)

    shop.assert_is_the_lake()
    assert shop.read(BOTH).row(0) == (Decimal(25 * 15), Decimal(25 * 15))
    assert not shop.publish().changed


# --- crashes ----------------------------------------------------------------------------------------------------------


STEPS = {"mkdir", "copy_file_range", "replace", "fsync", "chmod", "write", "rename", "unlink", "symlink", "rmdir"}


def publish_until(shop: Shop, step: int, said) -> None:
    """Publish, and be killed before the given step: a call that changes something on the disk.

    What DuckDB does is not seen, but each SQL statement is preceded by a `replace` of the quotes in a name.
    """
    steps = itertools.count()

    def die(_frame, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__name__", "") in STEPS and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(die)
    shop.publish()
    sys.setprofile(None)
    said.put(next(steps))


def kill_a_publish(shop: Shop, step: int) -> int | None:
    """Let a publish die at a step. Gives the number of its steps if it ended before."""
    said = processes.Queue()
    process = processes.Process(target=publish_until, args=(shop, step, said))
    process.start()
    process.join(60)
    assert process.exitcode in {0, -signal.SIGKILL}
    return said.get(timeout=5) if process.exitcode == 0 else None


def steps_of_a_publish(shop: Shop) -> int:
    for amount in range(1, KEPT_VERSIONS + 1):  # until there is an old version to remove
        shop.sell(amount, *DAYS)
        shop.publish()
    shop.sell(9, *DAYS[1:3])
    total = kill_a_publish(shop, 10**9)
    assert total
    shop.sell(10, *DAYS)
    shop.publish()
    return total


def crash_and_heal(shop: Shop, steps: list[int]) -> None:
    before = (Decimal(150), Decimal(150))
    for amount, step in enumerate(steps, start=11):
        shop.sell(amount, *DAYS[1:3])
        after = (Decimal(9 * 10 + 6 * amount),) * 2

        assert kill_a_publish(shop, step) is None
        assert shop.read(BOTH).row(0) in {before, after}

        shop.publish()
        assert shop.read(BOTH).row(0) == after
        assert not shop.publish().changed
        assert all(name.isdecimal() for name in shop.versions())
        before = after
    shop.assert_is_the_lake()


def test_a_publish_that_is_killed_heals(shop: Shop) -> None:
    shop.publish()
    total = steps_of_a_publish(shop)
    crash_and_heal(shop, [total // 2, total - 8])


def test_a_first_publish_that_is_killed_heals(shop: Shop) -> None:
    assert kill_a_publish(shop, 20) is None
    shop.publish()
    shop.assert_is_the_lake()


@pytest.mark.slow
def test_a_publish_heals_from_a_death_at_any_step(shop: Shop) -> None:
    shop.publish()
    total = steps_of_a_publish(shop)
    # The last steps, where versions and links change hands, one by one; those before only fill a file to throw away.
    crash_and_heal(shop, [*range(0, total - 20, 5), *range(total - 20, total)])


@pytest.mark.slow
def test_a_publish_heals_from_a_death_at_any_moment(shop: Shop) -> None:
    shop.publish()
    for attempt in range(30):
        amounts = range(100 * attempt + 11, 100 * attempt + 100)
        publisher = processes.Process(target=publish_in_turn, args=(shop, "fact", amounts, None))
        publisher.start()
        time.sleep(random.uniform(0.1, 0.8))
        publisher.kill()
        publisher.join(60)
        assert shop.read("SELECT count(*) FROM gold.fact").item() == 15
        shop.publish()
        shop.assert_is_the_lake()
    shop.warehouse.rebuild(**shop.declaration())
    shop.assert_is_the_lake()
