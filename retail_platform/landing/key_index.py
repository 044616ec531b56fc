"""The key index of a feed: on which days, in which files, each key stands.

Kept as Parquet, one file per month of days, so that a load rewrites the months it touches and a look-up reads a few
hundred files at most however many days and drops there are. It follows bronze: whoever writes a bronze file replaces
the entries of that file and day. It can be made again from bronze at any time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from retail_platform.contracts.bronze import DROP_DATE, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.lake.parquet import replace_file
from retail_platform.landing.filing import INDEXED_ROWS, LOOKUP_KEY
from retail_platform.transforms.headers import HEADER_KEY
from retail_platform.transforms.versions import VERSION

_MONTH = "%Y-%m"


@dataclass(frozen=True, kw_only=True)
class KeyIndex:
    """The key index of one feed.

    Attributes:
        root: Its folder.
        lookups: The feeds it looks values up in; entries carry the hashed key for each.
        has_headers: Its rows find their day in another feed; entries carry the header's hashed key, and how many rows
            they stand for.
    """

    root: Path
    lookups: tuple[str, ...] = ()
    has_headers: bool = False

    @property
    def schema(self) -> pl.Schema:
        """Column -> type of its entries."""
        return pl.Schema(
            {
                KEY: pl.Int64(),
                PARTITION_DATE: pl.Date(),
                DROP_DATE: pl.Date(),
                SOURCE_FILE: pl.String(),
                DROPPED_AT: pl.Datetime("us", "UTC"),
                ROW_NUMBER: pl.Int64(),
                "file_id": pl.String(),
            }
            | {LOOKUP_KEY + feed: pl.Int64() for feed in self.lookups}
            | ({HEADER_KEY: pl.Int64(), INDEXED_ROWS: pl.Int64()} if self.has_headers else {})
        )

    @property
    def keys(self) -> list[str]:
        """The columns that say what a row is, and whose."""
        return [KEY, HEADER_KEY] if self.has_headers else [KEY]

    def scan(self) -> pl.LazyFrame:
        """Every entry: one per key, day, file and lookup keys, with the last row number."""
        files = sorted(self.root.glob("*.parquet"))
        if not files:
            return self.schema.to_frame().lazy()
        return pl.scan_parquet(files, schema=self.schema, missing_columns="insert", extra_columns="ignore", glob=False)

    def versions_of(self, keys: pl.LazyFrame) -> pl.LazyFrame:
        """The entries, on any day, of the keys in the column `_key`."""
        return self.scan().join(keys.select(KEY).unique(), on=KEY, how="semi")

    def days_of(self, keys: pl.LazyFrame) -> set[date]:
        """The days on which any of the keys in the column `_key` stand."""
        return set(self.versions_of(keys).select(PARTITION_DATE).unique().collect().to_series())

    def replace(self, entries: pl.DataFrame, *, files: Collection[tuple[str, date]]) -> pl.DataFrame:
        """Put `entries` in the place of all that these files held on these days.

        Returns:
            The keys (`_key`, and the header's where there are headers) whose entries came, changed or went. Repeating a
            replacement changes none.
        """
        gone = pl.DataFrame(list(files), schema={"file_id": pl.String(), PARTITION_DATE: pl.Date()}, orient="row")
        entries = entries.select(self.schema.names()).cast(self.schema)
        changed = [self.schema.to_frame().select(self.keys)]
        for month in sorted({day.strftime(_MONTH) for _, day in files}):
            path = self.root / f"month={month}.parquet"
            new = entries.filter(pl.col(PARTITION_DATE).dt.strftime(_MONTH) == month)
            held = self._read(path)
            old = held.join(gone, on=["file_id", PARTITION_DATE], how="semi")
            names = self.schema.names()
            changed += [
                one.join(other, on=names, how="anti", nulls_equal=True).select(self.keys)
                for one, other in ((old, new), (new, old))
            ]
            kept = held.join(gone, on=["file_id", PARTITION_DATE], how="anti")
            replace_file(path, pl.concat([kept, new]).sort(PARTITION_DATE, KEY))
        return pl.concat(changed).unique()

    def _read(self, path: Path) -> pl.DataFrame:
        if not path.exists():
            return self.schema.to_frame()
        return pl.scan_parquet(path, schema=self.schema, missing_columns="insert", extra_columns="ignore").collect()

    def days_using(self, feed: str, changes: pl.LazyFrame) -> set[date]:
        """The days with rows that look up a changed key of `feed` while the change holds.

        Args:
            feed: The lookup feed.
            changes: `_key`, and the days from `valid_from` up to, not including, `valid_to`.
        """
        return _days_within(self.scan().select(pl.col(LOOKUP_KEY + feed).alias(KEY), PARTITION_DATE), changes)

    def latest(self, keys: pl.LazyFrame) -> pl.LazyFrame:
        """The entry of the latest version of each of the keys in the column `_key`, whatever its day."""
        return self.versions_of(keys).sort(VERSION).unique(KEY, keep="last", maintain_order=True)

    # Of rows that find their day in another feed

    def under(self, headers: pl.LazyFrame) -> pl.LazyFrame:
        """The entries of the rows whose header is among the keys in the column `_key`."""
        return self.scan().join(headers.select(KEY).unique(), left_on=HEADER_KEY, right_on=KEY, how="semi")

    def days_under(self, entries: pl.LazyFrame, headers: "KeyIndex") -> pl.LazyFrame:
        """The same entries with their own day: that of their header's latest version, else the one of filing.

        Args:
            entries: `_header_key`, `partition_date`, and whatever else.
            headers: The index of the header feed.

        Returns:
            The entries, and `day`; `has_header` tells which of the two it is.
        """
        named = entries.select(pl.col(HEADER_KEY).alias(KEY))
        days = headers.latest(named).select(pl.col(KEY).alias(HEADER_KEY), pl.col(PARTITION_DATE).alias("day"))
        return entries.join(days, on=HEADER_KEY, how="left").with_columns(
            pl.col("day").is_not_null().alias("has_header"), pl.coalesce("day", PARTITION_DATE).alias("day")
        )

    def days_using_under(self, feed: str, changes: pl.LazyFrame, headers: "KeyIndex") -> set[date]:
        """As `days_using`, by the days of the headers; what has none looks nothing up."""
        used = (
            self.scan()
            .rename({LOOKUP_KEY + feed: "used"})
            .join(changes.select(pl.col(KEY).alias("used")).unique(), on="used", how="semi")
        )
        dated = self.days_under(used.select("used", HEADER_KEY, PARTITION_DATE), headers).filter("has_header")
        return _days_within(dated.select(pl.col("used").alias(KEY), pl.col("day").alias(PARTITION_DATE)), changes)


def _days_within(used: pl.LazyFrame, changes: pl.LazyFrame) -> set[date]:
    day = pl.col(PARTITION_DATE)
    affected = used.unique().join(changes, on=KEY).filter((pl.col("valid_from") <= day) & (day < pl.col("valid_to")))
    return set(affected.select(PARTITION_DATE).unique().collect().to_series())
