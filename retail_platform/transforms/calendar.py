"""The calendar: what each day is called, in the ordinary year and in the retail year of 4-5-4 weeks.

A retail year begins on the first Sunday on or after 29 January (the Sunday nearest to the end of January: the rule of
the National Retail Federation). It has 52 weeks, in every fifth or sixth year 53, as in 2012, 2017 and 2023; week 53
belongs to the last month. Its quarters have months of four, five and four weeks, the first of them named February.
"""

from datetime import date, timedelta

import narwhals as nw

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SATURDAY = 6
_SUNDAY = 7
_WEEKS_IN_QUARTER = 13
_WEEKS_IN_YEAR = 52
_FIRST_MONTH_ENDS, _SECOND_MONTH_ENDS = 4, 9
_LAST_MONTH, _LAST_QUARTER = 12, 4
DELIVERED = ("fiscal_year", "fiscal_quarter", "fiscal_month", "fiscal_week", "fiscal_week_of_month")
"""What a source's own calendar says of a day instead."""


def fiscal_year_start(fiscal_year: int) -> date:
    """Return the Sunday on which a retail year begins."""
    earliest = date(fiscal_year, 1, 29)
    return earliest + timedelta(days=(_SUNDAY - earliest.isoweekday()) % 7)


def describe_days(days: nw.LazyFrame) -> nw.LazyFrame:
    """Add to a frame with a Date column `date` what dim_date says of it.

    Numbers are Int32, names English, `week` and `iso_year` those of ISO 8601; `fiscal_*` are of the retail year, with
    the first and last day of its week, month, quarter and year. Each row is described by itself.
    """
    return _in_retail_year(_in_ordinary_year(days))


def with_calendars(days: nw.LazyFrame, calendars: nw.LazyFrame) -> nw.LazyFrame:
    """Days as described, but for `DELIVERED`, which a source's calendar says where it covers the day.

    Args:
        days: `describe_days`.
        calendars: Silver calendars of all days and sources; the latest delivery of a day counts.
    """
    latest = calendars.unique(["date"], keep="last", order_by=["drop_date", "source_system"])
    said = latest.select("date", *(nw.col(name).cast(nw.Int32).alias(f"said.{name}") for name in DELIVERED))
    return (
        days.join(said, on="date", how="left")
        .with_columns(nw.coalesce(f"said.{name}", name).alias(name) for name in DELIVERED)
        .drop(f"said.{name}" for name in DELIVERED)
    )


def day_number(day: nw.Expr) -> nw.Expr:
    """The number of a day, so that days can be subtracted: Narwhals cannot subtract dates on Spark.

    It is the Julian day number: the year is taken to begin in March, so that the leap day is its last.
    """
    # Polars keeps months in eight bits: widened before any arithmetic.
    year, month, number = (part.cast(nw.Int64) for part in (day.dt.year(), day.dt.month(), day.dt.day()))
    is_early = (14 - month) // 12
    year, month = year + 4800 - is_early, month + 12 * is_early - 3
    return number + (153 * month + 2) // 5 + 365 * year + year // 4 - year // 100 + year // 400 - 32045


def _in_ordinary_year(days: nw.LazyFrame) -> nw.LazyFrame:
    day = nw.col("date")
    # Polars keeps months in eight bits: widened before any arithmetic.
    year, month, weekday = _number(day.dt.year()), _number(day.dt.month()), _number(day.dt.weekday())
    # An ISO week belongs to the year of its Thursday.
    thursday = _moved(day, 4 - weekday, range(-3, 4))
    return days.with_columns(
        _number(year * 10_000 + month * 100 + day.dt.day()).alias("date_key"),
        year.alias("year"),
        _number((month + 2) // 3).alias("quarter"),
        month.alias("month"),
        _name(month, _MONTHS).alias("month_name"),
        _number(thursday.dt.year()).alias("iso_year"),
        _number((thursday.dt.ordinal_day() + 6) // 7).alias("week"),
        _number(day.dt.day()).alias("day"),
        _number(day.dt.ordinal_day()).alias("day_of_year"),
        weekday.alias("day_of_week"),
        _name(weekday, _DAYS).alias("day_name"),
        (weekday >= _SATURDAY).alias("is_weekend"),
    )


def _in_retail_year(days: nw.LazyFrame) -> nw.LazyFrame:
    sunday = _moved(nw.col("date"), -(nw.col("day_of_week") % 7), range(-6, 1))
    # Moved back by 28 days, the first Sunday on or after 29 January is the first Sunday of the ordinary year.
    moved = nw.col("fiscal_week_start").dt.offset_by("-28d")
    week = nw.col("fiscal_week")
    numbered = (
        days.with_columns(sunday.alias("fiscal_week_start"))
        .with_columns(
            _number(moved.dt.year()).alias("fiscal_year"),
            _number((moved.dt.ordinal_day() + 6) // 7).alias("fiscal_week"),
        )
        .with_columns(
            _number(nw.min_horizontal((week + 12) // _WEEKS_IN_QUARTER, nw.lit(_LAST_QUARTER))).alias("fiscal_quarter")
        )
    )
    return _with_retail_bounds(_with_retail_months(numbered))


def _with_retail_months(days: nw.LazyFrame) -> nw.LazyFrame:
    quarter = nw.col("fiscal_quarter")
    week = nw.col("fiscal_week") - (quarter - 1) * _WEEKS_IN_QUARTER
    month = (quarter - 1) * 3 + _in_month_of_quarter(week, 1, 2, 3)
    week_of_month = week - _in_month_of_quarter(week, 0, _FIRST_MONTH_ENDS, _SECOND_MONTH_ENDS)
    return days.with_columns(
        _number(month).alias("fiscal_month"),
        _name(month % 12 + 1, _MONTHS).alias("fiscal_month_name"),
        _number(week_of_month).alias("fiscal_week_of_month"),
        _number((week_of_month - 1) * 7 + nw.col("day_of_week") % 7 + 1).alias("fiscal_day_of_month"),
    )


def _in_month_of_quarter(week: nw.Expr, first: int, second: int, third: int) -> nw.Expr:
    is_first, is_second = week <= _FIRST_MONTH_ENDS, week <= _SECOND_MONTH_ENDS
    return (
        nw.when(is_first)
        .then(nw.lit(first))
        .otherwise(nw.when(is_second).then(nw.lit(second)).otherwise(nw.lit(third)))
    )


def _with_retail_bounds(days: nw.LazyFrame) -> nw.LazyFrame:
    sunday, week, month = nw.col("fiscal_week_start"), nw.col("fiscal_week"), nw.col("fiscal_month")
    quarter, year = nw.col("fiscal_quarter"), nw.col("fiscal_year")
    started = days.with_columns(
        _weeks_earlier(sunday, nw.col("fiscal_week_of_month") - 1, 4).alias("fiscal_month_start"),
        _weeks_earlier(sunday, week - 1 - (quarter - 1) * _WEEKS_IN_QUARTER, 13).alias("fiscal_quarter_start"),
        _weeks_earlier(sunday, week - 1, 52).alias("fiscal_year_start"),
    )
    # A year is long where the Sunday 52 weeks after its first, moved back by 28 days as above, still falls in it.
    is_long = nw.col("fiscal_year_start").dt.offset_by("336d").dt.year() == year
    extra = nw.when(is_long).then(nw.lit(1)).otherwise(nw.lit(0))
    extra_in_month = nw.when(month == _LAST_MONTH).then(extra).otherwise(month % 3 // 2)
    extra_in_quarter = nw.when(quarter == _LAST_QUARTER).then(extra).otherwise(nw.lit(0))
    return started.with_columns(
        _number(extra + _WEEKS_IN_YEAR).alias("fiscal_weeks_in_year"),
        _day(sunday.dt.offset_by("6d")).alias("fiscal_week_end"),
        _last_day(nw.col("fiscal_month_start"), extra_in_month, 4).alias("fiscal_month_end"),
        _last_day(nw.col("fiscal_quarter_start"), extra_in_quarter, _WEEKS_IN_QUARTER).alias("fiscal_quarter_end"),
        _last_day(nw.col("fiscal_year_start"), extra, _WEEKS_IN_YEAR).alias("fiscal_year_end"),
    )


def _weeks_earlier(sunday: nw.Expr, weeks: nw.Expr, most: int) -> nw.Expr:
    return _moved(sunday, weeks * -7, range(-7 * most, 1, 7))


def _last_day(start: nw.Expr, extra_weeks: nw.Expr, weeks: int) -> nw.Expr:
    days = weeks * 7 - 1
    return _moved(start, extra_weeks * 7 + days, range(days, days + 8, 7))


def _moved(day: nw.Expr, days: nw.Expr, possible: range) -> nw.Expr:
    """Move a day by a number of days, one branch for each possible: Narwhals cannot add a column of days on Spark."""
    branches = [nw.when(days == number).then(day.dt.offset_by(f"{number}d")) for number in possible]
    return _day(nw.coalesce(*branches))


def _number(value: nw.Expr) -> nw.Expr:
    return value.cast(nw.Int32)


def _day(value: nw.Expr) -> nw.Expr:
    return value.cast(nw.Date)


def _name(number: nw.Expr, names: tuple[str, ...]) -> nw.Expr:
    numbers = list(range(1, len(names) + 1))
    return number.replace_strict(numbers, list(names), default=nw.lit(None, nw.String), return_dtype=nw.String)
