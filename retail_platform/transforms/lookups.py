"""The versions of looked-up values, and the days on which each holds."""

from collections.abc import Sequence
from datetime import date

import narwhals as nw

from retail_platform.contracts.bronze import DROP_DATE, DROPPED_AT, ROW_NUMBER, SOURCE_FILE
from retail_platform.engines.engine import Engine
from retail_platform.source_spec import FeedSpec
from retail_platform.transforms.values import value_of
from retail_platform.transforms.versions import STATED_DATE, differs_from_previous, with_stated_date

BEGINNING = date(1, 1, 1)
END = date(9999, 12, 31)


def validity(rows: nw.LazyFrame, feed: FeedSpec, *, take: Sequence[str], engine: Engine) -> nw.LazyFrame:
    """When which value of a lookup feed holds.

    A version holds from its drop date to the day before the next one; a key's first version is open to the past, since
    orders may be older than the first price list. Equal neighbours are one version, so that a list delivered every
    night does not multiply the rows it is joined to.

    Args:
        rows: All bronze rows of a master feed.
        feed: Its declaration; its key is one value.
        take: The columns wanted.
        engine: What reads its dates.

    Returns:
        `lookup_key`, `valid_from`, `valid_to` (exclusive), and `take`; the intervals of a key cover all days.
    """
    versions = (
        with_stated_date(rows, feed, engine)
        .with_columns(value_of(feed.key[0], prefix="").alias("lookup_key"))
        .filter(~nw.col("lookup_key").is_null())
        .unique(["lookup_key", DROP_DATE], keep="last", order_by=[STATED_DATE, SOURCE_FILE, DROPPED_AT, ROW_NUMBER])
        .select("lookup_key", DROP_DATE, *take)
    )
    in_key = {"order_by": DROP_DATE}
    changed = [differs_from_previous(name).over("lookup_key", **in_key) for name in take]
    starts = nw.col(DROP_DATE).shift(1).over("lookup_key", **in_key).is_null()
    versions = versions.with_columns(nw.any_horizontal(starts, *changed, ignore_nulls=True).alias("starts"))
    versions = versions.filter(nw.col("starts"))
    previous = nw.col(DROP_DATE).shift(1).over("lookup_key", **in_key)
    following = nw.col(DROP_DATE).shift(-1).over("lookup_key", **in_key)
    return versions.select(
        "lookup_key",
        nw.when(previous.is_null()).then(nw.lit(BEGINNING)).otherwise(nw.col(DROP_DATE)).alias("valid_from"),
        following.fill_null(END).alias("valid_to"),
        *take,
    )
