"""Drops: files found in landing, read once, and taken into the ledger with the work that they make.

What a file means is decided here: its drop date, the days it touches, whether it replaces what the same path gave
before, whether it must be held until somebody has looked. Nothing is written to the lake.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
from filelock import FileLock

from retail_platform.contracts.bronze import DROP_DATE, KEY, bronze_schema
from retail_platform.contracts.rules import MALFORMED, PARTITION_DATE
from retail_platform.lake.parquet import LakeTable
from retail_platform.landing.csv_file import CsvContent, match_header, read_csv
from retail_platform.landing.encoding import UnreadableFile
from retail_platform.landing.filing import file_rows
from retail_platform.landing.key_index import KeyIndex
from retail_platform.landing.ledger import Drop, FileState, Ledger
from retail_platform.settings import Settings
from retail_platform.source_spec import FeedSpec, SourceSpec
from retail_platform.transforms.lookups import BEGINNING, END

_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(-?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")


@dataclass(frozen=True, kw_only=True)
class LandingFile:
    """A file in landing, as the folder shows it; `path` is relative to the landing folder."""

    path: str
    feed: str
    size: int
    modified_ns: int


@dataclass(kw_only=True)
class ScanReport:
    """What a look at a source's landing folder found.

    Attributes:
        files: How many files there are.
        new: The drops that were taken into the ledger.
        ignored: What is no CSV file: path -> why.
        unreadable: What the operating system would not let us read: path -> why. It is tried again at every look.
    """

    files: int = 0
    new: list[Drop] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A source's way from landing to silver: where its files, tables and indexes are."""

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

    # Finding

    def scan(self) -> ScanReport:
        """Look for new and changed files, and take them into the ledger. One bad file never hides another."""
        lock = self.settings.root / "locks" / f"{self.source}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        # Two that look at once would both read every new file, and then disagree on who was first.
        with FileLock(lock):
            return self._scan()

    def _scan(self) -> ScanReport:
        report = ScanReport()
        known = self.ledger.file_states(self.source)
        # What was rejected is tried again: the declaration may have been put right since, or the file have come back.
        rejected = {drop.drop_id for drop in self.ledger.drops(source=self.source, statuses=("rejected",))}
        for file in sorted(self._files(report), key=lambda file: file.path):
            report.files += 1
            state = known.get(file.path)
            is_known = state is not None and (state.size, state.modified_ns) == (file.size, file.modified_ns)
            if state is None or not is_known or state.drop_id in rejected:
                try:
                    drop = self._look_at(file, state)
                except FileNotFoundError:
                    continue  # it went while we looked, and so delivered nothing
                except OSError as error:
                    report.unreadable[file.path] = error.strerror or str(error)
                    continue
                if drop is not None:
                    report.new.append(drop)
        return report

    def _files(self, report: ScanReport) -> Iterator[LandingFile]:
        for feed in self.spec.feeds:
            root = self.settings.landing_dir / self.source / feed
            for folder, folders, names in os.walk(root, onerror=lambda error: self._note_folder(report, error)):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in names:
                    if not name.startswith(".") and not name.lower().endswith(_UNFINISHED):
                        yield from self._file(Path(folder) / name, feed, report)

    def _file(self, path: Path, feed: str, report: ScanReport) -> Iterator[LandingFile]:
        """The file at a path, if there is one to read; else the report says why not."""
        relative = path.relative_to(self.settings.landing_dir).as_posix()
        # The name is stored, hashed and shown as UTF-8; an archive made on Windows may unpack to names that are not.
        shown = relative.encode(errors="backslashreplace").decode()
        try:
            found = path.stat()
        except FileNotFoundError:
            report.ignored[shown] = "it is a dead link, or gone by now"
        except OSError as error:
            report.unreadable[shown] = error.strerror or str(error)
        else:
            if not path.name.lower().endswith(".csv"):
                report.ignored[shown] = "its name does not end in .csv"
            elif not stat.S_ISREG(found.st_mode):
                report.ignored[shown] = "it is no regular file"
            elif shown != relative:
                report.unreadable[shown] = "its name is not UTF-8: rename it"
            else:
                yield LandingFile(path=relative, feed=feed, size=found.st_size, modified_ns=found.st_mtime_ns)

    def _note_folder(self, report: ScanReport, error: OSError) -> None:
        """A folder that cannot be listed hides files, so it is told; one that is not there does not."""
        if not isinstance(error, FileNotFoundError):
            folder = Path(error.filename).relative_to(self.settings.landing_dir).as_posix()
            report.unreadable[folder] = error.strerror or str(error)

    # Registering

    def _look_at(self, file: LandingFile, before: FileState | None) -> Drop | None:
        content = self.landing_file(file.path).read_bytes()
        drop = self._identify(file, content)
        state = FileState(size=file.size, modified_ns=file.modified_ns, drop_id=drop.drop_id)
        known = self._same_content(before, drop)
        if known is not None and known.status != "rejected":
            self.ledger.note_file(file.path, self.source, replace(state, drop_id=known.drop_id))
            return None
        drop = self._as_first_seen(drop)
        feed = self.spec.feeds[file.feed]
        try:
            csv = self.read(content, file.feed)
        except UnreadableFile as error:
            return self._reject(drop, state, str(error), known=known)
        return self._register(drop, state, csv, feed, known=known)

    def _register(
        self, drop: Drop, state: FileState, csv: CsvContent, feed: FeedSpec, *, known: Drop | None
    ) -> Drop | None:
        match = match_header(csv.header, feed.all_columns)
        rows = csv.rows.rename(dict(match.renamed))
        malformed = rows[MALFORMED].count()
        drop = replace(
            drop,
            rows=rows.height,
            malformed_rows=malformed,
            message="; ".join(csv.notes),
            new_columns=", ".join(match.unknown),
            renamed_columns=", ".join(
                f"{found} ({how} {name})"
                for how, pairs in (("is", match.renamed), ("perhaps", match.similar))
                for found, name in pairs.items()
            ),
            missing_columns=", ".join(name for name in match.missing if name in feed.columns),
        )
        if drop.missing_columns:
            return self._reject(drop, state, _missing_columns(drop, csv), known=known)
        filed = file_rows(rows, feed, drop, start=self.settings.start_date)
        days = dict(filed.group_by(PARTITION_DATE).len().iter_rows())
        predecessors = self._predecessors(drop, feed)
        # A file without rows has a day, too, on which it is loaded and its remark shows.
        days = (dict.fromkeys(self._days_of(predecessors), 0) | days) or {drop.drop_date: 0}
        old = self._keys_of(predecessors, drop.feed)
        lost = old.join(filed.lazy().select(KEY), on=KEY, how="anti").collect().height
        total = old.collect().height
        set_aside = self._set_aside(drop)
        complained = self._days_of([old for old in [*set_aside, known] if old and old.status == "rejected"])
        if total and lost / total > self.settings.rewrite_hold_share:
            drop = replace(drop, status="held", message=_held(drop, lost, total))
            self.ledger.register(drop, state, days=days, replaces=_ids(set_aside), dirty=complained)
            return drop
        changed = pl.concat([old, filed.lazy().select(KEY).drop_nulls()]).unique()
        self.ledger.register(
            drop,
            state,
            days=days,
            replaces=_ids([*predecessors, *set_aside]),
            dirty=set(days) | complained | self.affected_days(drop.feed, changed, {drop.drop_date}),
        )
        return drop

    def _reject(self, drop: Drop, state: FileState, message: str, *, known: Drop | None) -> Drop | None:
        """Nothing of the file is taken; its drop date is run, so that the day's checks show it."""
        if known is not None and known.message == message:
            self.ledger.note_file(drop.path, self.source, replace(state, drop_id=known.drop_id))
            return None
        drop = replace(drop, status="rejected", message=message)
        set_aside = self._set_aside(drop)
        days = {drop.drop_date: 0}
        dirty = set(days) | self._days_of(set_aside)
        self.ledger.register(drop, state, days=days, replaces=_ids(set_aside), dirty=dirty)
        return drop

    def accept(self, drop_id: str) -> Drop:
        """Let a held drop through.

        Raises:
            KeyError: no such drop.
            ValueError: the drop is not held.
        """
        drop = self.ledger.drop(drop_id)
        if drop.status != "held":
            raise ValueError(f"drop {drop_id} ({drop.path}) is {drop.status}, not held: there is nothing to accept")
        predecessors = [old.drop_id for old in self._predecessors(drop, self.spec.feeds[drop.feed])]
        days = self.ledger.days_of([drop_id])[drop_id]
        self.ledger.accept(drop_id, replaces=predecessors, dirty=days)
        return drop

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

    def read(self, content: bytes, feed: str) -> CsvContent:
        """Read a file of a feed.

        Raises:
            UnreadableFile: it is not a CSV file of this feed.
        """
        spec = self.spec.feeds[feed]
        return read_csv(content, expected=spec.all_columns, delimiter=spec.delimiter, encoding=spec.encoding)

    # Identity

    def _identify(self, file: LandingFile, content: bytes) -> Drop:
        fingerprint = hashlib.sha256(content).hexdigest()
        modified = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
        named = self._date_in_name(file)
        today = datetime.now(UTC).date()
        drop_date = min(max(named or modified.date(), self.settings.start_date), today)
        feed = self.spec.feeds[file.feed]
        drop_id = _hash(file.path, fingerprint, drop_date.isoformat() if feed.kind == "master" else "")
        return Drop(
            drop_id=drop_id,
            source=self.source,
            feed=file.feed,
            path=file.path,
            file_id=drop_id if feed.on_rewrite == "append" else _hash(file.path),
            fingerprint=fingerprint,
            size=len(content),
            drop_date=drop_date,
            latest_date=max(named or modified.date(), modified.date()),
            dropped_at=modified,
            seen_at=datetime.now(UTC),
        )

    def _date_in_name(self, file: LandingFile) -> date | None:
        """The date in the file's name, else in that of the nearest folder; only days the platform has count."""
        parts = Path(file.path).parts[2:]
        today = datetime.now(UTC).date()
        for part in reversed(parts):
            for match in _DATE_IN_NAME.finditer(part):
                year, _, month, day = match.groups()
                try:
                    named = date(int(year), int(month), int(day))
                except ValueError:
                    continue
                if self.settings.start_date <= named <= today:
                    return named
        return None

    def _same_content(self, before: FileState | None, drop: Drop) -> Drop | None:
        """The drop that the file was when last looked at, if its content is still that."""
        known = self.ledger.drops(drop_ids=[before.drop_id]) if before else []
        return next((old for old in known if old.fingerprint == drop.fingerprint and old.status != "replaced"), None)

    def _as_first_seen(self, drop: Drop) -> Drop:
        """A content that comes back keeps the drop date that it had."""
        known = self.ledger.drops(drop_ids=[drop.drop_id])
        if not known:
            return drop
        first = known[0]
        return replace(
            drop,
            drop_date=first.drop_date,
            latest_date=first.latest_date,
            dropped_at=first.dropped_at,
            seen_at=first.seen_at,
        )

    # What came before

    def _predecessors(self, drop: Drop, feed: FeedSpec) -> list[Drop]:
        """The drops whose content this one replaces: those of its path; in master feeds, of its drop date too."""
        if feed.on_rewrite == "append":
            return []
        current = self.ledger.drops(path=drop.path, statuses=("pending", "loaded"))
        return [
            old
            for old in current
            if old.drop_id != drop.drop_id and (feed.kind == "transactional" or old.drop_date == drop.drop_date)
        ]

    def _set_aside(self, drop: Drop) -> list[Drop]:
        """Earlier contents of the path that never went through, and need not be spoken of any more."""
        waiting = self.ledger.drops(path=drop.path, statuses=("held", "rejected"))
        return [old for old in waiting if old.drop_id != drop.drop_id]

    def _days_of(self, drops: list[Drop]) -> set[date]:
        days = self.ledger.days_of([drop.drop_id for drop in drops])
        return {day for of_drop in days.values() for day in of_drop}

    def _keys_of(self, drops: list[Drop], feed: str) -> pl.LazyFrame:
        """The keys that bronze holds from these drops."""
        days = self._days_of(drops)
        paths = {drop.path for drop in drops}
        held = self.bronze(feed).scan(sorted(days)) if days else self.bronze(feed).schema.to_frame().lazy()
        return held.filter(pl.col("_source_file").is_in(paths)).select(KEY).drop_nulls().unique()


def lanes(sources: Mapping[str, SourceSpec], settings: Settings, ledger: Ledger) -> dict[str, Lane]:
    """A lane for each source."""
    return {name: Lane(source=name, spec=spec, settings=settings, ledger=ledger) for name, spec in sources.items()}


def _ids(drops: Iterable[Drop]) -> list[str]:
    return [drop.drop_id for drop in drops]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _missing_columns(drop: Drop, csv: CsvContent) -> str:
    return (
        f"the header lacks {drop.missing_columns}; it has {', '.join(csv.header)}"
        f"{f'. Renamed: {drop.renamed_columns}' if drop.renamed_columns else ''}. Deliver the file with these "
        "columns or, if the source has changed for good, adapt the feed's `columns` in its defs.yaml."
    )


def _held(drop: Drop, lost: int, total: int) -> str:
    return (
        f"the new content lacks {lost:,} of the {total:,} keys that {drop.path} gave before. If that is meant, run: "
        f"retail drops accept {drop.drop_id}. If not, deliver the whole file again."
    )
