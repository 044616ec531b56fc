"""Sample files as they are: which have the same columns, and what those columns hold."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path

import polars as pl

from retail_platform.landing.csv_file import MALFORMED, ROW_NUMBER, read_csv
from retail_platform.landing.encoding import UnreadableFile
from retail_platform.source_spec import DecimalMark

_FORMATS = (
    *("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d"),
    *("%Y%m%d", "%d.%m.%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%m-%Y"),
    *("%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M"),
    *("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
"""From the surest on: of two that read as many values, the first is taken."""

_MOST_VALUES = 2_000
"""Different values of a column that are tried: enough to see every way in which it is written."""
_MOSTLY = 0.9
_ALIKE = 0.6
"""Files of one name that share this much of their columns are one feed: exports of several countries, or years."""
_YEARS = range(1900, 2101)
_NUMBER = re.compile(r"-?\d+([.,]\d+)?|-?\d{1,3}(\.\d{3})+(,\d+)?|-?\d{1,3}(,\d{3})+(\.\d+)?")
_WITH_COMMA = re.compile(r"-?(\d+|\d{1,3}(\.\d{3})+),\d+|-?\d{1,3}(\.\d{3}){2,}")
_WITH_POINT = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)\.\d+")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_SIGN = re.compile(r"^(-?)\s*[$€£¥]\s*|\s*[$€£¥]$")
_DATED = re.compile(r"(19|20)\d\d[-_.]?[01]\d([-_.]?[0-3]\d)?([-_T ]?\d{4,6})?|[0-3]?\d[-_.][01]?\d[-_.](19|20)\d\d")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, kw_only=True)
class ColumnLook:
    """What a column of the samples holds.

    Attributes:
        name: As in the files.
        values: Its text, stripped, null where missing.
        is_optional: Some files do not have it.
    """

    name: str
    values: pl.Series
    is_optional: bool = False

    @cached_property
    def distinct(self) -> list[str]:
        """Its different values, in their order; not all of very many."""
        return self.values.drop_nulls().unique(maintain_order=True).head(_MOST_VALUES).to_list()

    @cached_property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return bool(len(self.values)) and not self.values.null_count() and not self.values.is_duplicated().any()

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """The formats that read its values as dates, the most frequent first; none where it holds no dates."""
        left, found = list(self.distinct), []
        while left:
            best = max(_FORMATS, key=lambda how: sum(_is_date(value, how) for value in left))
            rest = [value for value in left if not _is_date(value, best)]
            if len(rest) == len(left):
                break
            found.append(best)
            left = rest
        return tuple(found) if found and len(left) <= (1 - _MOSTLY) * len(self.distinct) else ()

    @cached_property
    def is_ambiguous_date(self) -> bool:
        """Whether day and month could be the other way round."""
        swaps = [how.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m") for how in self.formats]
        slashed = [(how, swap) for how, swap in zip(self.formats, swaps, strict=True) if "/" in how and how[1] != "Y"]
        return bool(slashed) and all(_is_date(value, swap) for _, swap in slashed for value in self.distinct)

    @cached_property
    def is_number(self) -> bool:
        """Whether it holds numbers, in whatever way they are written."""
        return _share(self._bare, _NUMBER) >= _MOSTLY

    @cached_property
    def mark(self) -> DecimalMark | None:
        """Its decimal mark, where that must be declared: a comma, or a point beside thousands or a currency's sign."""
        if not self.is_number:
            return None
        commas = sum(bool(_WITH_COMMA.fullmatch(value)) for value in self._bare)
        points = sum(bool(_WITH_POINT.fullmatch(value)) for value in self._bare)
        if commas > points:
            return ","
        is_marked = any(_THOUSANDS.fullmatch(value) for value in self._bare) or self._bare != self.distinct
        return "." if points and is_marked else None

    @cached_property
    def _bare(self) -> list[str]:
        """Its different values without signs of currencies."""
        return [_SIGN.sub(r"\1", value) for value in self.distinct]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Files that have the same columns, or nearly so under nearly the same name: one feed.

    Attributes:
        name: Of the feed, from the files' names without dates.
        files: Where they are.
        columns: What their columns hold, by name, in the order of the first file.
        rows: How many good rows there are.
        file_of: For each row, which file it is of.
        dialect: How they are written, for people.
        notes: What is odd about them, for people.
    """

    name: str
    files: tuple[Path, ...]
    columns: dict[str, ColumnLook]
    rows: int
    file_of: pl.Series
    dialect: str
    notes: tuple[str, ...]

    @cached_property
    def mark(self) -> DecimalMark | None:
        """The decimal mark that the feed is to declare."""
        marks = [column.mark for column in self.columns.values() if column.mark]
        return max(marks, key=marks.count) if marks else None

    def is_key(self, names: Sequence[str]) -> bool:
        """Whether these columns together name each row of a file, and are never missing.

        What several files name is delivered again.
        """
        key = pl.DataFrame([self.file_of, *(self.columns[name].values.alias(str(i)) for i, name in enumerate(names))])
        return bool(key.height) and not any(key.null_count().row(0)) and not key.is_duplicated().any()


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    rows: pl.DataFrame
    dialect: str
    notes: tuple[str, ...]


def look_at(files: Sequence[Path]) -> list[Sample]:
    """Read sample files, and put those with the same columns together; in the order given.

    Raises:
        UnreadableFile: one cannot be read; the message names it.
        OSError: the operating system would not let us.
    """
    groups: list[list[_File]] = []
    for path in files:
        file = _read(path)
        group = next((group for group in groups if _is_alike(file, group)), None)
        if group is None:
            groups.append([file])
        else:
            group.append(file)
    samples: list[Sample] = []
    for group in groups:
        taken = [sample.name for sample in samples]
        samples.append(_sample(group, taken))
    return samples


def _is_alike(file: _File, group: Sequence[_File]) -> bool:
    """Whether a file belongs to a feed: it has the columns of its first file, or most of them and its name."""
    first = group[0]
    mine, its = set(file.rows.columns), set(first.rows.columns)
    is_named_so = _feed_name([file.path]) == _feed_name([first.path])
    return mine == its or (is_named_so and len(mine & its) >= _ALIKE * max(len(mine), len(its)))


def simple_name(text: str) -> str:
    """A name in lower case, of letters, digits and `_`: `Kunden-Nr` and `KundenNr` are `kunden_nr`."""
    spaced = re.sub(r"(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    plain = unicodedata.normalize("NFKD", spaced.lower().translate(_GERMAN)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _read(path: Path) -> _File:
    try:
        content = read_csv(path.read_bytes(), expected=())
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error
    names = [name for name in content.rows.columns if name not in {ROW_NUMBER, MALFORMED}]
    good = content.rows.filter(pl.col(MALFORMED).is_null()).select(names)
    stripped = good.with_columns(pl.all().str.strip_chars()).with_columns(pl.all().replace("", None))
    delimiter = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[content.delimiter]
    return _File(path=path, rows=stripped, dialect=f"{delimiter}, {content.encoding}", notes=content.notes)


def _sample(group: Sequence[_File], taken: Sequence[str]) -> Sample:
    rows = pl.concat([file.rows for file in group], how="diagonal")
    everywhere = set.intersection(*(set(file.rows.columns) for file in group))
    return Sample(
        name=_free(_feed_name([file.path for file in group]), taken),
        files=tuple(file.path for file in group),
        columns={
            name: ColumnLook(name=name, values=rows[name], is_optional=name not in everywhere) for name in rows.columns
        },
        rows=rows.height,
        file_of=pl.Series("file", [number for number, file in enumerate(group) for _ in range(file.rows.height)]),
        dialect=" and ".join(dict.fromkeys(file.dialect for file in group)),
        notes=tuple(f"{file.path.name}: {note}" for file in group for note in file.notes),
    )


def _feed_name(paths: Sequence[Path]) -> str:
    """What the files' names have in common, without dates and running numbers."""
    stems = [simple_name(re.sub(r"[-_ (]+\d{1,4}\)?$", "", _DATED.sub("", path.stem).strip("-_ ."))) for path in paths]
    words = takewhile(lambda same: len(set(same)) == 1, zip(*(stem.split("_") for stem in stems), strict=False))
    common = "_".join(same[0] for same in words)
    name = common or stems[0] or simple_name(paths[0].parent.name) or "feed"
    return (name if name[0].isalpha() else f"feed_{name}")[:50]


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _is_date(value: str, how: str) -> bool:
    if how == "%Y%m%d" and len(value) != len("20241231"):
        return False
    try:
        return datetime.strptime(value, how).year in _YEARS  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False


def _share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.fullmatch(value)) for value in values) / len(values) if values else 0.0
