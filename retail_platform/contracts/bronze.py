"""What every bronze table holds: the feed's columns as text, and where each row came from.

Bronze tables differ by feed, so they have no pandera model; their schema follows from the feed's declaration.
"""

import polars as pl

from retail_platform.contracts.rules import MALFORMED, PARTITION_DATE
from retail_platform.source_spec import LINE_NUMBER, FeedSpec

DROP_ID = "_drop_id"
SOURCE_FILE = "_source_file"
ROW_NUMBER = "_row_number"
DROP_DATE = "_drop_date"
DROPPED_AT = "_dropped_at"
KEY = "_key"

TECHNICAL = pl.Schema(
    {
        DROP_ID: pl.String(),
        SOURCE_FILE: pl.String(),
        ROW_NUMBER: pl.Int64(),
        DROP_DATE: pl.Date(),
        DROPPED_AT: pl.Datetime("us", "UTC"),
        KEY: pl.Int64(),
        LINE_NUMBER: pl.Int64(),
        MALFORMED: pl.String(),
        PARTITION_DATE: pl.Date(),
    }
)

DESCRIPTIONS = {
    DROP_ID: "The drop: a hash of path and content.",
    SOURCE_FILE: "The file's path in the landing folder.",
    ROW_NUMBER: "The row in that file; the header is row 1.",
    DROP_DATE: "The drop's date: in its name, else its modification date (UTC).",
    DROPPED_AT: "Modification instant of the file when it was first seen.",
    KEY: "Hash of the feed's key; null where the key is missing.",
    LINE_NUMBER: "The row's place among the rows of its key in the file, from 1.",
    MALFORMED: "The text of a record with too few or too many fields; its columns are null.",
    PARTITION_DATE: "The day the row is filed under: its business date, else the drop date.",
}


def bronze_schema(feed: FeedSpec) -> pl.Schema:
    """Column -> type of a feed's bronze table; columns that a file has beyond the declared ones may follow."""
    return pl.Schema({name: pl.String() for name in feed.all_columns} | dict(TECHNICAL))
