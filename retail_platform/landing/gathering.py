"""Undated feeds: which of their rows are of a day, wherever in bronze they stand.

Bronze files a row of an undated feed under its drop date. Its own day is that of its header's latest version, which the
key indexes of the two feeds tell, so that a day reads no file but those that hold its rows. A row whose header has not
come is of the day it is filed under.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from retail_platform.contracts.bronze import KEY
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.landing.filing import INDEXED_ROWS, with_header_key
from retail_platform.landing.key_index import KeyIndex
from retail_platform.landing.lane import Lane
from retail_platform.transforms.headers import HEADER_KEY
from retail_platform.transforms.versions import VERSION


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The rows of some days: `partition_date` is their own day, and `_header_key` names their header.

    Attributes:
        rows: Bronze rows of the undated feed.
        headers: Bronze rows of the header feed: one per header of these days.
    """

    rows: pl.LazyFrame
    headers: pl.LazyFrame


def gather(lane: Lane, feed: str, filed: pl.LazyFrame, days: Collection[date]) -> Gathered:
    """Gather the rows of an undated feed that are of some days.

    Args:
        lane: The source.
        feed: The undated feed.
        filed: Its bronze rows that are filed under these days.
        days: The days.
    """
    header = lane.header_of(feed)
    index, headers = lane.index(feed), lane.index(header.feed)
    latest = _of_days(headers, days).collect().lazy()
    named = latest.select(pl.col(KEY).alias(HEADER_KEY), PARTITION_DATE)
    files = index.under(latest).select("file_id", PARTITION_DATE).unique().sort(PARTITION_DATE, "file_id").collect()
    declared = lane.spec.feeds[feed]
    elsewhere = with_header_key(lane.bronze(feed).scan_files(files.iter_rows()), header.by, declared)
    of_headers = elsewhere.drop(PARTITION_DATE).join(named, on=HEADER_KEY)
    known = headers.scan().select(pl.col(KEY).alias(HEADER_KEY)).unique()
    waiting = with_header_key(filed, header.by, declared).join(known, on=HEADER_KEY, how="anti")
    rows = pl.concat([waiting, of_headers.select(waiting.collect_schema().names())]).collect()
    return Gathered(
        rows=rows.lazy(),
        headers=lane.bronze(header.feed).scan(sorted(days)).join(latest, on=[KEY, *VERSION], how="semi"),
    )


def row_counts(lane: Lane, feed: str, days: Collection[date]) -> Mapping[date, int]:
    """How many bronze rows of a feed are of each day.

    Of an undated feed these are the rows that its files hold for the day, less those that the key index gives to other
    days, and those that it gives to this one from others. Over all days that is every row once.
    """
    counts = dict(lane.bronze(feed).row_counts(days))
    if lane.spec.feeds[feed].kind != "undated":
        return counts
    index, headers = lane.index(feed), lane.index(lane.header_of(feed).feed)
    is_wanted = pl.col(PARTITION_DATE).is_in(list(days))
    gone = index.days_under(index.scan().filter(is_wanted), headers).filter("has_header")
    named = _of_days(headers, days).select(pl.col(KEY).alias(HEADER_KEY), pl.col(PARTITION_DATE).alias("day"))
    come = index.scan().join(named, on=HEADER_KEY)
    for entries, day, sign in ((gone, PARTITION_DATE, -1), (come, "day", 1)):
        for of_day, rows in entries.group_by(day).agg(pl.col(INDEXED_ROWS).sum()).collect().iter_rows():
            counts[of_day] += sign * rows
    return counts


def _of_days(headers: KeyIndex, days: Collection[date]) -> pl.LazyFrame:
    """The index entries of the headers whose latest version is of these days."""
    is_wanted = pl.col(PARTITION_DATE).is_in(list(days))
    return headers.latest(headers.scan().filter(is_wanted)).filter(is_wanted)
