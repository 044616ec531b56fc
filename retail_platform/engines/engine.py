"""The engine protocol: the few steps that each dataframe engine must do in its own words.

Everything else in `transforms/` is Narwhals. Engines must give equal values: keys are hashed alike, and text that
cannot be read becomes null instead of an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import narwhals as nw
from narwhals.dtypes import DType

KEY_SEPARATOR = "\x1f"
"""Stands between the parts of a key; no text file holds it in a value."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a text column is read: its type, and for dates and instants the formats to try in turn (strptime's).

    `timezone` is that of the text; instants come out in UTC. `decimal` is the mark before the decimals; thousands may
    then be marked by a comma or point (whichever is not the decimal mark), a space or an apostrophe, in threes, and a
    currency by its sign ($, €, £, ¥). Text written otherwise cannot be read: 12.50 is no number where the mark is a
    comma.
    """

    dtype: DType
    formats: Sequence[str] = ()
    timezone: str = "UTC"
    decimal: str | None = None


class Engine(Protocol):
    """What an engine does for the transformations. Frames go in and come out lazy."""

    def parse(self, frame: nw.LazyFrame, readings: Mapping[str, Reading]) -> nw.LazyFrame:
        """Read text columns into their types, in place; text that cannot be read becomes null."""
        ...

    def hash_keys(self, frame: nw.LazyFrame, keys: Mapping[str, Sequence[str]]) -> nw.LazyFrame:
        """Add 63-bit keys, each hashed from text columns; null where the first of them is null.

        The hash is the first 64 bits, less the highest, of the MD5 of the parts joined by `KEY_SEPARATOR`; missing
        later parts are empty.
        """
        ...

    def pack_json(self, frame: nw.LazyFrame, columns: Sequence[str], into: str) -> nw.LazyFrame:
        """Add a text column with a JSON object of `columns`."""
        ...

    def once(self, frame: nw.LazyFrame) -> nw.LazyFrame:
        """The same rows, worked out once, for a plan that uses them several times."""
        ...
