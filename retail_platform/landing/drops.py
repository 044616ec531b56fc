"""Drops: files found in landing, read once, and taken into the ledger with the work that they make.

What a file means is decided here: its drop date, the days it touches, whether it replaces what the same path gave
before, whether it must be held until somebody has looked. Nothing is written to the lake.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import polars as pl
from filelock import FileLock, Timeout

from retail_platform.contracts.bronze import KEY
from retail_platform.contracts.rules import MALFORMED, PARTITION_DATE
from retail_platform.landing.csv_file import CsvContent, HeaderMatch, match_header
from retail_platform.landing.encoding import UnreadableFile
from retail_platform.landing.filing import file_rows
from retail_platform.landing.finding import LandingFile, date_in_name, find_files
from retail_platform.landing.lane import Lane
from retail_platform.landing.ledger import Drop, FileState
from retail_platform.landing.settling import Settled, Sighting, part_settled
from retail_platform.source_spec import FeedSpec

_MOST_FILES = 30
_MOST_BYTES = 16_000_000
"""What a glance reads at most: a sensor's tick should not take a second, and must not take a minute."""


@dataclass(kw_only=True)
class ScanReport:
    """What a look at a source's landing folder found.

    Attributes:
        files: How many CSV files there are.
        new: The drops that were taken into the ledger.
        growing: New or changed files that may still be written, by path; they are looked at again.
        left: How many finished files were left for a scan, because they are too many or too large for a glance.
        is_busy: Somebody else is looking; nothing was read.
        ignored: What is no CSV file of a feed: path -> why.
        unreadable: What the operating system would not let us read: path -> why. It is tried again at every look.
    """

    files: int = 0
    new: list[Drop] = field(default_factory=list)
    growing: dict[str, Sighting] = field(default_factory=dict)
    left: int = 0
    is_busy: bool = False
    ignored: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def scan(lane: Lane) -> ScanReport:
    """Look for new and changed files of a source, and take them into the ledger. One bad file never hides another.

    For files that were written just now it waits a moment; those that go on growing are left alone.
    """
    quiet = lane.settings.settle_seconds
    # Two that look at once would both read every new file, and then disagree on who was first.
    with _lock(lane):
        report, settled = _look(lane, seen={}, retry_rejected=True)
        if settled.growing:
            time.sleep(quiet)
            report, settled = _look(lane, seen=settled.growing, retry_rejected=True)
        return _take(lane, report, settled.finished)


def glance(lane: Lane, *, seen: Mapping[str, Sighting], retry_rejected: bool) -> ScanReport:
    """Look as `scan` does, but in a second at most: without waiting, and reading a few files or none.

    Args:
        lane: The source.
        seen: What an earlier glance reported as growing.
        retry_rejected: Also read files again that were rejected as they are.
    """
    try:
        with _lock(lane, timeout=0):
            report, settled = _look(lane, seen=seen, retry_rejected=retry_rejected)
            files = settled.finished
            if len(files) > _MOST_FILES or sum(file.size for file in files) > _MOST_BYTES:
                report.left = len(files)
                return report
            return _take(lane, report, files)
    except Timeout:
        return ScanReport(is_busy=True, growing=dict(seen))


def accept(lane: Lane, drop_id: str) -> Drop:
    """Let a held drop through.

    Raises:
        KeyError: no such drop.
        ValueError: the drop is not held.
    """
    drop = lane.ledger.drop(drop_id)
    if drop.status != "held":
        raise ValueError(f"drop {drop_id} ({drop.path}) is {drop.status}, not held: there is nothing to accept")
    lane.ledger.accept(drop_id, replaces=_ids(_predecessors(lane, drop)), dirty=lane.days_of([drop]))
    return drop


def hold(lane: Lane, drop: Drop, *, why: str) -> None:
    """Take out a drop with which its days cannot be computed; the days are computed again without it."""
    message = f"{why} If that is put right, run: retail drops accept {drop.drop_id}. Or deliver the file again."
    dirty = lane.days_of([drop]) | lane.affected_days(drop.feed, lane.keys_of([drop], drop.feed), [drop])
    lane.ledger.hold(drop.drop_id, message, dirty=dirty)


def _lock(lane: Lane, *, timeout: float = -1) -> FileLock:
    lock = lane.settings.root / "locks" / f"{lane.source}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock, timeout=timeout)


def _look(lane: Lane, *, seen: Mapping[str, Sighting], retry_rejected: bool) -> tuple[ScanReport, Settled]:
    """What is in landing, and which of it has to be read; nothing is read yet."""
    found = find_files(lane.settings.landing_dir, lane.source, lane.spec.feeds)
    known = lane.ledger.file_states(lane.source)
    # What was rejected is tried again: the declaration may have been put right since.
    rejected = set(_ids(lane.ledger.drops(source=lane.source, statuses=("rejected",)))) if retry_rejected else set()
    waiting = [file for file in found.files if _has_changed(file, known.get(file.path), rejected)]
    settled = part_settled(waiting, seen=seen, now=time.time(), quiet_seconds=lane.settings.settle_seconds)
    report = ScanReport(
        files=len(found.files), growing=settled.growing, ignored=found.ignored, unreadable=found.unreadable
    )
    return report, settled


def _has_changed(file: LandingFile, state: FileState | None, rejected: Collection[str]) -> bool:
    if state is None or state.drop_id in rejected:
        return True
    return (state.size, state.modified_ns) != (file.size, file.modified_ns)


def _take(lane: Lane, report: ScanReport, files: Iterable[LandingFile]) -> ScanReport:
    """Read the files, and take them into the ledger."""
    known = lane.ledger.file_states(lane.source)
    for file in files:
        try:
            drop = _look_at(lane, file, known.get(file.path))
        except FileNotFoundError:
            continue  # it went while we looked, and so delivered nothing
        except OSError as error:
            report.unreadable[file.path] = error.strerror or str(error)
            continue
        if drop is not None:
            report.new.append(drop)
    return report


def _look_at(lane: Lane, file: LandingFile, before: FileState | None) -> Drop | None:
    content = lane.landing_file(file.path).read_bytes()
    drop = _identify(lane, file, content)
    state = FileState(size=file.size, modified_ns=file.modified_ns, drop_id=drop.drop_id)
    known = _same_content(lane, before, drop)
    if known is not None and known.status != "rejected":
        lane.ledger.note_file(file.path, lane.source, replace(state, drop_id=known.drop_id))
        return None
    drop = _as_first_seen(lane, drop)
    feed = lane.spec.feeds[file.feed]
    try:
        csv = lane.read(content, file.feed)
    except UnreadableFile as error:
        return _reject(lane, drop, state, str(error), known=known)
    return _register(lane, drop, state, csv, feed, known=known)


def _register(
    lane: Lane, drop: Drop, state: FileState, csv: CsvContent, feed: FeedSpec, *, known: Drop | None
) -> Drop | None:
    match = match_header(csv.header, feed.all_columns)
    drop = _described(drop, csv, match, feed)
    if drop.missing_columns:
        return _reject(lane, drop, state, _missing_columns(drop, csv), known=known)
    filed = file_rows(csv.rows.rename(dict(match.renamed)), feed, drop, start=lane.settings.start_date)
    predecessors = _predecessors(lane, drop)
    days = dict(filed.group_by(PARTITION_DATE).len().iter_rows())
    # A file without rows has a day, too, on which it is loaded and its remark shows.
    days = (dict.fromkeys(lane.days_of(predecessors), 0) | days) or {drop.drop_date: 0}
    set_aside = _set_aside(lane, drop)
    complained = lane.days_of([old for old in [*set_aside, known] if old and old.status == "rejected"])
    old = lane.keys_of(predecessors, drop.feed).collect()
    old_keys = old.select(KEY).drop_nulls().unique()
    lost = old_keys.join(filed, on=KEY, how="anti").height
    if lost > lane.settings.rewrite_hold_share * old_keys.height:
        drop = replace(drop, status="held", message=_held(drop, lost, old_keys.height))
        lane.ledger.register(drop, state, days=days, replaces=_ids(set_aside), dirty=complained)
        return drop
    changed = pl.concat([old, lane.keys_in(filed.lazy(), drop.feed).collect()]).unique().lazy()
    lane.ledger.register(
        drop,
        state,
        days=days,
        replaces=_ids([*predecessors, *set_aside]),
        dirty=set(days) | complained | lane.affected_days(drop.feed, changed, [drop]),
    )
    return drop


def _described(drop: Drop, csv: CsvContent, match: HeaderMatch, feed: FeedSpec) -> Drop:
    renamed = [f"{found} (is {name})" for found, name in match.renamed.items()]
    similar = [f"{found} (perhaps {name})" for found, name in match.similar.items()]
    return replace(
        drop,
        rows=csv.rows.height,
        malformed_rows=csv.rows[MALFORMED].count(),
        message="; ".join(csv.notes),
        new_columns=", ".join(match.unknown),
        renamed_columns=", ".join([*renamed, *similar]),
        missing_columns=", ".join(name for name in match.missing if name in feed.columns),
    )


def _reject(lane: Lane, drop: Drop, state: FileState, message: str, *, known: Drop | None) -> Drop | None:
    """Nothing of the file is taken; its drop date is run, so that the day's checks show it."""
    if known is not None and known.message == message:
        lane.ledger.note_file(drop.path, lane.source, replace(state, drop_id=known.drop_id))
        return None
    drop = replace(drop, status="rejected", message=message)
    set_aside = _set_aside(lane, drop)
    days = {drop.drop_date: 0}
    dirty = set(days) | lane.days_of(set_aside)
    lane.ledger.register(drop, state, days=days, replaces=_ids(set_aside), dirty=dirty)
    return drop


def _identify(lane: Lane, file: LandingFile, content: bytes) -> Drop:
    fingerprint = hashlib.sha256(content).hexdigest()
    modified = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
    today = datetime.now(UTC).date()
    named = date_in_name(file.path, first=lane.settings.start_date, last=today)
    drop_date = min(max(named or modified.date(), lane.settings.start_date), today)
    feed = lane.spec.feeds[file.feed]
    drop_id = _hash(file.path, fingerprint, drop_date.isoformat() if feed.kind == "master" else "")
    return Drop(
        drop_id=drop_id,
        source=lane.source,
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


def _same_content(lane: Lane, before: FileState | None, drop: Drop) -> Drop | None:
    """The drop that the file was when last looked at, if its content is still that."""
    known = lane.ledger.drops(drop_ids=[before.drop_id]) if before else []
    return next((old for old in known if old.fingerprint == drop.fingerprint and old.status != "replaced"), None)


def _as_first_seen(lane: Lane, drop: Drop) -> Drop:
    """A content that comes back keeps the drop date that it had."""
    known = lane.ledger.drops(drop_ids=[drop.drop_id])
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


def _predecessors(lane: Lane, drop: Drop) -> list[Drop]:
    """The drops whose content this one replaces: those of its path; in master feeds, of its drop date too."""
    feed = lane.spec.feeds[drop.feed]
    if feed.on_rewrite == "append":
        return []
    current = lane.ledger.drops(path=drop.path, statuses=("pending", "loaded"))
    # Of one that was held because its runs failed, bronze may hold rows.
    current += lane.ledger.withdrawals(source=lane.source, path=drop.path)
    return [
        old
        for old in current
        if old.drop_id != drop.drop_id and (feed.kind != "master" or old.drop_date == drop.drop_date)
    ]


def _set_aside(lane: Lane, drop: Drop) -> list[Drop]:
    """Earlier contents of the path that never went through, and need not be spoken of any more."""
    waiting = lane.ledger.drops(path=drop.path, statuses=("held", "rejected"))
    return [old for old in waiting if old.drop_id != drop.drop_id]


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
