"""Finding files in a source's landing folder, and the date in their names. Nothing is read but the folder."""

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(-?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
ENDINGS = (".csv", ".tsv")
"""What a file's name ends in, in whatever case; which character separates its columns is seen in the file."""
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")


@dataclass(frozen=True, kw_only=True)
class LandingFile:
    """A file in landing, as the folder shows it; `path` is relative to the landing folder."""

    path: str
    feed: str
    size: int
    modified_ns: int


@dataclass(kw_only=True)
class Found:
    """What there is in a source's landing folder.

    Attributes:
        files: The CSV files, by path.
        ignored: What is none: path -> why.
        unreadable: What the operating system would not let us see: path -> why.
    """

    files: list[LandingFile] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def find_files(landing: Path, source: str, feeds: Collection[str]) -> Found:
    """List a source's files. Hidden ones, and those that are still being written by their name, are passed over."""
    found = Found()
    for feed in feeds:
        folders = os.walk(landing / source / feed, onerror=lambda error: _note_folder(found, landing, error))
        for folder, subfolders, names in folders:
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in names:
                if not name.startswith(".") and not name.lower().endswith(_UNFINISHED):
                    _note_file(found, landing, Path(folder) / name, feed)
    for name in _strangers(landing / source, feeds):
        found.ignored[f"{source}/{name}"] = f"{source} has no such feed; it has {', '.join(feeds)}"
    found.files.sort(key=lambda file: file.path)
    return found


def date_in_name(path: str, *, first: date, last: date) -> date | None:
    """The date in a file's name, else in that of the nearest folder below its feed's; only days in bounds count."""
    for part in reversed(Path(path).parts[2:]):
        for match in _DATE_IN_NAME.finditer(part):
            year, _, month, day = match.groups()
            try:
                named = date(int(year), int(month), int(day))
            except ValueError:
                continue
            if first <= named <= last:
                return named
    return None


def _note_file(found: Found, landing: Path, path: Path, feed: str) -> None:
    relative = path.relative_to(landing).as_posix()
    # The name is stored, hashed and shown as UTF-8; an archive made on Windows may unpack to names that are not.
    shown = relative.encode(errors="backslashreplace").decode()
    try:
        entry = path.stat()
    except FileNotFoundError:
        found.ignored[shown] = "it is a dead link, or gone by now"
    except OSError as error:
        found.unreadable[shown] = error.strerror or str(error)
    else:
        if not path.name.lower().endswith(ENDINGS):
            found.ignored[shown] = f"its name does not end in {' or '.join(ENDINGS)}"
        elif not stat.S_ISREG(entry.st_mode):
            found.ignored[shown] = "it is no regular file"
        elif shown != relative:
            found.unreadable[shown] = "its name is not UTF-8: rename it"
        else:
            file = LandingFile(path=relative, feed=feed, size=entry.st_size, modified_ns=entry.st_mtime_ns)
            found.files.append(file)


def _note_folder(found: Found, landing: Path, error: OSError) -> None:
    """A folder that cannot be listed hides files, so it is told; one that is not there does not."""
    if not isinstance(error, FileNotFoundError):
        folder = Path(error.filename).relative_to(landing).as_posix()
        found.unreadable[folder] = error.strerror or str(error)


def _strangers(folder: Path, feeds: Collection[str]) -> Iterator[str]:
    """What lies beside the feeds' folders: most likely a feed's name misspelt."""
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        yield from sorted(
            entry.name for entry in os.scandir(folder) if entry.name not in feeds and not entry.name.startswith(".")
        )
