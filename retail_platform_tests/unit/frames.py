"""Small frames for the tests of transformations: only what a test is about is said, the rest is filled in."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import narwhals as nw
import polars as pl

from retail_platform.contracts.bronze import TECHNICAL
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import HAS_HEADER, MALFORMED, PARTITION_DATE, UNREADABLE
from retail_platform.engines.polars import PolarsEngine
from retail_platform.transforms.versions import SUPERSEDED

ENGINE = PolarsEngine()
MORNING = datetime(2024, 6, 2, 6, tzinfo=UTC)

Row = Mapping[str, object]

ORIGIN: Row = {
    "created_at": MORNING,
    "updated_at": MORNING,
    "is_active": True,
    "_drop_id": "d1",
    "_source_file": "shop/feed/f.csv",
    "_row_number": 2,
}

STAGED = pl.Schema(
    {PARTITION_DATE: pl.Date(), MALFORMED: pl.String(), UNREADABLE: pl.String(), SUPERSEDED: pl.Boolean()}
    | {HAS_HEADER: pl.Boolean()}
)


def june(day: int) -> date:
    """A day of June 2024."""
    return date(2024, 6, day)


def frame(schema: pl.Schema, rows: Sequence[Row], **defaults: object) -> pl.DataFrame:
    """Rows with all columns of a schema; what neither row nor defaults say is null. Decimals may be text."""
    columns = {name: [(defaults | dict(row)).get(name) for row in rows] for name in schema}
    unknown = {name for row in rows for name in row if name not in schema}
    assert not unknown, unknown
    return pl.DataFrame(columns).cast(dict(schema))  # pyrefly: ignore[bad-argument-type]


def lazy(schema: pl.Schema, rows: Sequence[Row], **defaults: object) -> nw.LazyFrame:
    """The same as `frame`, as transformations take it."""
    return nw.from_native(frame(schema, rows, **defaults).lazy())


def silver(contract: Contract, rows: Sequence[Row], **defaults: object) -> nw.LazyFrame:
    """Rows of a silver table."""
    return lazy(contract.schema, rows, **{"source_system": "shop", **ORIGIN, **defaults})


def staged(contract: Contract, rows: Sequence[Row]) -> nw.LazyFrame:
    """Rows of a silver table as they are judged: with the technical columns that staging adds."""
    defaults: dict[str, Any] = {
        "source_system": "shop",
        **ORIGIN,
        PARTITION_DATE: june(1),
        UNREADABLE: "",
        SUPERSEDED: False,
        HAS_HEADER: True,
    }
    return lazy(pl.Schema({**contract.schema, **STAGED}), rows, **defaults)


def bronze(columns: Sequence[str], rows: Sequence[Row]) -> nw.LazyFrame:
    """Rows of a bronze table with these columns, all of one drop unless they say otherwise."""
    schema = pl.Schema(dict.fromkeys(columns, pl.String()) | dict(TECHNICAL))
    defaults = {
        "_drop_id": "d1",
        "_source_file": "shop/feed/f.csv",
        "_row_number": 2,
        "_drop_date": june(1),
        "_dropped_at": MORNING,
        PARTITION_DATE: june(1),
    }
    return lazy(schema, rows, **defaults)


def collect(rows: nw.LazyFrame) -> pl.DataFrame:
    """What a transformation gives."""
    return rows.collect().to_native()


def key_of(*parts: str) -> int:
    """A durable key, worked out by Python."""
    return int(hashlib.md5("\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()[:16], 16) % 2**63
