"""`retail quarantine`: the rows that were set aside, and why."""

import json
from collections.abc import Iterator
from datetime import date

import polars as pl
from rich.console import Console

from retail_platform.commands.console import UserError, print_table
from retail_platform.contracts.rules import PARTITION_DATE, ROW_MALFORMED, Rule
from retail_platform.contracts.silver import ENTITIES
from retail_platform.platform import QUARANTINE_SUFFIX, Platform
from retail_platform.settings import current_settings


def list_reasons(out: Console, *, source: str | None, first: date | None, last: date | None) -> None:
    """Count quarantined rows by source, entity and reason."""
    platform = Platform.from_settings(current_settings())
    if source is not None and source not in platform.sources:
        raise UserError(f"There is no source {source}; active sources are {', '.join(platform.sources)}.")
    rows = [line for line in _count(platform, first, last) if source in (None, line[0])]
    if not rows:
        out.print("Quarantine is empty.")
        return
    print_table(out, ["source", "entity", "reason", "rows", "days", "first day", "last day"], rows)
    out.print("See the rows with: retail quarantine show SOURCE ENTITY [--reason REASON]")


def _count(platform: Platform, first: date | None, last: date | None) -> Iterator[tuple[object, ...]]:
    for source, spec in platform.sources.items():
        for entity, declared in spec.entities.items():
            if declared.derived:
                continue
            counts = (
                _rows(platform, source, entity, first, last)
                .explode("reasons")
                .group_by("reasons")
                .agg(
                    pl.len(),
                    pl.col(PARTITION_DATE).n_unique().alias("days"),
                    pl.col(PARTITION_DATE).min().alias("first"),
                    pl.col(PARTITION_DATE).max().alias("last"),
                )
                .sort("len", descending=True)
                .collect()
            )
            for line in counts.iter_rows():
                yield (source, entity, *line)


def show_rows(
    out: Console,
    source: str,
    entity: str,
    *,
    first: date | None,
    last: date | None,
    reason: str | None,
    limit: int,
) -> None:
    """Print rows with file, row, column, value, what is wrong and what to do."""
    platform = Platform.from_settings(current_settings())
    declared = platform.sources[source].entities if source in platform.sources else {}
    if entity not in declared or declared[entity].derived:
        raise UserError(f"There is no quarantine of {source}/{entity}: `retail quarantine list` names them.")
    rows = _rows(platform, source, entity, first, last)
    if reason is not None:
        rows = rows.filter(pl.col("reasons").list.contains(reason))
    found = rows.sort(PARTITION_DATE, "_source_file", "_row_number").collect()
    rules = {rule.name: rule for rule in ENTITIES[entity].rules}
    for row in found.head(limit).iter_rows(named=True):
        out.print(
            f"{row['_source_file']} row {row['_row_number']} (filed under {row[PARTITION_DATE]})",
            markup=False,
            style="bold",
        )
        for name in row["reasons"]:
            out.print(f"  {name}: {_explain(platform, source, entity, rules[name], row['raw'])}", markup=False)
        out.print(f"  {row['raw']}", markup=False, style="dim", highlight=False)
    if found.height > limit:
        out.print(f"{found.height - limit:,} more; see them with --limit {found.height}.")
    if found.is_empty():
        out.print("No such rows.")


def _explain(platform: Platform, source: str, entity: str, rule: Rule, raw: str) -> str:
    """The rule's words, with the source's own column and the value it holds."""
    spec = platform.sources[source].entities[entity].columns.get(rule.columns[0])
    columns = list(dict.fromkeys(spec.origins())) if spec is not None else []
    if rule.name == ROW_MALFORMED or not columns:
        return rule.says
    values = json.loads(raw)
    told = [f"column {column}" + (f" is {values[column]!r}" if column in values else "") for column in columns]
    return f"{', '.join(told)}. {rule.says}"


def _rows(platform: Platform, source: str, entity: str, first: date | None, last: date | None) -> pl.LazyFrame:
    rows = platform.table(["silver", source, entity + QUARANTINE_SUFFIX]).scan()
    if first is not None:
        rows = rows.filter(pl.col(PARTITION_DATE) >= first)
    return rows if last is None else rows.filter(pl.col(PARTITION_DATE) <= last)
