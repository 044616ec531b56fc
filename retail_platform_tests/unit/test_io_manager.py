"""The IO manager in real runs: a day or a range of days, frames of every kind, nothing lost or overwritten."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import narwhals as nw
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.lake.io_manager import LakeIOManager, WrittenDays
from retail_platform.lake.parquet import FileRows, LakeTable
from retail_platform_tests.unit.frames import frame, june

DAYS = dg.DailyPartitionsDefinition("2024-06-01", end_date="2024-07-01")
SCHEMA = pl.Schema({"day": pl.Date(), "name": pl.String(), "amount": pl.Decimal(18, 2), "at": pl.Datetime("us", "UTC")})
SOURCE, RESULT = dg.AssetKey(["silver", "shop", "orders"]), dg.AssetKey(["gold", "sales"])


def rows(*days: int) -> pl.DataFrame:
    return frame(SCHEMA, [{"day": june(day), "name": f"row of {day}", "amount": "1.25"} for day in days])


class Lake:
    """A lake in a folder, and runs of assets on it."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root = root
        self.instance = instance

    def table(self, key: Sequence[str]) -> LakeTable:
        return LakeTable(root=self.root.joinpath(*key), partition_column="day", schema=SCHEMA)

    def run(self, *assets: dg.AssetsDefinition, first: int, last: int) -> dg.ExecuteInProcessResult:
        """One run over days of June."""
        keys = [asset.key for asset in assets]
        delivered = [] if SOURCE in keys else [dg.AssetSpec(SOURCE, partitions_def=DAYS)]
        definitions = dg.Definitions(
            assets=[*assets, *delivered],
            resources={"io_manager": LakeIOManager(self.table)},
            executor=dg.in_process_executor,
        )
        job = definitions.resolve_implicit_global_asset_job_def()
        if first == last:
            return job.execute_in_process(
                partition_key=str(june(first)), instance=self.instance, asset_selection=keys, raise_on_error=False
            )
        days = {
            "dagster/asset_partition_range_start": str(june(first)),
            "dagster/asset_partition_range_end": str(june(last)),
        }
        return job.execute_in_process(tags=days, instance=self.instance, asset_selection=keys, raise_on_error=False)

    def reported(self, key: dg.AssetKey) -> set[str]:
        return self.instance.get_materialized_partitions(key)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as instance:
        yield Lake(tmp_path / "lake", instance)


def asset(give: Callable[[], Any], key: dg.AssetKey = SOURCE) -> dg.AssetsDefinition:
    @dg.asset(key=key, partitions_def=DAYS)
    def made() -> dg.Output[Any]:
        return dg.Output(give())

    return made


def reader(kind: Any, seen: list[Any]) -> dg.AssetsDefinition:
    """An asset that takes its input as this kind of frame, and gives it back as it is."""

    def read(source: Any) -> Any:
        seen.append(source)
        return source

    read.__annotations__ = {"source": kind, "return": Any}
    return dg.asset(key=RESULT, ins={"source": dg.AssetIn(key=SOURCE)}, partitions_def=DAYS)(read)


def test_a_single_day(lake: Lake):
    assert lake.run(asset(lambda: rows(3)), first=3, last=3).success
    assert lake.table(SOURCE.path).days() == [june(3)]
    assert lake.reported(SOURCE) == {"2024-06-03"}


def test_a_range_in_one_run_writes_each_day_empty_ones_too(lake: Lake):
    result = lake.run(asset(lambda: rows(1, 3, 3)), first=1, last=4)
    assert result.success
    table = lake.table(SOURCE.path)
    assert table.row_counts(map(june, range(1, 6))) == {june(1): 1, june(2): 0, june(3): 2, june(4): 0, june(5): 0}
    assert table.days() == [june(1), june(2), june(3), june(4)]
    assert lake.reported(SOURCE) == {f"2024-06-0{day}" for day in (1, 2, 3, 4)}
    counts = {event.partition: event.materialization.metadata for event in result.get_asset_materialization_events()}
    assert {day: metadata["dagster/partition_row_count"].value for day, metadata in counts.items()} == {
        "2024-06-01": 1,
        "2024-06-02": 0,
        "2024-06-03": 2,
        "2024-06-04": 0,
    }


@pytest.mark.parametrize("kind", [pl.LazyFrame, pl.DataFrame, nw.LazyFrame, pd.DataFrame, Any])
@pytest.mark.parametrize(("first", "last"), [(2, 2), (1, 3)])
def test_frames_of_every_kind_go_in_and_out(lake: Lake, kind: Any, first: int, last: int):
    lake.table(SOURCE.path).write_days(rows(1, 2, 9), [june(1), june(2), june(9)])
    seen: list[Any] = []
    assert lake.run(reader(kind, seen), first=first, last=last).success
    assert isinstance(seen[0], pl.LazyFrame if kind is Any else kind)
    wanted = [day for day in (1, 2) if first <= day <= last]
    assert_frame_equal(lake.table(RESULT.path).scan().collect(), rows(*wanted))
    assert lake.table(RESULT.path).days() == [june(day) for day in range(first, last + 1)]


def test_pandas_is_written_with_the_types_of_the_table(lake: Lake):
    given = pd.DataFrame(
        {"day": pd.to_datetime(["2024-06-01", "2024-06-02"]), "name": ["a", None], "amount": [0.1, 2.0]}
    )
    assert lake.run(asset(lambda: given), first=1, last=2).success
    expected = frame(
        SCHEMA, [{"day": june(1), "name": "a", "amount": "0.10"}, {"day": june(2), "name": None, "amount": "2.00"}]
    )
    assert_frame_equal(lake.table(SOURCE.path).scan().collect(), expected)


def test_narwhals_frames_are_written(lake: Lake):
    for day, given in enumerate((nw.from_native(rows(1)), nw.from_native(rows(2).lazy())), start=1):
        assert lake.run(asset(lambda given=given: given), first=day, last=day).success
    assert_frame_equal(lake.table(SOURCE.path).scan().collect(), rows(1, 2))


@pytest.mark.parametrize("strange", [5, None])
def test_rows_of_strange_days_are_refused_and_nothing_is_written(lake: Lake, strange: int | None):
    lake.table(SOURCE.path).write_days(rows(1, 5), [june(1), june(5)])
    stray = frame(SCHEMA, [{"day": strange and june(strange), "name": "stray"}])
    result = lake.run(asset(lambda: pl.concat([rows(2), stray])), first=1, last=2)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert f"orders: 1 rows are of other days than this run's, for example day = {strange and june(strange)}" in str(
        error
    )
    assert_frame_equal(lake.table(SOURCE.path).scan().collect(), rows(1, 5))
    assert lake.reported(SOURCE) == set()


@pytest.mark.parametrize(("first", "last", "days"), [(1, 3, (1, 3)), (1, 3, ()), (2, 2, ()), (1, 3, (1, 2, 3))])
def test_written_days_alone_are_replaced_and_reported(lake: Lake, first: int, last: int, days: tuple[int, ...]):
    old = frame(SCHEMA, [{"day": june(day), "name": "old"} for day in (1, 2, 3)])
    lake.table(SOURCE.path).write_days(old, [june(1), june(2), june(3)])
    given = WrittenDays(frame=rows(*range(first, last + 1)), days=[june(day) for day in days])
    assert lake.run(asset(lambda: given), first=first, last=last).success
    found = lake.table(SOURCE.path).scan().collect()
    assert dict(found.select("day", "name").iter_rows()) == {
        june(day): f"row of {day}" if day in days else "old" for day in (1, 2, 3)
    }
    assert lake.reported(SOURCE) == {str(june(day)) for day in days}


def test_batches_of_files_are_written_as_they_come(lake: Lake):
    written: list[Mapping[Any, int]] = []

    def batches() -> Iterator[FileRows]:
        yield FileRows(rows=rows(1).with_columns(file_id=pl.lit("f1")), files=[("f1", june(1))])
        written.append(lake.table(SOURCE.path).row_counts([june(1), june(2)]))
        yield FileRows(rows=rows(2).with_columns(file_id=pl.lit("f2")), files=[("f2", june(2))])

    assert lake.run(asset(batches), first=1, last=2).success
    assert written == [{june(1): 1, june(2): 0}]
    assert_frame_equal(lake.table(SOURCE.path).scan().collect(), rows(1, 2))


def test_days_that_nobody_wrote_are_read_as_empty(lake: Lake):
    seen: list[Any] = []
    assert lake.run(reader(pl.DataFrame, seen), first=1, last=2).success
    assert_frame_equal(seen[0], SCHEMA.to_frame())
