"""Filing rows: which day each row of a drop belongs to, and the technical columns that bronze adds."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import narwhals as nw
import polars as pl

from retail_platform.contracts.bronze import DROP_DATE, DROP_ID, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.engines.engine import Reading
from retail_platform.engines.polars import PolarsEngine
from retail_platform.landing.ledger import Drop
from retail_platform.source_spec import LINE_NUMBER, ColumnSpec, FeedSpec
from retail_platform.transforms.headers import HEADER_KEY
from retail_platform.transforms.values import value_of

LOOKUP_KEY = "lookup."
"""Prefix of the hashed keys under which a row looks values up, by lookup feed."""
INDEXED_ROWS = "rows"
"""How many rows an entry of the key index stands for."""

_STRIPPED = "stripped."
_PART = "part."


def file_rows(rows: pl.DataFrame, feed: FeedSpec, drop: Drop, *, start: date) -> pl.DataFrame:
    """Add bronze's technical columns to the rows of one drop.

    A row is filed under its own business date where that can be read and is neither before `start` nor in the future,
    else under the drop date. The future begins two days after the later of the drop's name date and modification date:
    one day is left for time zones.

    Args:
        rows: The whole file's rows: text columns, `_row_number`, `_malformed`.
        feed: The feed's declaration.
        drop: The drop they come from.
        start: The platform's first day.

    Returns:
        The same rows in the same order, with every declared column and every technical one.
    """
    missing = [name for name in feed.all_columns if name not in rows.columns]
    filed = rows.lazy().with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in missing),
        pl.lit(drop.drop_id).alias(DROP_ID),
        pl.lit(drop.path).alias(SOURCE_FILE),
        pl.lit(drop.drop_date).alias(DROP_DATE),
        pl.lit(drop.dropped_at).cast(pl.Datetime("us", "UTC")).alias(DROPPED_AT),
    )
    filed = _with_filing_date(filed, feed, drop, start)
    filed = _with_hashes(filed, {KEY: feed.key}, defaults=feed.optional)
    place = pl.int_range(1, pl.len() + 1).over(KEY) if feed.rows_per_key == "many" else pl.lit(None)
    line_number = pl.when(pl.col(KEY).is_not_null()).then(place).cast(pl.Int64).alias(LINE_NUMBER)
    # One collect for all: a load may file thousands of small drops, and each collect costs half a millisecond.
    return filed.with_columns(line_number).collect()


def with_header_key(rows: pl.LazyFrame, by: ColumnSpec, feed: FeedSpec) -> pl.LazyFrame:
    """Add the hashed key of their header to rows of an undated feed; null where they name none."""
    return _with_hashes(rows, {HEADER_KEY: [by]}, defaults=feed.optional)


def index_entries(rows: pl.LazyFrame, lookups: Mapping[str, ColumnSpec], *, file_id: str) -> pl.LazyFrame:
    """What the key index keeps of filed rows: one entry per key, day, and lookup keys.

    Of rows with a header (those of undated feeds, `with_header_key`) one per header, too, with the rows it stands for,
    and also where they have no key of their own.

    Args:
        rows: Filed rows of one drop.
        lookups: What a lookup feed's key is made of, by lookup feed.
        file_id: The bronze file they are kept in.
    """
    hashed = _with_hashes(rows, {LOOKUP_KEY + feed: [column] for feed, column in lookups.items()}, defaults={})
    keys = [KEY, *([HEADER_KEY] if HEADER_KEY in rows.collect_schema().names() else [])]
    names = [*keys, PARTITION_DATE, DROP_DATE, SOURCE_FILE, DROPPED_AT, *(LOOKUP_KEY + feed for feed in lookups)]
    return (
        hashed.filter(pl.any_horizontal(pl.col(keys).is_not_null()))
        .group_by(names, maintain_order=True)
        .agg(pl.col(ROW_NUMBER).max(), pl.len().cast(pl.Int64).alias(INDEXED_ROWS))
        .with_columns(pl.lit(file_id).alias("file_id"))
    )


def _with_filing_date(rows: pl.LazyFrame, feed: FeedSpec, drop: Drop, start: date) -> pl.LazyFrame:
    if feed.date is None:
        return rows.with_columns(pl.lit(drop.drop_date).alias(PARTITION_DATE))
    rows = rows.with_columns(pl.col(feed.date.column).str.strip_chars().alias(PARTITION_DATE))
    reading = Reading(dtype=nw.Date(), formats=feed.date.formats)
    rows = PolarsEngine().parse(nw.from_native(rows), {PARTITION_DATE: reading}).to_native()
    own = pl.col(PARTITION_DATE)
    is_plausible = own.is_between(pl.lit(start), pl.lit(drop.latest_date + timedelta(days=1)))
    return rows.with_columns(pl.when(is_plausible).then(own).otherwise(pl.lit(drop.drop_date)).alias(PARTITION_DATE))


def _with_hashes(
    rows: pl.LazyFrame, keys: Mapping[str, Sequence[ColumnSpec]], *, defaults: Mapping[str, str | None]
) -> pl.LazyFrame:
    """Add hashed keys of text columns.

    White space around a value is no part of it, empty text is missing, and a missing value is that of `defaults`. Each
    part of a key then goes through its own steps, so that spellings which these make equal are one key.
    """
    columns = sorted({name for parts in keys.values() for part in parts for name in part.origins()})
    stripped = rows.with_columns(
        _strip(name).fill_null(pl.lit(defaults.get(name), pl.String)).alias(_STRIPPED + name) for name in columns
    )
    parts = {
        f"{_PART}{place}.{into}": value_of(part, prefix=_STRIPPED)
        for into, specs in keys.items()
        for place, part in enumerate(specs)
    }
    named = {into: [f"{_PART}{place}.{into}" for place in range(len(specs))] for into, specs in keys.items()}
    with_parts = nw.from_native(stripped).with_columns(value.alias(name) for name, value in parts.items())
    hashed = PolarsEngine().hash_keys(with_parts, named).to_native()
    return hashed.drop([*(_STRIPPED + name for name in columns), *parts])


def _strip(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)
