"""A table's contract: the pandera model of its columns, and what the platform needs to know beside it.

From this one definition come the row judgement, the validation of what is written, the Dagster checks, the catalog's
column schema, and the comments in DuckDB.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import narwhals as nw
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from retail_platform.contracts.rules import HAS_HEADER, STAGED, Outcome, Rule

ORIGIN = frozenset({"created_at", "updated_at", "is_active", "_drop_id", "_source_file", "_row_number"})
"""Columns that say where a row comes from; tables end with them."""

_OURS = ORIGIN | {"source_system", "currency", "drop_date", "occurrences"}

Layer = Literal["silver", "gold", "marts"]


def column(  # pandera's own type is Any
    description: str, *, nullable: bool = True, pii: bool = False, of: tuple[str, ...] | None = None
) -> Any:  # noqa: ANN401
    """A column of a contract.

    Args:
        description: What it holds.
        nullable: Whether it may be missing.
        pii: Whether it names or reaches a person.
        of: What it is computed from: columns of the table's first upstream, or `table.column`. By default the column
            of the same name; none where nothing is read for it.
    """
    return pa.Field(description=description, nullable=nullable, metadata={"pii": pii, "of": of})


class Model(pa.DataFrameModel):
    """Base of all table models: exactly these columns, of exactly these types."""

    class Config:  # pyrefly: ignore[bad-override] - pandera says to write it so
        """Pandera's settings."""

        strict = True
        coerce = False


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a table is.

    Attributes:
        name: The table's name.
        layer: Where it lives.
        model: Columns, types, descriptions, PII marks; its docstring describes the table.
        partition_column: The Date column that names a row's day.
        key: What names a row, within its source.
        versions: What tells apart versions of a thing that are delivered together, where the source states them.
        rules: What rows keep, in the order in which reasons are listed.
        upstream: The tables it is computed from, by name; silver tables by their entity.
    """

    name: str
    layer: Layer
    model: type[Model]
    partition_column: str
    key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    versions: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()

    @cached_property
    def pandera_schema(self) -> pa.DataFrameSchema:
        """The pandera schema: the model's columns, and every rule that sets rows aside."""
        schema = self.model.to_schema()
        rules = [rule for rule in self.rules if rule.holds_in_table and rule.outcome != "warn"]
        schema.checks = [pa.Check(_kept(rule), name=rule.name, error=rule.says) for rule in rules]
        return schema

    @cached_property
    def schema(self) -> pl.Schema:
        """Column -> Polars type, in the table's order."""
        columns = {name: column.dtype.type for name, column in self.pandera_schema.columns.items()}
        return pl.Schema(sorted(columns.items(), key=lambda item: item[0] in ORIGIN))  # stable: origin goes last

    @cached_property
    def narwhals_schema(self) -> nw.Schema:
        """Column -> Narwhals type, in the table's order."""
        return nw.from_native(self.schema.to_frame()).schema

    @property
    def declarable(self) -> list[str]:
        """The columns that a source's declaration may fill; the others are filled by the platform."""
        return [name for name in self.schema if name not in _OURS]

    @cached_property
    def descriptions(self) -> Mapping[str, str]:
        """Column -> what it holds."""
        return {name: column.description or "" for name, column in self.pandera_schema.columns.items()}

    @cached_property
    def pii(self) -> frozenset[str]:
        """The columns that name or reach a person."""
        columns = self.pandera_schema.columns.items()
        return frozenset(name for name, column in columns if (column.metadata or {}).get("pii"))

    @cached_property
    def lineage(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Column -> the upstream tables and columns it is computed from; empty for tables without upstream."""
        if not self.upstream:
            return {}
        origins = {}
        for name in self.schema:
            of = (self.pandera_schema.columns[name].metadata or {}).get("of")
            of = (name,) if of is None else of
            origins[name] = tuple(_table_and_column(origin, self.upstream[0]) for origin in of)
        return origins

    @property
    def description(self) -> str:
        """What the table holds, in a sentence or two."""
        return " ".join((self.model.__doc__ or "").split())

    def validate(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame as it is, or say all that is wrong with it.

        Raises:
            pandera.errors.SchemaErrors: a column, a type or a rule of the contract is broken.
        """
        return self.pandera_schema.validate(frame, lazy=True)

    def cast(self, frame: nw.LazyFrame) -> nw.LazyFrame:
        """The contract's columns in order and type; columns the frame lacks are null, others are left out."""
        present = set(frame.collect_schema().names())
        return frame.select(
            (nw.col(name) if name in present else nw.lit(None)).cast(dtype).alias(name)
            for name, dtype in self.narwhals_schema.items()
        )

    def rules_for(
        self, *, mapped: Collection[str], overrides: Mapping[str, Outcome | Literal["off"]]
    ) -> tuple[Rule, ...]:
        """The rules that mean something for a source, with its own outcomes.

        A rule about an optional column that the source does not fill could not fail, so it is left out; nor can a total
        that we compute ourselves differ from what it is computed from.
        """
        required = {name for name, column in self.pandera_schema.columns.items() if not column.nullable}
        meaningful = set(mapped) | required | (STAGED - {HAS_HEADER})
        vacuous = set() if "total_amount" in mapped else {"total_differs"}
        kept = []
        for rule in self.rules:
            outcome = overrides.get(rule.name, rule.outcome)
            if rule.columns[0] in meaningful and rule.name not in vacuous and outcome != "off":
                kept.append(replace(rule, outcome=outcome))
        return tuple(kept)


def _table_and_column(origin: str, default: str) -> tuple[str, str]:
    table, dot, name = origin.rpartition(".")
    return (table, name) if dot else (default, origin)


def _kept(rule: Rule) -> Any:  # noqa: ANN401 - pandera wants a plain callable
    def kept(data: PolarsData) -> pl.LazyFrame:
        return nw.from_native(data.lazyframe).select((~rule.broken).fill_null(value=True).alias(rule.name)).to_native()

    return kept
