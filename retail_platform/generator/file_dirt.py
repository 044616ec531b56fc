"""Dirt on whole files: other dialects than the usual one, and files that are delivered twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from retail_platform.generator.dirt import DROP_DATE
from retail_platform.generator.plan import ShopPlan

FileKey = tuple[str, date]
"""A file: its feed and its day."""


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """One way in which a file is odd.

    Attributes:
        name: What it is called in the summary.
        feeds: Whose files can be so.
        rows: Only files with such rows.
        delimiter: Between fields.
        line_end: Between records.
        encoding: Of the text.
        is_repeated: It comes a second time under another name.
    """

    name: str
    feeds: tuple[str, ...]
    rows: pl.Expr = field(default_factory=lambda: pl.lit(value=True))
    delimiter: str = ","
    line_end: str = "\n"
    encoding: str = "utf-8"
    is_repeated: bool = False


USUAL = FileKind(name="usual", feeds=())
FILE_KINDS = (
    FileKind(
        name="cp1252 with semicolons",
        feeds=("customers",),
        rows=pl.col("customer_name").str.contains(r"[^\x00-\x7f]"),  # in others one could not tell
        delimiter=";",
        encoding="cp1252",
    ),
    FileKind(name="byte order mark", feeds=("products",), encoding="utf-8-sig"),
    FileKind(name="semicolons", feeds=("orders", "payments"), delimiter=";"),
    FileKind(name="CRLF line ends", feeds=("orders", "payments"), line_end="\r\n"),
    FileKind(name="delivered twice", feeds=("orders", "payments", "customers"), is_repeated=True),
)

_PART = 4
"""A quarter of the dirt's share of files is odd in each way."""


def choose_file_dirt(delivered: Mapping[str, pl.DataFrame], plan: ShopPlan) -> dict[FileKey, FileKind]:
    """Which files are odd, and how: in each way at least one, as far as there are files; without dirt, none."""
    random = plan.random("file dirt")
    chosen: dict[FileKey, FileKind] = {}
    if not plan.dirt:
        return chosen
    for kind in FILE_KINDS:
        days = {feed: delivered[feed].filter(kind.rows)[DROP_DATE].unique().sort() for feed in kind.feeds}
        files = [(feed, day) for feed in kind.feeds for day in days[feed] if (feed, day) not in chosen]
        wanted = min(len(files), max(1, round(plan.dirt * len(files) / _PART)))
        chosen |= {files[place]: kind for place in np.sort(random.permutation(len(files))[:wanted])}
    return chosen
