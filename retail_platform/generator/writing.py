"""From a generated shop to files in landing, each there at once and whole, with the date of the morning after."""

import io
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from retail_platform.generator.dirt import DROP_DATE, FIELD_TOO_MANY
from retail_platform.generator.feeds import FEEDS
from retail_platform.generator.file_dirt import USUAL, FileKind
from retail_platform.generator.shop import GeneratedShop

_DELIVERY = time(2, tzinfo=UTC)
_SECOND_DELIVERY = timedelta(hours=1)


def file_names(shop: GeneratedShop) -> dict[Path, tuple[str, date]]:
    """The files of a shop, by path below the source's folder: feed and day."""
    names = {}
    for feed, rows in shop.delivered.items():
        for day in rows[DROP_DATE].unique().sort():
            names[Path(feed) / f"{feed}_{day}.csv"] = (feed, day)
            if shop.odd_files.get((feed, day), USUAL).is_repeated:
                names[Path(feed) / f"{feed}_{day}_again.csv"] = (feed, day)
    return names


def write_shop(shop: GeneratedShop, folder: Path) -> None:
    """Write all files of a shop below a source's landing folder, in place of those of the same name."""
    now = datetime.now(UTC)
    for feed in FEEDS:
        (folder / feed).mkdir(parents=True, exist_ok=True)
        for day, content, kind in _contents(shop, feed):
            arrives = datetime.combine(day + timedelta(days=1), _DELIVERY) + timedelta(minutes=FEEDS[feed].minute)
            _put(folder / feed / f"{feed}_{day}.csv", content, min(arrives, now))
            if kind.is_repeated:
                _put(folder / feed / f"{feed}_{day}_again.csv", content, min(arrives + _SECOND_DELIVERY, now))


def _contents(shop: GeneratedShop, feed: str) -> Iterator[tuple[date, bytes, FileKind]]:
    rows = shop.delivered[feed]
    texts = rows.select(list(FEEDS[feed].columns))
    start = 0
    for day, length in rows.group_by(DROP_DATE, maintain_order=True).len().iter_rows():
        kind = shop.odd_files.get((feed, day), USUAL)
        yield day, _csv(texts.slice(start, length), kind), kind
        start += length


def _csv(rows: pl.DataFrame, kind: FileKind) -> bytes:
    buffer = io.BytesIO()
    rows.write_csv(buffer, separator=kind.delimiter, line_terminator=kind.line_end)
    content = buffer.getvalue().replace(FIELD_TOO_MANY.encode(), kind.delimiter.encode())
    return content if kind.encoding == "utf-8" else content.decode().encode(kind.encoding)


def _put(file: Path, content: bytes, arrives: datetime) -> None:
    """A reader sees the whole file, with its date, or none."""
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_bytes(content)
    os.utime(unfinished, (arrives.timestamp(), arrives.timestamp()))
    unfinished.rename(file)
