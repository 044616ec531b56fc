"""The calendar: ordinary names of a day, and the retail 4-5-4 year, compared with a retailer's own calendar."""

import os
from datetime import date, timedelta
from pathlib import Path

import duckdb
import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.transforms.calendar import describe_days, fiscal_year_start

FIRST, LAST = date(2003, 1, 1), date(2100, 12, 31)
FISCAL_FIELDS = {
    "fiscal_year": "FISCAL_YEAR",
    "fiscal_quarter": "FISCAL_QUARTER",
    "fiscal_month": "FISCAL_MONTH_NUMBER",
    "fiscal_week": "FISCAL_WEEK_OF_YEAR",
    "fiscal_week_of_month": "FISCAL_WEEK_OF_MONTH",
    "fiscal_day_of_month": "FISCAL_DAY_OF_MONTH",
}
FISCAL_DAYS = {
    "fiscal_week_start": "FISCAL_FIRST_DAY_OF_WEEK",
    "fiscal_week_end": "FISCAL_LAST_DAY_OF_WEEK",
    "fiscal_month_start": "FISCAL_FIRST_DAY_OF_MONTH",
    "fiscal_month_end": "FISCAL_LAST_DAY_OF_MONTH",
}


def described(first: date, last: date) -> pl.DataFrame:
    days = pl.LazyFrame({"date": pl.date_range(first, last, eager=True)})
    return describe_days(nw.from_native(days)).to_native().collect()


def retailers_calendar() -> pl.DataFrame:
    default = Path(__file__).parents[3] / "shared" / "data"
    file = Path(os.environ.get("RETAIL_SHARED_DATA", default)) / "psycho_bunny" / "de_dates.csv"
    if not file.is_file():
        pytest.skip(f"no real data: {file} is absent (set RETAIL_SHARED_DATA)")
    return pl.read_csv(file, infer_schema_length=None).sort("CALENDAR_DATE")


def test_equals_a_retailers_own_calendar_on_every_day():
    theirs = retailers_calendar().select(
        pl.col("CALENDAR_DATE").str.to_date().alias("date"),
        *(pl.col(field).cast(pl.Int32).alias(name) for name, field in FISCAL_FIELDS.items()),
        *(pl.col(field).str.to_date().alias(name) for name, field in FISCAL_DAYS.items()),
        (pl.col("WEEKDAY_NUMBER").cast(pl.Int32) - 2).mod(7).add(1).alias("day_of_week"),
        pl.col("WEEKDAY_NAME").alias("day_name"),
        pl.col("FISCAL_MONTH_NAME").alias("fiscal_month_name"),
        pl.col("WEEKEND").alias("is_weekend"),
    )
    ours = described(date(2010, 1, 31), date(2029, 2, 3)).with_columns(
        pl.col("day_name", "fiscal_month_name").str.slice(0, 3)
    )
    assert theirs.height == 6_944
    assert_frame_equal(ours.select(theirs.columns), theirs)


def test_names_a_day_in_both_years():
    assert described(date(2024, 2, 3), date(2024, 2, 3)).row(0, named=True) == {
        "date": date(2024, 2, 3),
        "date_key": 20240203,
        "year": 2024,
        "quarter": 1,
        "month": 2,
        "month_name": "February",
        "iso_year": 2024,
        "week": 5,
        "day": 3,
        "day_of_year": 34,
        "day_of_week": 6,
        "day_name": "Saturday",
        "is_weekend": True,
        "fiscal_week_start": date(2024, 1, 28),
        "fiscal_year": 2023,
        "fiscal_week": 53,
        "fiscal_quarter": 4,
        "fiscal_month": 12,
        "fiscal_month_name": "January",
        "fiscal_week_of_month": 5,
        "fiscal_day_of_month": 35,
        "fiscal_month_start": date(2023, 12, 31),
        "fiscal_quarter_start": date(2023, 10, 29),
        "fiscal_year_start": date(2023, 1, 29),
        "fiscal_weeks_in_year": 53,
        "fiscal_week_end": date(2024, 2, 3),
        "fiscal_month_end": date(2024, 2, 3),
        "fiscal_quarter_end": date(2024, 2, 3),
        "fiscal_year_end": date(2024, 2, 3),
    }


def test_agrees_with_python_from_2003_to_2100():
    expected = [
        (day, int(f"{day:%Y%m%d}"), *day.isocalendar(), day.timetuple().tm_yday, (day.month + 2) // 3)
        for day in (FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1))
    ]
    names = ("date", "date_key", "iso_year", "week", "day_of_week", "day_of_year", "quarter")
    schema = {"date": pl.Date} | dict.fromkeys(names[1:], pl.Int32)
    assert_frame_equal(described(FIRST, LAST).select(names), pl.DataFrame(expected, schema=schema, orient="row"))


def test_each_retail_year_begins_where_the_last_one_ended():
    years = (
        described(FIRST, LAST)
        .filter(pl.col("fiscal_year").is_between(2003, 2099))
        .group_by("fiscal_year", maintain_order=True)
        .agg(
            pl.col("fiscal_year_start", "fiscal_year_end", "fiscal_weeks_in_year").first(),
            pl.col("fiscal_week").max().alias("last_week"),
            pl.col("date").max().alias("last_day"),
        )
    )
    starts = [fiscal_year_start(year) for year in range(2003, 2101)]
    ends = [start - timedelta(days=1) for start in starts[1:]]
    weeks = pl.Series([(end - start).days // 7 + 1 for start, end in zip(starts, ends, strict=False)], dtype=pl.Int32)
    expected = pl.DataFrame(
        {
            "fiscal_year": pl.Series(range(2003, 2100), dtype=pl.Int32),
            "fiscal_year_start": starts[:-1],
            "fiscal_year_end": ends,
            "fiscal_weeks_in_year": weeks,
            "last_week": weeks,
            "last_day": ends,
        }
    )
    assert_frame_equal(years, expected)


@pytest.mark.parametrize(
    ("fiscal_year", "start"),
    [(2010, date(2010, 1, 31)), (2013, date(2013, 2, 3)), (2018, date(2018, 2, 4)), (2024, date(2024, 2, 4))],
)
def test_a_retail_year_starts_on_the_sunday_nearest_the_end_of_january(fiscal_year, start):
    assert fiscal_year_start(fiscal_year) == start


def test_another_engine_computes_the_same():
    """DuckDB stands in for Spark: an engine whose arithmetic and dates are not those of Polars."""
    ours = pl.DataFrame({"date": pl.date_range(date(2022, 12, 25), date(2024, 3, 5), eager=True)})
    days = duckdb.from_arrow(ours.to_arrow())
    theirs = describe_days(nw.from_native(days)).collect("polars").to_native().sort("date")
    assert_frame_equal(theirs, described(date(2022, 12, 25), date(2024, 3, 5)))
