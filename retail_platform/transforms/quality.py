"""Judging rows: every rule a row breaks is written on it; what breaks none goes to silver."""

from collections.abc import Collection, Sequence

import narwhals as nw

from retail_platform.contracts.rules import HAS_HEADER, MALFORMED, PARTITION_DATE, ROW_MALFORMED, STAGED, Rule
from retail_platform.transforms.versions import SUPERSEDED

REASONS = "_reasons"
WARNINGS = "_warnings"
SEPARATOR = ","

ROWS = "rows"
SUPERSEDED_ROWS = "superseded_rows"
QUARANTINED_ROWS = "quarantined_rows"
UNDATED_ROWS = "undated_rows"


def judge(rows: nw.LazyFrame, rules: Sequence[Rule], *, known: Collection[str] | None = None) -> nw.LazyFrame:
    """Write the broken rules on each row, by outcome, joined by commas and empty where there are none.

    A malformed record is only that: its columns are unknown, so no other rule is held against it. Nor is a rule held
    against a row whose header is missing, where it looks at more than the row's own columns.

    Args:
        rows: Staged rows.
        rules: What they must keep.
        known: Of rows that may lack a header (`_has_header`): the columns that are known all the same.
    """
    names = {
        outcome: [
            nw.when(rule.broken & _is_held(rule, known)).then(nw.lit(rule.name))
            for rule in rules
            if rule.outcome in outcomes
        ]
        for outcome, outcomes in {REASONS: ("quarantine", "block"), WARNINGS: ("warn",)}.items()
    }
    rows = rows.with_columns(
        (nw.concat_str(broken, separator=SEPARATOR, ignore_nulls=True) if broken else nw.lit("")).alias(name)
        for name, broken in names.items()
    )
    return rows.with_columns(
        nw.when(~has(WARNINGS, rule)).then(nw.col(rule.columns[0])).alias(rule.columns[0])
        for rule in rules
        if rule.sets_null
    )


def _is_held(rule: Rule, known: Collection[str] | None) -> nw.Expr:
    if rule.name == ROW_MALFORMED:
        return nw.lit(value=True)
    whole = nw.col(MALFORMED).is_null()
    if known is None or set(rule.columns) <= {*known, *STAGED}:
        return whole
    return whole & nw.col(HAS_HEADER)


def has(column: str, rule: Rule) -> nw.Expr:
    """True where the rule is among those written in the column."""
    return (nw.lit(SEPARATOR) + nw.col(column) + nw.lit(SEPARATOR)).str.contains(
        f"{SEPARATOR}{rule.name}{SEPARATOR}", literal=True
    )


def in_silver() -> nw.Expr:
    """True for rows that count and break no rule."""
    return ~nw.col(SUPERSEDED) & (nw.col(REASONS) == "")


def in_quarantine() -> nw.Expr:
    """True for rows that would count, and break a rule."""
    return ~nw.col(SUPERSEDED) & (nw.col(REASONS) != "")


def tally(judged: nw.LazyFrame, rules: Sequence[Rule]) -> nw.LazyFrame:
    """Count a day's rows by their fate, and by rule.

    Returns:
        One row per `partition_date`: `rows`, `superseded_rows`, `quarantined_rows`, `undated_rows` (quarantined for
        want of a date), and one column per rule with the rows that break it. Superseded rows are held against no rule.
    """
    counts = {
        SUPERSEDED_ROWS: nw.col(SUPERSEDED),
        QUARANTINED_ROWS: in_quarantine(),
        UNDATED_ROWS: in_quarantine()
        & nw.any_horizontal(
            *(has(REASONS, rule) for rule in rules if rule.undated), nw.lit(value=False), ignore_nulls=True
        ),
    } | {rule.name: ~nw.col(SUPERSEDED) & has(WARNINGS if rule.outcome == "warn" else REASONS, rule) for rule in rules}
    return (
        judged.select(PARTITION_DATE, *(flag.cast(nw.Int64()).alias(name) for name, flag in counts.items()))
        .group_by(PARTITION_DATE)
        .agg(nw.len().cast(nw.Int64()).alias(ROWS), *(nw.col(name).sum() for name in counts))
    )
