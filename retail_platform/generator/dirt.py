"""Dirt: the ways in which rows are delivered otherwise than they should be, and what each does to a feed's rows.

Dirt is put on deliveries only. What is true stays true: of each row it is known which rule it breaks because it was
broken here, not because somebody judged it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from retail_platform.generator.plan import ShopPlan

DROP_DATE = "_drop_date"
"""The day in whose file a row is delivered."""
OWN_DATE = "_own_date"
"""The day that the row says it belongs to (of master feeds: the day of its file)."""
ROW = "_row"
"""Numbers the rows as they should be, from 0: the same in each delivery of a row."""
KIND = "_kind"
"""Name of the kind of dirt on this delivery; null where there is none."""
AGAIN = "_again"
"""True where the row was delivered before."""

FIELD_TOO_MANY = "\ue000"
"""Stands for the delimiter in a record with a field too many, since the file decides which delimiter that is."""

_LATEST = 10
_REPAIRED = 0.5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of dirt on rows.

    Attributes:
        name: What it is called in the summary.
        share: How much of the feed's dirt it is; those of a feed add up to 1.
        befalls: Rows that can have it; others that it would hit are spared.
        spoils: Column -> what is delivered in its place.
        means: Column of the truth -> what it then is, where the platform cannot know better.
        breaks: The rule that sets the row aside.
        is_undated: It has no plausible date of its own, so it is filed under its file's.
        is_nameless: It has no key, so a later delivery does not supersede it.
        is_late: It comes with a later day's file.
        again: Whether the row as it should be is delivered once more, in the same file or one of the next.
    """

    name: str
    share: float
    befalls: pl.Expr = field(default_factory=lambda: pl.lit(value=True))
    spoils: Mapping[str, pl.Expr] = field(default_factory=dict)
    means: Mapping[str, pl.Expr] = field(default_factory=dict)
    breaks: str | None = None
    is_undated: bool = False
    is_nameless: bool = False
    is_late: bool = False
    again: Literal["never", "sometimes", "always"] = "never"


def _spaced(*columns: str) -> Mapping[str, pl.Expr]:
    return {column: pl.format(" {}  ", column) for column in columns}


def _unknown(column: str) -> Mapping[str, pl.Expr]:
    return {column: pl.lit("X") + pl.col(column)}


_CAN_BE_LATE = pl.col("_later") > pl.col(DROP_DATE)
_STATUS_SPELLINGS = {"Cancelled": "Canceled", "Returned": "Refunded", "Completed": None}

KINDS: Mapping[str, tuple[Kind, ...]] = {
    "customers": (
        Kind(
            name="e-mail malformed",
            share=0.3,
            spoils={"email": pl.col("email").str.replace("@", " at ", literal=True)},
            breaks="email_malformed",
        ),
        Kind(name="e-mail in capitals", share=0.3, spoils={"email": pl.col("email").str.to_uppercase()}),
        Kind(name="state in small letters", share=0.2, spoils={"state": pl.col("state").str.to_lowercase()}),
        Kind(name="spaces around values", share=0.2, spoils=_spaced("customer_id", "customer_name", "city")),
    ),
    "products": (Kind(name="spaces around values", share=1.0, spoils=_spaced("product_id", "product_name", "price")),),
    "orders": (
        Kind(name="late", share=0.2, befalls=_CAN_BE_LATE, is_late=True),
        Kind(name="delivered twice", share=0.15, again="always"),
        Kind(
            name="wrong quantity, corrected",
            share=0.12,
            spoils={"quantity": (pl.col("quantity").cast(pl.Int64) + 10).cast(pl.String)},
            again="always",
        ),
        Kind(
            name="spaces around values", share=0.1, spoils=_spaced("order_id", "customer_id", "product_id", "quantity")
        ),
        Kind(
            name="status spelled otherwise",
            share=0.05,
            befalls=pl.col("order_status") != "Pending",
            spoils={"order_status": pl.col("order_status").replace_strict(_STATUS_SPELLINGS, default=None)},
        ),
        Kind(name="date with a time", share=0.05, spoils={"order_date": pl.col("order_date") + " 13:05:00"}),
        Kind(name="quantity with decimals", share=0.05, spoils={"quantity": pl.col("quantity") + ".0"}),
        Kind(
            name="no line number",
            share=0.04,
            befalls=pl.col("line_number") == "1",
            spoils={"line_number": pl.lit(None, pl.String)},
        ),
        Kind(name="customer unknown", share=0.04, spoils=_unknown("customer_id"), means=_unknown("customer_id")),
        Kind(
            name="product unknown",
            share=0.03,
            spoils=_unknown("product_id"),
            breaks="unit_price_unreadable",
            again="sometimes",
        ),
        Kind(
            name="no order id",
            share=0.03,
            spoils={"order_id": pl.lit(None, pl.String)},
            breaks="order_id_missing",
            is_nameless=True,
            again="sometimes",
        ),
        Kind(
            name="date unreadable",
            share=0.03,
            spoils={"order_date": pl.lit("2024-13-45")},
            breaks="order_date_unreadable",
            is_undated=True,
            again="sometimes",
        ),
        Kind(
            name="date in the future",
            share=0.02,
            spoils={"order_date": pl.lit("2099-12-31")},
            breaks="order_date_in_future",
            is_undated=True,
            again="sometimes",
        ),
        Kind(
            name="quantity in words",
            share=0.02,
            spoils={"quantity": pl.lit("two")},
            breaks="quantity_unreadable",
            again="sometimes",
        ),
        Kind(
            name="quantity zero",
            share=0.02,
            spoils={"quantity": pl.lit("0")},
            breaks="quantity_zero",
            again="sometimes",
        ),
        Kind(
            name="status unknown",
            share=0.02,
            spoils={"order_status": pl.lit("Lost")},
            breaks="status_unknown",
            again="sometimes",
        ),
        Kind(
            name="a field too many",
            share=0.03,
            spoils={"line_number": pl.col("line_number") + FIELD_TOO_MANY + "gift"},
            breaks="row_malformed",
            is_undated=True,
            is_nameless=True,
            again="sometimes",
        ),
    ),
    "payments": (
        Kind(name="late", share=0.4, befalls=_CAN_BE_LATE, is_late=True),
        Kind(name="delivered twice", share=0.3, again="always"),
        Kind(
            name="amount with a sign",
            share=0.3,
            spoils={"amount": "$" + pl.col("amount")},
            breaks="amount_unreadable",
            again="sometimes",
        ),
    ),
}
"""By feed; which rule a row breaks is that of the bundled source `storefront`."""


def deliver(rows: pl.DataFrame, kinds: Sequence[Kind], plan: ShopPlan, random: np.random.Generator) -> pl.DataFrame:
    """Put dirt on a feed's rows.

    Args:
        rows: The feed's text columns as they should be delivered, `_row`, `_own_date`, `_drop_date`.
        kinds: What can befall them.
        plan: How much of it.
        random: Decides which rows.

    Returns:
        All deliveries, in the order in which a careful reader takes them: the same columns, `_kind` and `_again`.
    """
    later = pl.min_horizontal(pl.col(DROP_DATE) + pl.duration(days=pl.col("_lag")), pl.lit(plan.last))
    drawn = rows.with_columns(
        pl.Series("_hit", np.searchsorted(_chances(kinds, plan.dirt), random.random(rows.height), side="right")),
        pl.Series("_lag", random.integers(1, _LATEST + 1, size=rows.height)),
        pl.Series("_is_repaired", random.random(rows.height) < _REPAIRED),
    )
    clean = pl.col("_hit") == len(kinds)
    parts = [_as_it_is(drawn.filter(clean), again=False)]
    dirty = drawn.filter(~clean).with_columns(later.alias("_later"))
    for number, kind in enumerate(kinds):
        hit = dirty.filter(pl.col("_hit") == number).with_columns(kind.befalls.alias("_befalls"))
        parts.append(_as_it_is(hit.filter(~pl.col("_befalls")), again=False))
        parts += _befall(hit.filter("_befalls"), kind)
    columns = [*rows.columns, KIND, AGAIN]
    return pl.concat([part.select(columns) for part in parts]).sort(DROP_DATE, AGAIN, ROW)


def _chances(kinds: Sequence[Kind], dirt: float) -> np.ndarray:
    """Up to which random number from 0 to 1 each kind hits a row; from the last one on, none does."""
    return np.append(dirt * np.cumsum([kind.share for kind in kinds])[:-1], dirt)


def _as_it_is(rows: pl.DataFrame, *, again: bool) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, pl.String).alias(KIND), pl.lit(again).alias(AGAIN))


def _befall(rows: pl.DataFrame, kind: Kind) -> list[pl.DataFrame]:
    """The deliveries of rows that a kind of dirt has befallen."""
    late = [pl.col("_later").alias(DROP_DATE)]
    first = rows.with_columns(
        *(value.alias(column) for column, value in kind.spoils.items()),
        *(late if kind.is_late else []),
        pl.lit(kind.name).alias(KIND),
        pl.lit(value=False).alias(AGAIN),
    )
    if kind.again == "never":
        return [first]
    again = rows if kind.again == "always" else rows.filter("_is_repaired")
    return [first, _as_it_is(again.with_columns(late), again=True)]
