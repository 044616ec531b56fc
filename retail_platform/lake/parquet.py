"""Lake tables: folders of Parquet files, one folder a day, replaced file by file.

`<root>/<partition column>=YYYY-MM-DD/<name>.parquet`. A file is written beside its target, synced and renamed over it,
so that a reader sees the old day or the new one, and a crash leaves one of the two. A day without rows has an empty
file.
The partition column stands in the files too, so that each can be read alone.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

DAY_FILE = "data"
"""Name of a day's only file, in tables that are not written file by file."""

FILE_ID = "file_id"
"""Column that tells the rows of different files of a day apart; it is not stored."""

_NOTE = "retail.note"
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_WRITERS = 4
"""Threads that write at once: a sync waits for the disk, not for a core."""


@dataclass(frozen=True, kw_only=True)
class FileRows:
    """Rows to write file by file: `rows` are all that `files` (name and day) shall hold, told apart by `file_id`."""

    rows: pl.DataFrame
    files: Sequence[tuple[str, date]]


@dataclass(frozen=True, kw_only=True)
class LakeTable:
    """One table of the lake.

    Attributes:
        root: Its folder.
        partition_column: The Date column that names a row's day.
        schema: Column -> type. Reading yields exactly these columns; those that a file lacks are null.
    """

    root: Path
    partition_column: str
    schema: pl.Schema

    def folder(self, day: date) -> Path:
        """The folder of a day."""
        return self.root / f"{self.partition_column}={day.isoformat()}"

    def days(self) -> list[date]:
        """The days that have been written, in order."""
        prefix = f"{self.partition_column}="
        if not self.root.is_dir():
            return []
        names = (entry.name.removeprefix(prefix) for entry in os.scandir(self.root) if entry.name.startswith(prefix))
        return sorted(date.fromisoformat(name) for name in names if _ISO_DAY.fullmatch(name))

    def write_days(
        self, frame: pl.DataFrame, days: Collection[date], *, notes: Mapping[date, str] | None = None
    ) -> None:
        """Replace these days: each gets its rows, or an empty file; `notes` are written into the days' files."""
        by_day = _split(frame, self.partition_column)
        files = {self.day_file(day): day for day in days}
        noted = {file: notes[day] for file, day in files.items()} if notes else {}
        self._write({file: by_day.get((day,)) for file, day in files.items()}, notes=noted)

    def day_file(self, day: date) -> Path:
        """A day's only file, in tables that are not written file by file."""
        return self.folder(day) / f"{DAY_FILE}.parquet"

    def note(self, day: date) -> str | None:
        """What was noted in a day's file when it was written."""
        file = self.day_file(day)
        return pl.read_parquet_metadata(file).get(_NOTE) if file.exists() else None

    def write_files(self, written: FileRows) -> None:
        """Replace files: each gets its rows, or none."""
        by_file = _split(written.rows, FILE_ID, self.partition_column)
        frames = {
            self.folder(day) / f"{name}.parquet": rows.drop(FILE_ID)
            if (rows := by_file.get((name, day))) is not None
            else None
            for name, day in written.files
        }
        self._write(frames)

    def scan(self, days: Iterable[date] | None = None) -> pl.LazyFrame:
        """Read these days (all of them by default); days that were never written are empty."""
        return self._scan([str(file) for day in (self.days() if days is None else days) for file in self.files(day)])

    def scan_files(self, files: Iterable[tuple[str, date]]) -> pl.LazyFrame:
        """Read these files (name and day) alone; those that were never written are empty."""
        paths = [self.folder(day) / f"{name}.parquet" for name, day in files]
        return self._scan([str(path) for path in paths if path.is_file()])

    def _scan(self, files: list[str]) -> pl.LazyFrame:
        if not files:
            return self.schema.to_frame().lazy()
        return pl.scan_parquet(
            files,
            schema=self.schema,
            missing_columns="insert",
            extra_columns="ignore",
            hive_partitioning=False,
            glob=False,
        )

    def files(self, day: date) -> list[Path]:
        """The files of a day, in order."""
        folder = self.folder(day)
        if not folder.is_dir():
            return []
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name.endswith(".parquet"))

    def row_counts(self, days: Iterable[date]) -> Mapping[date, int]:
        """How many rows the files of these days hold, counted in the files themselves."""
        days = list(days)
        counted = self.scan(days).group_by(self.partition_column).len().collect()
        found = dict(counted.iter_rows())
        return {day: found.get(day, 0) for day in days}

    def _write(self, frames: Mapping[Path, pl.DataFrame | None], *, notes: Mapping[Path, str] | None = None) -> None:
        empty = self.schema.to_frame()
        notes = notes or {}
        with ThreadPoolExecutor(_WRITERS) as pool:
            written = [
                pool.submit(replace_file, path, empty if frame is None else frame, note=notes.get(path))
                for path, frame in frames.items()
            ]
        for future in written:
            future.result()


def replace_file(path: Path, frame: pl.DataFrame, *, note: str | None = None) -> None:
    """Write a Parquet file so that it is there whole or not at all; the note stands in its metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        frame.write_parquet(file, compression="zstd", statistics=True, metadata={_NOTE: note} if note else None)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _split(frame: pl.DataFrame, *columns: str) -> dict[tuple[object, ...], pl.DataFrame]:
    return frame.partition_by(columns, as_dict=True, maintain_order=True)


def each_day(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)
