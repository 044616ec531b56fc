"""Which row of a key counts: the one of its latest version.

Later always means (drop date, path, row), never time of arrival, so any order of arrival gives the same tables. Every
other row of the key is superseded: it stays in bronze, and the books count it.
"""

from collections.abc import Sequence
from datetime import date

import narwhals as nw

from retail_platform.contracts.bronze import DROP_DATE, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.engines.engine import Engine, Reading
from retail_platform.source_spec import FeedSpec

SUPERSEDED = "_superseded"
CREATED_AT = "_created_at"
VERSION = (DROP_DATE, SOURCE_FILE, DROPPED_AT, ROW_NUMBER)
"""What orders the versions of a key. The instant only tells apart contents of one path that is appended to."""

STATED_DATE = "_stated_date"
"""The date by which a master feed orders the rows of a key within a drop date (`latest_by`)."""

_NEVER = date(1, 1, 1)


def with_stated_date(rows: nw.LazyFrame, feed: FeedSpec, engine: Engine) -> nw.LazyFrame:
    """Add `_stated_date` to rows of a master feed; the same in every row where the feed declares no `latest_by`."""
    stated = feed.latest_by
    if stated is None:
        return rows.with_columns(nw.lit(_NEVER).alias(STATED_DATE))
    rows = rows.with_columns(nw.col(stated.column).str.strip_chars().alias(STATED_DATE))
    rows = engine.parse(rows, {STATED_DATE: Reading(dtype=nw.Date(), formats=stated.formats)})
    return rows.with_columns(nw.col(STATED_DATE).fill_null(_NEVER))


def latest_versions(
    versions: nw.LazyFrame, *, by: Sequence[str] = (KEY,), order: Sequence[str] = VERSION
) -> nw.LazyFrame:
    """The latest version of each key, and the instant of its first drop.

    Args:
        versions: Rows with `by` and the columns of `VERSION`; several rows a key.
        by: What names the key.
        order: The columns that say which version is later.

    Returns:
        One row a key: `by`, the columns of `VERSION` with the prefix `latest.`, and `_created_at`.
    """
    known = versions.filter(~nw.col(KEY).is_null())
    latest = known.unique(list(by), keep="last", order_by=list(order))
    first = known.unique(list(by), keep="first", order_by=list(VERSION))
    return latest.select(*by, *(nw.col(name).alias(f"latest.{name}") for name in VERSION)).join(
        first.select(*by, nw.col(DROPPED_AT).alias(CREATED_AT)), on=list(by), how="left"
    )


def mark_superseded(
    rows: nw.LazyFrame, latest: nw.LazyFrame, *, by: Sequence[str] = (KEY,), many: bool = False
) -> nw.LazyFrame:
    """Add `_superseded` (is there a later version of the row's key?) and `_created_at`.

    Args:
        rows: Bronze rows.
        latest: `latest_versions` over all rows that may share a key with them.
        by: What names the key.
        many: A version of the key is all its rows in one file, not one row.
    """
    compared = VERSION[:-1] if many else VERSION
    differs = nw.any_horizontal(*(nw.col(name) != nw.col(f"latest.{name}") for name in compared), ignore_nulls=True)
    return (
        rows.join(latest, on=list(by), how="left")
        .with_columns(
            nw.when(nw.col(KEY).is_null()).then(nw.lit(value=False)).otherwise(differs).alias(SUPERSEDED),
            nw.coalesce(CREATED_AT, DROPPED_AT).alias(CREATED_AT),
        )
        .drop([f"latest.{name}" for name in VERSION])
    )


def differs_from_previous(name: str) -> nw.Expr:
    """Whether a column differs from the row before, nulls being equal; to be used `.over(key, order_by=...)`."""
    value, before = nw.col(name), nw.col(name).shift(1)
    return (value != before) | (value.is_null() != before.is_null())
