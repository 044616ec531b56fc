"""Lake tables: days of Parquet files, each there whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.lake.parquet import FileRows, LakeTable, each_day, replace_file
from retail_platform_tests.unit.frames import frame, june

SCHEMA = pl.Schema({"day": pl.Date(), "name": pl.String(), "amount": pl.Decimal(18, 2)})


@pytest.fixture
def table(tmp_path: Path) -> LakeTable:
    return LakeTable(root=tmp_path / "gold" / "sales", partition_column="day", schema=SCHEMA)


def rows(*names: str, day: int = 1) -> pl.DataFrame:
    return frame(SCHEMA, [{"day": june(day), "name": name, "amount": "1.50"} for name in names])


def files(table: LakeTable) -> list[str]:
    return sorted(str(path.relative_to(table.root)) for path in table.root.rglob("*") if path.is_file())


def test_a_table_that_was_never_written_is_empty(table: LakeTable):
    assert table.days() == []
    assert_frame_equal(table.scan().collect(), SCHEMA.to_frame())
    assert table.row_counts([june(1)]) == {june(1): 0}


def test_each_day_has_one_file_and_a_day_without_rows_an_empty_one(table: LakeTable):
    table.write_days(pl.concat([rows("a"), rows("b", "c", day=3)]), [june(1), june(2), june(3)])
    assert files(table) == [f"day=2024-06-0{day}/data.parquet" for day in (1, 2, 3)]
    assert table.days() == [june(1), june(2), june(3)]
    assert_frame_equal(table.scan([june(3), june(1)]).collect(), pl.concat([rows("b", "c", day=3), rows("a")]))
    assert table.row_counts([june(1), june(2), june(3), june(4)]) == {june(1): 1, june(2): 0, june(3): 2, june(4): 0}
    assert_frame_equal(pl.read_parquet(table.files(june(2))[0], hive_partitioning=False), SCHEMA.to_frame())


def test_writing_replaces_the_days_named_and_no_other(table: LakeTable):
    table.write_days(pl.concat([rows("a"), rows("b", day=2)]), [june(1), june(2)])
    table.write_days(rows("c"), [june(1)])
    assert_frame_equal(table.scan().collect(), pl.concat([rows("c"), rows("b", day=2)]))


def test_files_of_a_day_are_replaced_one_by_one_and_emptied(table: LakeTable):
    both = pl.concat([rows("a").with_columns(file_id=pl.lit("f1")), rows("b").with_columns(file_id=pl.lit("f2"))])
    table.write_files(FileRows(rows=both, files=[("f1", june(1)), ("f2", june(1)), ("f1", june(2))]))
    assert files(table) == ["day=2024-06-01/f1.parquet", "day=2024-06-01/f2.parquet", "day=2024-06-02/f1.parquet"]
    table.write_files(FileRows(rows=both.clear(), files=[("f1", june(1))]))
    assert_frame_equal(table.scan([june(1)]).collect(), rows("b"))


def test_columns_that_a_file_lacks_are_null_and_those_it_has_beyond_are_left_out(table: LakeTable):
    replace_file(table.folder(june(1)) / "old.parquet", rows("a").drop("amount").with_columns(extra=pl.lit(1)))
    replace_file(table.folder(june(1)) / "new.parquet", rows("b"))
    expected = pl.concat([rows("b"), rows("a").with_columns(pl.lit(None, pl.Decimal(18, 2)).alias("amount"))])
    assert_frame_equal(table.scan().collect(), expected)


def test_what_a_crash_left_behind_is_no_data(table: LakeTable):
    table.write_days(rows("a"), [june(1)])
    (table.folder(june(1)) / ".data.parquet.tmp").write_bytes(b"half a file")
    (table.root / "day=__HIVE_DEFAULT_PARTITION__").mkdir()
    assert table.days() == [june(1)]
    assert_frame_equal(table.scan().collect(), rows("a"))
    table.write_days(rows("b"), [june(1)])
    assert files(table) == ["day=2024-06-01/data.parquet"]


def test_a_frame_that_cannot_be_written_leaves_the_old_day(table: LakeTable):
    table.write_days(rows("a"), [june(1)])
    unwritable = pl.DataFrame({"day": [june(1)], "name": [object()]}, schema_overrides={"name": pl.Object})
    with pytest.raises(pl.exceptions.PolarsError):
        replace_file(table.folder(june(1)) / "data.parquet", unwritable)
    assert_frame_equal(table.scan().collect(), rows("a"))


def test_a_reader_sees_the_old_day_or_the_new_one(table: LakeTable):
    table.write_days(rows(*["0"] * 2_000), [june(1)])
    done = Event()

    def read() -> set[tuple[Any, ...]]:
        seen = set()
        while not done.is_set():
            found = table.scan([june(1)]).collect()
            seen.add((found.height, *found["name"].unique()))
        return seen

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            for version in range(1, 60):
                table.write_days(rows(*[str(version)] * 2_000), [june(1)])
        finally:
            done.set()
    assert len(reader.result()) > 1
    assert reader.result() <= {(2_000, str(version)) for version in range(60)}


def test_every_day_of_a_range():
    assert list(each_day(june(28), june(30))) == [june(28), june(29), june(30)]
    assert list(each_day(june(2), june(1))) == []
