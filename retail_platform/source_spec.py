"""What a source declares of itself in `defs/sources/<name>/defs.yaml`: its feeds, and how they become our entities.

These models are the whole vocabulary of that file. They hold no Dagster and read no data: landing, lake and the Dagster
component all work from them.
"""

import codecs
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, NoReturn, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from retail_platform.expressions import columns_of, parse_expression

Kind = Literal["transactional", "master", "undated"]
ENTITIES = ("customers", "products", "orders", "order_headers", "payments", "calendar")
"""What feeds become."""
EntityName = Literal["customers", "products", "orders", "order_headers", "payments", "calendar"]
Outcome = Literal["quarantine", "warn", "off"]
DecimalMark = Literal[".", ","]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]

_NOT_IN_RUST = re.compile(r"\(\?(?:=|!|<=|<!)|\\[1-9]|\(\?P=")
"""What Python's regular expressions can, and those of Polars and DuckDB cannot."""
_SLASHED_GROUP = re.compile(r"\\\d")

LINE_NUMBER = "_line_number"
"""The place of a row among the rows of its key in one file; feeds with `rows_per_key: many` carry it."""

HEADER = "header"
"""The word before a header's columns: `header.order_date`."""


class Spec(BaseModel):
    """Base of all declarations: unknown words are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DateSpec(Spec):
    """The business date in a transactional feed's rows."""

    column: str
    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")


class ColumnSpec(Spec):
    """Where a value comes from. Text is stripped first; empty text is missing.

    The steps happen in this order: `extract`, `replace`, `case`, `patterns`, `map`, `default`. The type is the table's
    own. `first_of` and `join` take columns, or descriptions like this one with steps of their own.
    """

    column: str | None = Field(default=None, description="A column of the feed, or `lookup.column`.")
    constant: str | None = Field(default=None, description="The same value in every row.")
    first_of: tuple["Value", ...] = Field(default=(), description="The first of these that is not missing.")
    join: tuple["Value", ...] = Field(default=(), description="These, with `separator` between; missing ones left out.")
    separator: str = Field(default=" ", description="What stands between the parts of `join`.")
    compute: str | None = Field(
        default=None, description="Arithmetic over columns of numbers: columns, numbers, + - * /, brackets, abs(...)."
    )
    extract: str | None = Field(
        default=None, description="Regular expression with one group: what the group matches; no match is missing."
    )
    replace: Mapping[str, str] = Field(default={}, description="Regular expression -> replacement ($1 is a group).")
    case: Literal["upper", "lower"] | None = None
    patterns: Mapping[str, str] | None = Field(
        default=None, description="Regular expression -> value: the first that matches; no match is missing."
    )
    map: Mapping[str, str] = Field(default={}, description="Value -> value; other values stay as they are.")
    default: str | None = Field(default=None, description="Where the value is missing.")
    formats: tuple[str, ...] | None = Field(default=None, description="Of dates and instants; the feed's by default.")
    decimal: DecimalMark | None = Field(default=None, description="How numbers are written; as in the feed by default.")

    @field_validator("compute")
    @classmethod
    def _expression_is_sound(cls, text: str | None) -> str | None:
        if text is not None:
            parse_expression(text)
        return text

    @model_validator(mode="after")
    def _has_sound_expressions(self) -> Self:
        for expression in (*self.replace, *(self.patterns or {}), *([self.extract] if self.extract else [])):
            try:
                compiled = re.compile(expression)
            except re.error as error:
                raise ValueError(f"{expression!r} is no regular expression: {error}") from error
            if _NOT_IN_RUST.search(expression):
                raise ValueError(f"{expression!r}: look-ahead, look-behind and back-references cannot be used")
            if expression == self.extract and compiled.groups != 1:
                raise ValueError(f"`extract: {expression}` needs one group (...), which is what is extracted")
        if slashed := next((new for new in self.replace.values() if _SLASHED_GROUP.search(new)), None):
            raise ValueError(f"in the replacement {slashed!r} write $1 for what the first group matched")
        return self

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        given = [self.column is not None, self.constant is not None, bool(self.first_of), bool(self.join)]
        if sum([*given, self.compute is not None]) != 1:
            raise ValueError(
                "say either `column:` (a column of the feed), `constant:`, `first_of:`, `join:` or `compute:`"
            )
        if any(part.formats or part.decimal for part in self.parts):
            raise ValueError("`formats` and `decimal` are of the whole: say them beside `first_of:` or `join:`")
        return self

    @property
    def parts(self) -> tuple["ColumnSpec", ...]:
        """What it is put together from."""
        return self.first_of + self.join

    def origins(self) -> Iterator[str]:
        """Every column that it is made from; a name may repeat."""
        if self.column is not None:
            yield self.column
        for part in self.parts:
            yield from part.origins()
        yield from self.operands()

    def within(self, lookup: str) -> "ColumnSpec":
        """The same, made from columns named `lookup.column`, as that lookup's own feed names them."""
        column = self.column.removeprefix(f"{lookup}.") if self.column else self.column
        first_of, join = (tuple(part.within(lookup) for part in parts) for parts in (self.first_of, self.join))
        return self.model_copy(update={"column": column, "first_of": first_of, "join": join})

    def operands(self) -> Iterator[str]:
        """Every column that it computes with; a name may repeat."""
        if self.compute is not None:
            yield from columns_of(parse_expression(self.compute))
        for part in self.parts:
            yield from part.operands()


def _column_by_name(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Value = Annotated[ColumnSpec, BeforeValidator(_column_by_name)]
"""A column's name, or a description of what to make of it."""

ColumnSpec.model_rebuild()


class FeedSpec(Spec):
    """One kind of file that a source delivers."""

    kind: Kind = Field(
        description="transactional: rows carry their business date; undated: it stands in their headers' file; "
        "master: the drop date is the day."
    )
    columns: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="The columns a file must have.")
    optional: Mapping[str, str | None] = Field(
        default={}, description="Columns a file may have, each with the text that stands for a missing value."
    )
    key: Annotated[tuple[Value, ...], Field(min_length=1)] = Field(
        description="What names a thing; a later file wins. Two spellings that its steps make equal are one key."
    )
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
    latest_by: DateSpec | None = Field(
        default=None, description="Of several rows of a key on one drop date, the one with the latest date counts."
    )
    decimal: DecimalMark | None = Field(
        default=None, description="The decimal mark of its numbers, where thousands are marked too or it is a comma."
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
        _check_key("key", self.key, self.all_columns)
        if self.latest_by is not None:
            _require("latest_by.column", [self.latest_by.column], self.all_columns)
        if self.kind == "transactional":
            if self.date is None:
                raise ValueError("a transactional feed needs `date: {column: ..., formats: [...]}`")
            _require("date.column", [self.date.column], self.all_columns)
            if self.delivery == "snapshot" or self.latest_by is not None:
                raise ValueError("`delivery: snapshot` and `latest_by` are for master feeds")
        elif self.kind == "undated":
            if self.date is not None:
                raise ValueError(
                    "an undated feed has no `date`: that is its header's; if it has one, it is transactional"
                )
            if self.delivery == "snapshot" or self.latest_by is not None:
                raise ValueError("`delivery: snapshot` and `latest_by` are for master feeds")
        elif self.date is not None or self.on_rewrite == "append" or self.rows_per_key == "many":
            raise ValueError("`date`, `on_rewrite: append` and `rows_per_key: many` are not for master feeds")
        return self


class LookupSpec(Spec):
    """A master feed in which an entity looks values up, as valid on the row's own day."""

    feed: Name
    by: Value = Field(
        description="The column of the driving feed, or of its header (`header.column`), that holds the lookup's key."
    )
    take: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Columns to take, as `lookup.column`.")

    @property
    def of_header(self) -> bool:
        """Whether it is the header's column that holds the key."""
        return any(name.startswith(f"{HEADER}.") for name in self.by.origins())


class HeaderSpec(Spec):
    """The transactional feed in which the rows of an undated feed find their date, and whatever else it says of them.

    A row is of the day of its header's latest version. While no file has named the header, it waits in quarantine.
    """

    feed: Name
    by: Value = Field(description="The undated feed's column that holds the header feed's key.")
    take: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Columns to take, as `header.column`.")


class HookSpec(Spec):
    """A Python function beside the `defs.yaml`, for what cannot be said in it.

    It takes a Narwhals lazy frame with the feed's columns (and `lookup.column`) as text, and returns the same frame
    with text columns added. It may import narwhals, and no other library of frames.
    """

    function: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")] = Field(
        description="`file.function`: the name of the Python file (without .py), and of the function in it."
    )
    adds: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(description="The text columns that it adds.")

    @property
    def module(self) -> str:
        """The name of the Python file, without .py."""
        return self.function.split(".")[0]

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.split(".")[1]


class EntitySpec(Spec):
    """One of our entities, made from a driving feed (which gives the grain) and lookups."""

    feed: Name
    header: HeaderSpec | None = Field(default=None, description="Needed where the driving feed is undated.")
    lookups: Mapping[Name, LookupSpec] = {}
    columns: Mapping[str, Value]
    key: tuple[Value, ...] = Field(
        default=(),
        description="What names a member, where that is not the key of its (master) feed; the last row counts.",
    )
    entity: EntityName | None = Field(
        default=None, description="What derived members are, where delivered ones have the name: customers or products."
    )
    hook: HookSpec | None = Field(default=None, description="A Python function for what cannot be said here.")
    derived: Literal["latest", "most_frequent"] | None = Field(
        default=None, description="Members read off transactions: which of several descriptions is published."
    )
    rules: Mapping[str, Outcome] = Field(default={}, description="Rule -> what breaking it means here.")

    @property
    def header_columns(self) -> tuple[str, ...]:
        """The header's columns, as this entity names them."""
        return tuple(f"{HEADER}.{name}" for name in self.header.take) if self.header else ()

    @property
    def feeds(self) -> tuple[str, ...]:
        """Every feed it is made from, the driving one first."""
        others = [*([self.header.feed] if self.header else []), *(lookup.feed for lookup in self.lookups.values())]
        return tuple(dict.fromkeys([self.feed, *others]))


class SourceSpec(Spec):
    """A source: one lane from landing to silver."""

    description: str = ""
    timezone: str = Field(default="UTC", description="Of times in its rows (IANA name).")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(description="ISO 4217, of its amounts.")
    feeds: Annotated[Mapping[Name, FeedSpec], Field(min_length=1)]
    entities: Annotated[Mapping[Name, EntitySpec], Field(min_length=1)]

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
            _require(f"entities.{name}", [self.entity_of(name)], ENTITIES)
            self._check_derived(name, entity)
            self._check_header(name, entity)
            self._check_lookups(name, entity)
            self._check_columns(name, entity)
        return self

    def _check_derived(self, name: str, entity: EntitySpec) -> None:
        if entity.derived is None:
            # Two tables of orders or of delivered members could both hold a key.
            _require(f"entities.{name}.entity", [self.entity_of(name)], [name])
            return
        orders = self.entities.get("orders")
        _require(f"entities.{name}", [self.entity_of(name)], ["customers", "products"])
        allowed = [orders.feed, *([orders.header.feed] if orders.header else [])] if orders else []
        _require(f"entities.{name}.feed", [entity.feed], allowed)

    def _check_header(self, name: str, entity: EntitySpec) -> None:
        where, driving = f"entities.{name}", self.feeds[entity.feed]
        if entity.key and driving.kind != "master":
            _refuse(f"{where}.key", "the key of transactional and undated rows is their feed's: say it there")
        _check_key(f"{where}.key", entity.key, driving.all_columns)
        if entity.header is None:
            if driving.kind == "undated":
                _refuse(f"{where}.feed", f"{entity.feed} is undated: say where its rows find their date (`header:`)")
            return
        if driving.kind != "undated":
            _refuse(f"{where}.header", f"{entity.feed} is {driving.kind}: only the rows of undated feeds have a header")
        dated = [
            feed
            for feed, spec in self.feeds.items()
            if spec.kind == "transactional" and len(spec.key) == 1 and spec.rows_per_key == "one"
        ]
        _require(f"{where}.header.feed", [entity.header.feed], dated)
        _check_key(f"{where}.header.by", [entity.header.by], driving.all_columns)
        _require(f"{where}.header.take", entity.header.take, self.feeds[entity.header.feed].all_columns)
        _require(f"{where}.lookups", [alias for alias in entity.lookups if alias == HEADER], [])
        others = [other.header for other in self.entities.values() if other.feed == entity.feed and other.header]
        if any((other.feed, other.by) != (entity.header.feed, entity.header.by) for other in others):
            _refuse(
                f"{where}.header", f"rows of {entity.feed} have one header: say the same `feed` and `by` everywhere"
            )

    def _check_lookups(self, name: str, entity: EntitySpec) -> None:
        driving = self.feeds[entity.feed]
        for alias, lookup in entity.lookups.items():
            where = f"entities.{name}.lookups.{alias}"
            masters = [name for name, feed in self.feeds.items() if feed.kind == "master" and len(feed.key) == 1]
            _require(where + ".feed", [lookup.feed], masters)
            feed = self.feeds[lookup.feed]
            _check_key(where + ".by", [lookup.by], entity.header_columns if lookup.of_header else driving.all_columns)
            _require(where + ".take", lookup.take, feed.all_columns)

    def _check_columns(self, name: str, entity: EntitySpec) -> None:
        driving = self.feeds[entity.feed]
        allowed = [*driving.all_columns, *entity.header_columns]
        allowed += [f"{alias}.{column}" for alias, lookup in entity.lookups.items() for column in lookup.take]
        if driving.rows_per_key == "many":
            allowed.append(LINE_NUMBER)
        if entity.hook is not None:
            if taken := [added for added in entity.hook.adds if added in allowed]:
                _refuse(f"entities.{name}.hook.adds", f"{', '.join(taken)} is there already: give it a name of its own")
            allowed += entity.hook.adds
        for column, spec in entity.columns.items():
            _require(f"entities.{name}.columns.{column}", list(spec.origins()), allowed)

    def entity_of(self, table: str) -> str:
        """What the rows of one of `entities` are: its name says it, unless it says otherwise."""
        return self.entities[table].entity or table

    def tables_of(self, entity: str) -> list[str]:
        """The tables that hold an entity: at most one of delivered rows, and those of derived members."""
        return [name for name in self.entities if self.entity_of(name) == entity]

    def header_of(self, feed: str) -> HeaderSpec | None:
        """In which feed, and by which column, the rows of an undated feed find their day."""
        return next((entity.header for entity in self.entities.values() if entity.feed == feed and entity.header), None)

    def lines_of(self, feed: str) -> list[str]:
        """The undated feeds whose rows find their day in `feed`."""
        found = [entity.feed for entity in self.entities.values() if entity.header and entity.header.feed == feed]
        return list(dict.fromkeys(found))

    def feed_users(self, feed: str) -> dict[str, list[str]]:
        """The feeds whose rows hold keys by which entities look values up in `feed`, with the names of those keys."""
        named = {user: [name for name in self.lookup_columns(user) if _looked_up(name) == feed] for user in self.feeds}
        return {user: names for user, names in named.items() if names}

    def lookup_columns(self, feed: str) -> dict[str, ColumnSpec]:
        """For a driving feed or header: its columns that hold keys of lookup feeds.

        The name is the lookup feed's; where several columns hold keys of one feed, further ones are `feed#2` and so on.
        """
        found: dict[str, ColumnSpec] = {}
        for lookup_feed, by in self._keys_held(feed):
            same = [name for name in found if _looked_up(name) == lookup_feed]
            if by not in [found[name] for name in same]:
                found[f"{lookup_feed}#{len(same) + 1}" if same else lookup_feed] = by
        return found

    def _keys_held(self, feed: str) -> Iterator[tuple[str, ColumnSpec]]:
        for entity in self.entities.values():
            for lookup in entity.lookups.values():
                if entity.feed == feed and not lookup.of_header:
                    yield lookup.feed, lookup.by
                if entity.header and entity.header.feed == feed and lookup.of_header:
                    yield lookup.feed, lookup.by.within(HEADER)


def _looked_up(name: str) -> str:
    return name.partition("#")[0]


def _check_key(where: str, parts: Sequence[ColumnSpec], allowed: Sequence[str]) -> None:
    """A key is text: it is made of the feed's own columns, and not computed."""
    for part in parts:
        _require(where, list(part.origins()), allowed)
        if list(part.operands()):
            _refuse(where, "a key is text, and cannot be computed: use `column:`, `extract:`, `replace:` or `join:`")


def _refuse(where: str, problem: str) -> NoReturn:
    # The path lets whoever reads the file name the line.
    raise PydanticCustomError("declaration", "{problem}", {"problem": problem, "path": where})


def _require(where: str, names: Sequence[str], allowed: Sequence[str]) -> None:
    for name in names:
        if name not in allowed:
            _refuse(where, f"{name!r} is not known here; allowed are: {', '.join(allowed) or 'none'}")
