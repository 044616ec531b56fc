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
from retail_platform.landing.filing import LOOKUP_KEY

_MONTH = "%Y-%m"


@dataclass(frozen=True, kw_only=True)
class KeyIndex:
    """The key index of one feed.

    Attributes:
        root: Its folder.
        lookups: The feeds it looks values up in; entries carry the hashed key for each.
    """

    root: Path
    lookups: tuple[str, ...] = ()

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
        )

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
            The keys (`_key`) whose entries came, changed or went. Repeating a replacement changes none.
        """
        gone = pl.DataFrame(list(files), schema={"file_id": pl.String(), PARTITION_DATE: pl.Date()}, orient="row")
        entries = entries.select(self.schema.names()).cast(self.schema)
        changed = [self.schema.to_frame().select(KEY)]
        for month in sorted({day.strftime(_MONTH) for _, day in files}):
            path = self.root / f"month={month}.parquet"
            new = entries.filter(pl.col(PARTITION_DATE).dt.strftime(_MONTH) == month)
            held = self._read(path)
            old = held.join(gone, on=["file_id", PARTITION_DATE], how="semi")
            names = self.schema.names()
            changed += [
                one.join(other, on=names, how="anti", nulls_equal=True).select(KEY)
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
        used = self.scan().select(pl.col(LOOKUP_KEY + feed).alias(KEY), PARTITION_DATE).unique()
        day = pl.col(PARTITION_DATE)
        affected = used.join(changes, on=KEY).filter((pl.col("valid_from") <= day) & (day < pl.col("valid_to")))
        return set(affected.select(PARTITION_DATE).unique().collect().to_series())
