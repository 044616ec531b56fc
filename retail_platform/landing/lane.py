"""A source's lane: where its files, bronze tables and key indexes are, and what follows from a change of keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from retail_platform.contracts.bronze import DROP_DATE, KEY, SOURCE_FILE, bronze_schema
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.lake.parquet import LakeTable
from retail_platform.landing.csv_file import CsvContent, read_csv
from retail_platform.landing.key_index import KeyIndex
from retail_platform.landing.ledger import Drop, Ledger
from retail_platform.settings import Settings
from retail_platform.source_spec import SourceSpec
from retail_platform.transforms.lookups import BEGINNING, END


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A source's way from landing to silver."""

    source: str
    spec: SourceSpec
    settings: Settings
    ledger: Ledger

    def bronze(self, feed: str) -> LakeTable:
        """The bronze table of a feed."""
        root = self.settings.lake_dir / "bronze" / self.source / feed
        return LakeTable(root=root, partition_column=PARTITION_DATE, schema=bronze_schema(self.spec.feeds[feed]))

    def index(self, feed: str) -> KeyIndex:
        """The key index of a feed."""
        lookups = tuple(self.spec.lookup_columns(feed))
        return KeyIndex(root=self.settings.index_dir / self.source / feed, lookups=lookups)

    def landing_file(self, path: str) -> Path:
        """The absolute path of a landing file."""
        return self.settings.landing_dir / path

    def read(self, content: bytes, feed: str) -> CsvContent:
        """Read a file of a feed.

        Raises:
            UnreadableFile: it is not a CSV file of this feed.
        """
        spec = self.spec.feeds[feed]
        return read_csv(content, expected=spec.all_columns, delimiter=spec.delimiter, encoding=spec.encoding)

    def days_of(self, drops: Iterable[Drop]) -> set[date]:
        """The days that drops touch."""
        days = self.ledger.days_of([drop.drop_id for drop in drops])
        return {day for of_drop in days.values() for day in of_drop}

    def keys_of(self, drops: Iterable[Drop], feed: str) -> pl.LazyFrame:
        """The different keys (`_key`) that bronze holds from drops of a feed."""
        drops = list(drops)
        held = self.bronze(feed).scan(sorted(self.days_of(drops)))
        return held.filter(pl.col(SOURCE_FILE).is_in([drop.path for drop in drops])).select(KEY).drop_nulls().unique()

    def affected_days(self, feed: str, keys: pl.LazyFrame, drop_dates: set[date]) -> set[date]:
        """The days that must follow when these keys of a feed come, change or go.

        A key of a transactional feed may stand on other days, too: only its latest version counts. A key of a master
        feed may be looked up by rows of any day from its drop date to its next version.
        """
        if self.spec.feeds[feed].kind == "transactional":
            return self.index(feed).days_of(keys)
        affected: set[date] = set()
        for user, lookup in self.spec.feed_users(feed):
            changes = self._validity(feed, keys, drop_dates)
            affected |= self.index(user).days_using(lookup.feed, changes)
        return affected

    def _validity(self, feed: str, keys: pl.LazyFrame, drop_dates: set[date]) -> pl.LazyFrame:
        """From when to when the versions that these drop dates give the keys hold, judged by all that is known."""
        dates = pl.LazyFrame({DROP_DATE: sorted(drop_dates)}, schema={DROP_DATE: pl.Date})
        known = self.index(feed).versions_of(keys).select(KEY, DROP_DATE)
        versions = pl.concat([known, keys.select(KEY).join(dates, how="cross")]).unique().sort(KEY, DROP_DATE)
        is_first = pl.col(DROP_DATE) == pl.col(DROP_DATE).min().over(KEY)
        return versions.select(
            KEY,
            DROP_DATE,
            pl.when(is_first).then(pl.lit(BEGINNING)).otherwise(pl.col(DROP_DATE)).alias("valid_from"),
            pl.col(DROP_DATE).shift(-1).over(KEY).fill_null(END).alias("valid_to"),
        ).join(dates, on=DROP_DATE, how="semi")


def lanes(sources: Mapping[str, SourceSpec], settings: Settings, ledger: Ledger) -> dict[str, Lane]:
    """A lane for each source."""
    return {name: Lane(source=name, spec=spec, settings=settings, ledger=ledger) for name, spec in sources.items()}
