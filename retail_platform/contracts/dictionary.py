"""The data dictionary in words: a table's contract as Markdown. Text in, text out; who asks for it writes the file."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import STAGED, Outcome, Rule

_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Int32: "integer",
    pl.Int64: "integer",
    pl.Float64: "float",
    pl.Boolean: "true/false",
    pl.Date: "date",
    pl.Datetime: "instant (UTC)",
}
_OUTCOMES: Mapping[Outcome, str] = {
    "quarantine": "row is set aside",
    "warn": "row is kept, and counted",
    "block": "day is not written",
}


def table_section(title: str, contract: Contract, *, also: Sequence[str] = ()) -> str:
    """A table: what it is, its day, its key, its columns and its rules; `also` are further sentences about it."""
    facts = [
        f"- A row's day: `{contract.partition_column}`",
        f"- A row is named by: {_names((*contract.key, *contract.versions))}",
    ]
    if contract.upstream:
        facts.append(f"- Computed from: {_names(contract.upstream)}")
    parts = [f"### {title}", contract.description, "\n".join([*facts, *also]), _columns(contract)]
    if contract.rules:
        parts.append(markdown_table(("rule", "looks at", "what happens", "what it says"), map(_rule, contract.rules)))
    return "\n\n".join(parts)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def type_in_words(dtype: pl.DataType) -> str:
    """A column's type as a retailer reads it."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    if isinstance(dtype, pl.List):
        return f"list of {type_in_words(dtype.inner)}"  # pyrefly: ignore[bad-argument-type]
    return _TYPES[dtype.base_type()]


def _columns(contract: Contract) -> str:
    header = ["column", "type", "always there", "what it holds"]
    if contract.pii:
        header.append("personal")
    if contract.lineage:
        header.append("computed from")
    return markdown_table(header, [_column(contract, name) for name in contract.schema])


def _column(contract: Contract, name: str) -> list[str]:
    is_required = not contract.pandera_schema.columns[name].nullable
    cells = [
        f"`{name}`",
        type_in_words(contract.schema[name]),
        "yes" if is_required else "",
        contract.descriptions[name],
    ]
    if contract.pii:
        cells.append("yes" if name in contract.pii else "")
    if contract.lineage:
        cells.append(_names(f"{table}.{column}" for table, column in contract.lineage[name]))
    return cells


def _rule(rule: Rule) -> list[str]:
    outcome = "value is left out, and counted" if rule.sets_null else _OUTCOMES[rule.outcome]
    looked_at = [name for name in rule.columns if name not in STAGED]
    return [f"`{rule.name}`", _names(looked_at) or "the row as it came", outcome, rule.says]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
