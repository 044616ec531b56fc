"""Rows whose date stands in another file: an order's lines and payments find it, and more, in their header."""

from collections.abc import Sequence

import narwhals as nw

from retail_platform.contracts.bronze import KEY
from retail_platform.contracts.rules import HAS_HEADER
from retail_platform.source_spec import HEADER, FeedSpec

HEADER_KEY = "_header_key"
"""The hashed key of a row's header: equal to the `_key` of the header's own row."""


def join_headers(
    rows: nw.LazyFrame, headers: nw.LazyFrame, feed: FeedSpec, *, take: Sequence[str], prefix: str
) -> nw.LazyFrame:
    """Add the columns of their headers to rows of an undated feed.

    Args:
        rows: Rows with `_header_key`.
        headers: Bronze rows of the header feed: one per header, its latest version.
        feed: The header feed's declaration.
        take: The columns wanted.
        prefix: Stands before the names of the columns added: `<prefix>header.<column>`.

    Returns:
        The same rows, with those columns, and `_has_header`.
    """
    found = headers.select(
        nw.col(KEY).alias(HEADER_KEY),
        nw.lit(value=True).alias(HAS_HEADER),
        *(or_default(name, feed).alias(f"{prefix}{HEADER}.{name}") for name in take),
    )
    return rows.join(found, on=HEADER_KEY, how="left").with_columns(nw.col(HAS_HEADER).fill_null(value=False))


def or_default(name: str, feed: FeedSpec, *, prefix: str = "") -> nw.Expr:
    """A feed's column, with the text that stands for a missing value where the declaration says one."""
    value, default = nw.col(prefix + name), feed.optional.get(name)
    if default is None:
        return value
    return nw.when(value.str.strip_chars() != "").then(value).otherwise(nw.lit(default))
