"""A source's lane: where its files, bronze tables and key indexes are, and what follows from a change of keys."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from retail_platform.contracts.bronze import DROP_DATE, KEY, SOURCE_FILE, bronze_schema
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.lake.parquet import LakeTable
from retail_platform.landing.csv_file import CsvContent, read_csv
from retail_platform.landing.filing import index_entries, with_header_key
from retail_platform.landing.key_index import KeyIndex
from retail_platform.landing.ledger import Drop, Ledger
from retail_platform.settings import Settings
from retail_platform.source_spec import HeaderSpec, SourceSpec
from retail_platform.transforms.headers import HEADER_KEY
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
        return KeyIndex(
            root=self.settings.index_dir / self.source / feed,
            lookups=tuple(self.spec.lookup_columns(feed)),
            has_headers=self.spec.header_of(feed) is not None,
        )

    def index_entries(self, feed: str, filed: pl.DataFrame, *, file_id: str) -> pl.DataFrame:
        """What the key index keeps of filed rows of a feed, in the bronze file of this name."""
        rows = self._with_header_key(filed.lazy(), feed)
        return index_entries(rows, self.spec.lookup_columns(feed), file_id=file_id).collect()

    def _with_header_key(self, rows: pl.LazyFrame, feed: str) -> pl.LazyFrame:
        header = self.spec.header_of(feed)
        return rows if header is None else with_header_key(rows, header.by, self.spec.feeds[feed])

    def header_of(self, feed: str) -> HeaderSpec:
        """Where the rows of an undated feed find their day.

        Raises:
            ValueError: no entity is made of the feed, so nothing says it.
        """
        header = self.spec.header_of(feed)
        if header is None:
            raise ValueError(f"{self.source}/{feed}: no entity says which header its rows have")
        return header

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
        """The different keys (`KeyIndex.keys`) that bronze holds from drops of a feed."""
        drops = list(drops)
        held = self.bronze(feed).scan(sorted(self.days_of(drops)))
        return self.keys_in(held.filter(pl.col(SOURCE_FILE).is_in([drop.path for drop in drops])), feed)

    def keys_in(self, filed: pl.LazyFrame, feed: str) -> pl.LazyFrame:
        """The different keys (`KeyIndex.keys`) in filed rows of a feed."""
        names = self.index(feed).keys
        rows = self._with_header_key(filed, feed).select(names)
        return rows.filter(pl.any_horizontal(pl.col(names).is_not_null())).unique()

    def affected_days(
        self, feed: str, keys: pl.LazyFrame, drops: Collection[Drop], *, known: Collection[str] = ()
    ) -> set[date]:
        """The days that must follow when these keys of a feed come, change or go with these drops.

        A key of a transactional feed may stand on other days, too: only its latest version counts. Its rows may be
        headers: the lines of one that is new, or goes, leave quarantine, or go there. A row of an undated feed
        may have other versions, and each is of the day of its header. A key of a master feed may be looked up by rows
        of any day from its drop date to its next version.

        Args:
            feed: The feed.
            keys: `_key`, and the header's where the feed has headers (`KeyIndex.keys`).
            drops: What they come or go with.
            known: The ids of those drops that were there before and stay.
        """
        kind = self.spec.feeds[feed].kind
        if kind == "master":
            return self._days_looking_up(feed, keys, {drop.drop_date for drop in drops})
        if kind == "undated":
            return self._days_of_rows(feed, keys)
        coming = [drop for drop in drops if drop.drop_id not in known]
        return self.index(feed).days_of(keys) | self._days_waiting(feed, keys, coming)

    def _days_waiting(self, feed: str, keys: pl.LazyFrame, drops: Collection[Drop]) -> set[date]:
        """The days under which rows are filed that wait for these headers, or must wait again.

        A header that other files name, too, was there before and is there after.
        """
        if not self.spec.lines_of(feed):
            return set()
        named = self.index(feed).versions_of(keys)
        others = named.filter(~pl.col(SOURCE_FILE).is_in([drop.path for drop in drops])).select(KEY)
        come_or_gone = keys.select(KEY).join(others, on=KEY, how="anti")
        entries = [self.index(lines).under(come_or_gone).select(PARTITION_DATE) for lines in self.spec.lines_of(feed)]
        return set(pl.concat(entries).unique().collect().to_series())

    def _days_of_rows(self, feed: str, keys: pl.LazyFrame) -> set[date]:
        """The days of all versions of rows of an undated feed, and of the headers that were or will be theirs."""
        if self.spec.header_of(feed) is None:
            return set()
        index, headers = self.index(feed), self.index(self.header_of(feed).feed)
        versions = index.versions_of(keys).select(HEADER_KEY, PARTITION_DATE)
        named = keys.select(HEADER_KEY, pl.lit(None, pl.Date).alias(PARTITION_DATE))
        dated = index.days_under(pl.concat([versions, named]).unique(), headers)
        return set(dated.select("day").drop_nulls().unique().collect().to_series())

    def _days_looking_up(self, feed: str, keys: pl.LazyFrame, drop_dates: set[date]) -> set[date]:
        affected: set[date] = set()
        changes = self._validity(feed, keys, drop_dates)
        for user, names in self.spec.feed_users(feed).items():
            index = self.index(user)
            for name in names:
                if self.spec.feeds[user].kind == "undated":
                    affected |= index.days_using_under(name, changes, self.index(self.header_of(user).feed))
                else:
                    affected |= index.days_using(name, changes)
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
