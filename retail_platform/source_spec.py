"""What a source declares of itself in `defs/sources/<name>/defs.yaml`: its feeds, and how they become our entities.

These models are the whole vocabulary of that file. They hold no Dagster and read no data: landing, lake and the Dagster
component all work from them.
"""

import codecs
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

Kind = Literal["transactional", "master"]
EntityName = Annotated[str, Field(pattern=r"^(customers|products|orders|payments)$")]
Outcome = Literal["quarantine", "warn", "off"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]

LINE_NUMBER = "_line_number"
"""The place of a row among the rows of its key in one file; feeds with `rows_per_key: many` carry it."""


class Spec(BaseModel):
    """Base of all declarations: unknown words are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DateSpec(Spec):
    """The business date in a transactional feed's rows."""

    column: str
    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")


class FeedSpec(Spec):
    """One kind of file that a source delivers."""

    kind: Kind = Field(description="transactional: rows carry their business date; master: the drop date is the day.")
    columns: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="The columns a file must have.")
    optional: Mapping[str, str | None] = Field(
        default={}, description="Columns a file may have, each with the text that stands for a missing value."
    )
    key: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="What names a thing; a later file wins.")
    rows_per_key: Literal["one", "many"] = Field(
        default="one", description="many: one file gives all rows of a key, and a later file replaces them together."
    )
    date: DateSpec | None = Field(default=None, description="Needed by transactional feeds.")
    on_rewrite: Literal["replace", "append"] = Field(
        default="replace", description="What the same path with new content means (transactional feeds)."
    )
    delivery: Literal["changes", "snapshot"] = Field(
        default="changes", description="snapshot: a member missing from a later file is no longer active."
    )
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(default=None, description="Found out when not given.")
    encoding: str | None = Field(default=None, description="Found out when not given.")

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, name: str | None) -> str | None:
        try:
            codecs.lookup(name or "utf-8")
        except LookupError as error:
            raise ValueError(f"{name!r} is no encoding: write for example utf-8, cp1252 or utf-16") from error
        return name

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Every declared column, required ones first."""
        return (*self.columns, *self.optional)

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        _require("key", self.key, self.all_columns)
        if self.kind == "transactional":
            if self.date is None:
                raise ValueError("a transactional feed needs `date: {column: ..., formats: [...]}`")
            _require("date.column", [self.date.column], self.all_columns)
            if self.delivery == "snapshot":
                raise ValueError("delivery: snapshot is for master feeds")
        elif self.date is not None or self.on_rewrite == "append" or self.rows_per_key == "many":
            raise ValueError("`date`, `on_rewrite: append` and `rows_per_key: many` are for transactional feeds")
        return self


class ColumnSpec(Spec):
    """Where one of our columns comes from. Text is stripped first; empty text is missing.

    The steps happen in this order: `replace`, `case`, `patterns`, `map`, `default`. The type is the table's own.
    """

    column: str | None = Field(default=None, description="A column of the feed, or `lookup.column`.")
    constant: str | None = Field(default=None, description="The same value in every row.")
    replace: Mapping[str, str] = Field(default={}, description="Regular expression -> replacement, in order.")
    case: Literal["upper", "lower"] | None = None
    patterns: Mapping[str, str] | None = Field(
        default=None, description="Regular expression -> value: the first that matches; no match is missing."
    )
    map: Mapping[str, str] = Field(default={}, description="Value -> value; other values stay as they are.")
    default: str | None = Field(default=None, description="Where the value is missing.")
    formats: tuple[str, ...] | None = Field(default=None, description="Of dates and instants; the feed's by default.")

    @model_validator(mode="after")
    def _has_sound_expressions(self) -> Self:
        for expression in (*self.replace, *(self.patterns or {})):
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"{expression!r} is no regular expression: {error}") from error
        return self

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.column is None) == (self.constant is None):
            raise ValueError("say either `column:` (a column of the feed) or `constant:`")
        return self


def _column_by_name(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


class LookupSpec(Spec):
    """A master feed in which an entity looks values up, as valid on the row's own day."""

    feed: Name
    by: str = Field(description="The driving feed's column that holds the lookup feed's key.")
    take: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Columns to take, as `lookup.column`.")


class EntitySpec(Spec):
    """One of our entities, made from a driving feed (which gives the grain) and lookups."""

    feed: Name
    lookups: Mapping[Name, LookupSpec] = {}
    columns: Mapping[str, Annotated[ColumnSpec, BeforeValidator(_column_by_name)]]
    derived: Literal["latest", "most_frequent"] | None = Field(
        default=None, description="Members read off transactions: which of several descriptions is published."
    )
    rules: Mapping[str, Outcome] = Field(default={}, description="Rule -> what breaking it means here.")


class SourceSpec(Spec):
    """A source: one lane from landing to silver."""

    description: str = ""
    timezone: str = Field(default="UTC", description="Of times in its rows (IANA name).")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(description="ISO 4217, of its amounts.")
    feeds: Annotated[Mapping[Name, FeedSpec], Field(min_length=1)]
    entities: Annotated[Mapping[EntityName, EntitySpec], Field(min_length=1)]

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError(f"{name!r} is no time zone: write its IANA name, for example Europe/London")
        return name

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, entity in self.entities.items():
            _require(f"entities.{name}.feed", [entity.feed], list(self.feeds))
            self._check_derived(name, entity)
            self._check_lookups(name, entity)
            self._check_columns(name, entity)
        return self

    def _check_derived(self, name: str, entity: EntitySpec) -> None:
        if entity.derived is None:
            return
        orders = self.entities.get("orders")
        _require(f"entities.{name}", [name], ["customers", "products"])
        _require(f"entities.{name}.feed", [entity.feed], [orders.feed] if orders else [])

    def _check_lookups(self, name: str, entity: EntitySpec) -> None:
        driving = self.feeds[entity.feed]
        for alias, lookup in entity.lookups.items():
            where = f"entities.{name}.lookups.{alias}"
            masters = [name for name, feed in self.feeds.items() if feed.kind == "master" and len(feed.key) == 1]
            _require(where + ".feed", [lookup.feed], masters)
            feed = self.feeds[lookup.feed]
            _require(where + ".by", [lookup.by], driving.all_columns)
            _require(where + ".take", lookup.take, feed.all_columns)

    def _check_columns(self, name: str, entity: EntitySpec) -> None:
        driving = self.feeds[entity.feed]
        allowed = [*driving.all_columns]
        allowed += [f"{alias}.{column}" for alias, lookup in entity.lookups.items() for column in lookup.take]
        if driving.rows_per_key == "many":
            allowed.append(LINE_NUMBER)
        for column, spec in entity.columns.items():
            if spec.column is not None:
                _require(f"entities.{name}.columns.{column}", [spec.column], allowed)

    def feed_users(self, feed: str) -> list[tuple[str, LookupSpec]]:
        """The driving feeds whose entities look values up in `feed`, with the lookup."""
        return [
            (entity.feed, lookup)
            for entity in self.entities.values()
            for lookup in entity.lookups.values()
            if lookup.feed == feed
        ]

    def lookup_columns(self, feed: str) -> dict[str, str]:
        """For a driving feed: its columns that hold keys of lookup feeds, by lookup feed."""
        return {
            lookup.feed: lookup.by
            for entity in self.entities.values()
            if entity.feed == feed
            for lookup in entity.lookups.values()
        }


def _require(where: str, names: Sequence[str], allowed: Sequence[str]) -> None:
    for name in names:
        if name not in allowed:
            problem = f"{name!r} is not known here; allowed are: {', '.join(allowed) or 'none'}"
            # The path lets whoever reads the file name the line.
            raise PydanticCustomError("declaration", "{problem}", {"problem": problem, "path": where})
