"""Row rules: each has a name, says when a row breaks it, and what then happens.

A rule's name is the reason that quarantine shows, and the name of the Dagster asset check. Rules look at one row alone
and are Narwhals expressions, so every engine judges alike. Beside the table's own columns they may use the technical
ones that staging adds (`STAGED`), which are gone once a row is in silver.
"""

from dataclasses import dataclass
from typing import Literal

import narwhals as nw

Outcome = Literal["quarantine", "warn", "block"]

PARTITION_DATE = "partition_date"
MALFORMED = "_malformed"
UNREADABLE = "_unreadable"
HAS_HEADER = "_has_header"
STAGED = frozenset({PARTITION_DATE, MALFORMED, UNREADABLE, HAS_HEADER})
"""Technical columns of a staged row: the day it is filed under, the raw text of a broken record, the names of the
columns whose text could not be read (`|quantity|order_date|`), and whether the row of an undated feed has a header."""

ROW_MALFORMED = "row_malformed"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that every row of a table keeps.

    Attributes:
        name: snake_case; unique within the table.
        columns: What the rule looks at; the first is what it is about, and is shown to the user.
        broken: True where a row breaks the rule; null counts as kept.
        says: What is wrong and what to do, in a retailer's words.
        outcome: quarantine (set aside), warn (kept and counted) or block (the day is not written).
        undated: The row is filed under its drop date for want of a date of its own.
        sets_null: Breaking the rule makes the first column null (only with `warn`).
    """

    name: str
    columns: tuple[str, ...]
    broken: nw.Expr
    says: str
    outcome: Outcome = "quarantine"
    undated: bool = False
    sets_null: bool = False

    @property
    def holds_in_table(self) -> bool:
        """Whether the written table can be validated against the rule: it needs no staged column."""
        return not STAGED.intersection(self.columns)


def unreadable(column: str) -> nw.Expr:
    """True where the column had text that its type cannot hold."""
    return nw.col(UNREADABLE).str.contains(f"|{column}|", literal=True)


def malformed() -> Rule:
    """The record has too few or too many fields; the first rule of every silver table."""
    return Rule(
        name=ROW_MALFORMED,
        columns=(MALFORMED,),
        broken=~nw.col(MALFORMED).is_null(),
        says="The record has too few or too many fields, or the file was cut off here: deliver the file again, whole.",
    )


def required(*columns: str) -> tuple[Rule, ...]:
    """The key columns must be there."""
    return tuple(
        Rule(
            name=f"{column}_missing",
            columns=(column,),
            broken=nw.col(column).is_null(),
            says=f"The row has no {column}, so it names no thing: fill the column in and deliver the row again.",
        )
        for column in columns
    )


def headed() -> Rule:
    """Rows of undated feeds wait for their header, which has their date; to be left out where rows have their own."""
    return Rule(
        name="header_missing",
        columns=(HAS_HEADER,),
        broken=~nw.col(HAS_HEADER),
        says="No file has named the row's header (its order), which has its date: the row waits here, and leaves by "
        "itself when that is delivered.",
        undated=True,
    )


def dated(column: str) -> tuple[Rule, ...]:
    """The business date must be readable and within the platform's days.

    A row is filed under its own date where that is possible, else under its drop date. So a date that differs from the
    filing day was out of bounds when the row was filed.
    """
    return (
        Rule(
            name=f"{column}_unreadable",
            columns=(column,),
            broken=nw.col(column).is_null(),
            says=f"{column} is missing or not a date in a declared format: correct it, or declare its format.",
            undated=True,
        ),
        Rule(
            name=f"{column}_before_start",
            columns=(column, PARTITION_DATE),
            broken=nw.col(column) < nw.col(PARTITION_DATE),
            says=f"{column} lies before the platform's first day: correct it, or set RETAIL_START_DATE earlier.",
            undated=True,
        ),
        Rule(
            name=f"{column}_in_future",
            columns=(column, PARTITION_DATE),
            broken=nw.col(column) > nw.col(PARTITION_DATE),
            says=f"{column} lies after the file was made: correct it.",
            undated=True,
        ),
    )


def money(*columns: str) -> tuple[Rule, ...]:
    """Amounts that are there must be readable as money."""
    return tuple(
        Rule(
            name=f"{column}_unreadable",
            columns=(column, UNREADABLE),
            broken=unreadable(column),
            says=f"{column} is not readable as money: correct it.",
        )
        for column in columns
    )


def not_negative(*columns: str) -> tuple[Rule, ...]:
    """Prices are never negative."""
    return tuple(
        Rule(
            name=f"{column}_negative",
            columns=(column,),
            broken=nw.col(column) < 0,
            says=f"{column} is negative: a refund has a negative quantity or amount, no negative price. Correct it.",
        )
        for column in columns
    )


def readable(*columns: str) -> tuple[Rule, ...]:
    """Lesser values that cannot be read are left out of the row, and counted."""
    return tuple(
        Rule(
            name=f"{column}_unreadable",
            columns=(column, UNREADABLE),
            broken=unreadable(column),
            says=f"{column} could not be read and was left empty.",
            outcome="warn",
        )
        for column in columns
    )
