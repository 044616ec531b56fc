"""Which snapshots are out of date: found by comparing each with the files it was made of, never remembered.

A snapshot of day D is made of the facts and members of all days up to D, of the calendars that sources deliver, and of
thresholds. Every snapshot's file carries the **signature** of these, taken before they were read. Whatever changes
them, a run, a backfill or a restored folder, makes the signature differ; and so does a change that came while the
snapshot was computed.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from retail_platform.contracts.snapshot_names import NEWEST_ONLY, SNAPSHOT_DATE, SNAPSHOT_NAMES
from retail_platform.lake.manifest import look_at_days
from retail_platform.lake.parquet import LakeTable

_INPUTS = {"fact_sales": "order_date", "dim_customer": "drop_date", "dim_product": "drop_date"}
_NO_SCHEMA = pl.Schema()


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What snapshots are made of, as it lay in the lake at one moment.

    Attributes:
        days: The days that have facts or members, in order.
        chain: For each of them, the signature of all files up to it.
        beside: The signature of what holds for every day: calendars and thresholds.
        has_facts: Whether there is any day of facts.
    """

    days: Sequence[date]
    chain: Sequence[str]
    beside: str
    has_facts: bool

    def signature(self, day: date) -> str:
        """The signature of what a day's snapshot is made of."""
        upto = bisect_right(self.days, day)
        return hashlib.sha256(f"{self.chain[upto - 1] if upto else ''} {self.beside}".encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Days on which the snapshots of some marts are missing or out of date."""

    days: tuple[date, date]
    marts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SnapshotShelf:
    """The snapshots of a lake.

    Attributes:
        lake_dir: The lake.
        thresholds: The settings that decide what snapshots say, in words.
        gap: Days without a snapshot that a range of overdue days may bridge: one more costs less than a run.
    """

    lake_dir: Path
    thresholds: str
    gap: int = 7

    def look(self) -> Inputs:
        """What snapshots would be made of now."""
        found: dict[date, list[str]] = {}
        has_facts = False
        for name, column in _INPUTS.items():
            looked = look_at_days(_folder(self.lake_dir / "gold" / name, column))
            has_facts = has_facts or (name == "fact_sales" and bool(looked))
            for day, look in looked.items():
                found.setdefault(day, []).append(f"{name}/{look.signature}")
        digest, chain = hashlib.sha256(), []
        days = sorted(found)
        for day in days:
            digest.update("|".join((day.isoformat(), *found[day])).encode())
            chain.append(digest.hexdigest())
        return Inputs(days=days, chain=chain, beside=self._beside, has_facts=has_facts)

    @property
    def _beside(self) -> str:
        calendars = sorted(self.lake_dir.glob("silver/*/calendar/*/*.parquet"))
        stats = [(str(file.relative_to(self.lake_dir)), file.stat()) for file in calendars]
        files = [f"{name}:{stat.st_ino}:{stat.st_mtime_ns}:{stat.st_size}" for name, stat in stats]
        return hashlib.sha256("|".join((self.thresholds, *files)).encode()).hexdigest()

    def overdue(self, newest: date) -> list[Overdue]:
        """What is to be computed, the newest day first, then older snapshots, in ranges.

        Args:
            newest: The last daily partition. It is overdue where it has no snapshot yet and anything changed since the
                one before it was taken.
        """
        inputs = self.look()
        if not inputs.has_facts:
            return []
        stale = {name: self._stale_days(name, inputs) for name in SNAPSHOT_NAMES}
        now = inputs.signature(newest)
        due = tuple(name for name in SNAPSHOT_NAMES if newest in stale[name] or self._shown(name) != now)
        older = {name: {day for day in days if day != newest} for name, days in stale.items()}
        first = [Overdue(days=(newest, newest), marts=due)] if due else []
        return first + self._ranges(older)

    def table(self, name: str) -> LakeTable:
        """A snapshot mart's folder; its columns are its contract's to say."""
        return _folder(self.lake_dir / "marts" / name, SNAPSHOT_DATE)

    def _shown(self, name: str) -> str | None:
        """The signature of a mart's newest snapshot."""
        table = self.table(name)
        days = table.days()
        return table.note(days[-1]) if days else None

    def _stale_days(self, name: str, inputs: Inputs) -> set[date]:
        table = self.table(name)
        days = table.days()
        looked_at = days[-1:] if name in NEWEST_ONLY else days
        return {day for day in looked_at if table.note(day) != inputs.signature(day)}

    def _ranges(self, stale: Mapping[str, Iterable[date]]) -> list[Overdue]:
        every = sorted({day for name, days in stale.items() if name not in NEWEST_ONLY for day in days}, reverse=True)
        ranges: list[tuple[date, date]] = []
        for day in every:
            if ranges and (ranges[-1][0] - day).days <= self.gap + 1:
                ranges[-1] = (day, ranges[-1][1])
            else:
                ranges.append((day, day))
        return [
            Overdue(
                days=(first, last),
                marts=tuple(
                    name
                    for name, days in stale.items()
                    if name not in NEWEST_ONLY and any(first <= day <= last for day in days)
                ),
            )
            for first, last in ranges
        ]


def _folder(root: Path, column: str) -> LakeTable:
    return LakeTable(root=root, partition_column=column, schema=_NO_SCHEMA)
