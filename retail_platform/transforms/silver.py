"""From bronze to silver and quarantine: the steps of one entity of one source, in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import narwhals as nw

from retail_platform.contracts.bronze import DROP_ID, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import HAS_HEADER, MALFORMED, PARTITION_DATE, Rule
from retail_platform.engines.engine import Engine
from retail_platform.source_spec import LINE_NUMBER, ColumnSpec, EntitySpec, FeedSpec, SourceSpec
from retail_platform.transforms.headers import join_headers, or_default
from retail_platform.transforms.lookups import validity
from retail_platform.transforms.quality import REASONS, SEPARATOR, in_quarantine, in_silver, judge
from retail_platform.transforms.staging import RAW, Staging, complete_headers, complete_orders, look_up, stage
from retail_platform.transforms.values import value_of
from retail_platform.transforms.versions import (
    CREATED_AT,
    STATED_DATE,
    SUPERSEDED,
    VERSION,
    latest_versions,
    mark_superseded,
    with_stated_date,
)

Hook = Callable[[nw.LazyFrame], nw.LazyFrame]

_KEPT = "kept."


class HookError(Exception):
    """A source's Python function did not return what it must; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Refinery:
    """What turns one source's bronze rows into one entity; `hook` is the source's own function, if it has one."""

    source: str
    spec: SourceSpec
    name: str
    contract: Contract
    hook: Hook | None = None

    @property
    def entity(self) -> EntitySpec:
        """The entity's declaration."""
        return self.spec.entities[self.name]

    @property
    def feed(self) -> FeedSpec:
        """The driving feed."""
        return self.spec.feeds[self.entity.feed]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The contract's rules as this source has them."""
        return rules_of(self.entity, self.contract)

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Our columns that come from the driving feed's row alone, not from its header, lookups or hook."""
        own = {*self.feed.all_columns, LINE_NUMBER}
        return tuple(name for name, spec in self.entity.columns.items() if own.issuperset(spec.origins()))

    @property
    def staging(self) -> Staging:
        """How rows are staged."""
        return Staging(source=self.source, spec=self.spec, entity=self.entity, types=self.contract.narwhals_schema)


def rules_of(entity: EntitySpec, contract: Contract) -> tuple[Rule, ...]:
    """A contract's rules as a source has them that declares the entity so."""
    mapped = [*entity.columns, *([HAS_HEADER] if entity.header else [])]
    return contract.rules_for(mapped=mapped, overrides=entity.rules)


def refine(
    rows: nw.LazyFrame,
    refinery: Refinery,
    *,
    versions: nw.LazyFrame | None,
    lookups: Mapping[str, nw.LazyFrame],
    engine: Engine,
    headers: nw.LazyFrame | None = None,
) -> nw.LazyFrame:
    """Judge bronze rows: find the superseded ones, give all our columns, write broken rules on them.

    Args:
        rows: Bronze rows of the days wanted; those of undated feeds with `_header_key`, and their own day as
            `partition_date`.
        refinery: The entity.
        versions: Every version, on any day, of the keys that `rows` name (transactional and undated feeds). None for
            master feeds, where each day's delivery stands for itself.
        lookups: By lookup: all bronze rows of its feed.
        engine: What runs it.
        headers: Of undated feeds: bronze rows of their headers, one per header.

    Returns:
        The same rows, none lost or added, with our columns typed, the feed's own columns prefixed `raw.`, and the
        technical columns `_superseded`, `_created_at`, `_reasons`, `_warnings`; of undated feeds `_has_header`, too.
    """
    if refinery.entity.key:
        rows = _keyed(rows, refinery.entity.key, engine)
    by = [KEY] if versions is not None else [PARTITION_DATE, KEY]
    if versions is None:
        dated = with_stated_date(rows, refinery.feed, engine)
        latest = latest_versions(dated, by=by, order=(STATED_DATE, *VERSION))
    else:
        latest = latest_versions(versions, by=by)
    rows = mark_superseded(rows, latest, by=by, many=refinery.feed.rows_per_key == "many")
    rows = _headed(_with_raw(rows, refinery.feed), refinery, headers)
    for alias, lookup in refinery.entity.lookups.items():
        prices = validity(lookups[alias], refinery.spec.feeds[lookup.feed], take=lookup.take, engine=engine)
        rows = look_up(rows, prices, by=lookup.by, alias=alias)
    rows = stage(_hooked(rows, refinery), refinery.staging, engine)
    if refinery.contract.name == "orders":
        rows = complete_orders(rows, currency=refinery.spec.currency)
    if refinery.contract.name == "order_headers":
        rows = complete_headers(rows, currency=refinery.spec.currency)
    rows = _complete(rows, refinery.contract)
    return judge(rows, refinery.rules, known=None if headers is None else refinery.own_columns)


def _keyed(rows: nw.LazyFrame, key: Sequence[ColumnSpec], engine: Engine) -> nw.LazyFrame:
    """Name rows by other columns than their feed's key."""
    parts = {f"{KEY}.{place}": value_of(part, prefix="") for place, part in enumerate(key)}
    rows = rows.drop(KEY).with_columns(value.alias(name) for name, value in parts.items())
    return engine.hash_keys(rows, {KEY: list(parts)}).drop(list(parts))


def _headed(rows: nw.LazyFrame, refinery: Refinery, headers: nw.LazyFrame | None) -> nw.LazyFrame:
    declared = refinery.entity.header
    if declared is None or headers is None:
        return rows
    return join_headers(rows, headers, refinery.spec.feeds[declared.feed], take=declared.take, prefix=RAW)


def _with_raw(rows: nw.LazyFrame, feed: FeedSpec) -> nw.LazyFrame:
    names = rows.collect_schema().names()
    declared = [name for name in names if name in feed.all_columns]
    rows = rows.rename({name: RAW + name for name in declared})
    rows = rows.with_columns(or_default(name, feed, prefix=RAW).alias(RAW + name) for name in feed.optional)
    return rows.with_columns(nw.col("_line_number").cast(nw.String()).alias(RAW + "_line_number"))


def _hooked(rows: nw.LazyFrame, refinery: Refinery) -> nw.LazyFrame:
    """Let the source's function add its columns. It sees copies, so that the row as it came stays as it came."""
    declared = refinery.entity.hook
    if declared is None or refinery.hook is None:
        return rows
    names = rows.collect_schema().names()
    seen = [name for name in names if name.startswith(RAW)]
    copies = rows.rename({name: _KEPT + name for name in names}).with_columns(
        nw.col(_KEPT + name).alias(name.removeprefix(RAW)) for name in seen
    )
    made = refinery.hook(copies)
    present = set(made.collect_schema().names())
    if missing := [name for name in (*declared.adds, *(_KEPT + name for name in names)) if name not in present]:
        raise HookError(
            f"{refinery.source}: {declared.function} returned a frame without {', '.join(missing)}: it must return the "
            f"frame it is given, with_columns() for {', '.join(declared.adds)}"
        )
    return made.select(
        *(nw.col(_KEPT + name).alias(name) for name in names),
        *(nw.col(name).cast(nw.String()).alias(RAW + name) for name in declared.adds),
    )


def _complete(rows: nw.LazyFrame, contract: Contract) -> nw.LazyFrame:
    """Columns that a rule may look at and the source does not fill are null."""
    present = set(rows.collect_schema().names())
    missing = {name: dtype for name, dtype in contract.narwhals_schema.items() if name not in present}
    rows = rows.with_columns(nw.lit(None).cast(dtype).alias(name) for name, dtype in missing.items())
    if contract.partition_column == "drop_date":
        rows = rows.with_columns(nw.col(PARTITION_DATE).alias("drop_date"))
    return rows.with_columns(
        nw.col(CREATED_AT).alias("created_at"),
        nw.col(DROPPED_AT).alias("updated_at"),
        nw.lit(value=True).alias("is_active"),
    )


def silver_rows(judged: nw.LazyFrame, contract: Contract) -> nw.LazyFrame:
    """The rows that count and break no rule, in the contract's columns."""
    return contract.cast(judged.filter(in_silver()))


def quarantine_rows(judged: nw.LazyFrame, refinery: Refinery, quarantine: Contract, engine: Engine) -> nw.LazyFrame:
    """The rows that would count but break a rule, with all reasons and the row as it came."""
    columns = list(refinery.feed.all_columns)
    rows = judged.filter(in_quarantine()).select(
        *(nw.col(RAW + name).alias(name) for name in columns),
        nw.col(PARTITION_DATE).alias("_day"),
        nw.col(REASONS).str.split(SEPARATOR).alias("_reasons"),
        *(nw.col(name) for name in (MALFORMED, DROPPED_AT, DROP_ID, SOURCE_FILE, ROW_NUMBER)),
    )
    rows = engine.pack_json(rows, columns, "_raw")
    rows = rows.select(
        nw.lit(refinery.source).alias("source_system"),
        nw.lit(refinery.entity.feed).alias("feed"),
        nw.col("_day").alias(PARTITION_DATE),
        nw.col("_reasons").alias("reasons"),
        nw.coalesce(MALFORMED, "_raw").alias("raw"),
        nw.col(DROPPED_AT).alias("quarantined_at"),
        DROP_ID,
        SOURCE_FILE,
        ROW_NUMBER,
    )
    return quarantine.cast(rows)


def derive_members(
    rows: nw.LazyFrame,
    refinery: Refinery,
    *,
    versions: nw.LazyFrame,
    engine: Engine,
    headers: nw.LazyFrame | None = None,
) -> nw.LazyFrame:
    """The members that a day's transactions name: one row per day, key and description, with how often it occurs.

    Which description is published is decided over all days, when the dimension is. Rows that wait for their header
    describe nothing yet. The arguments are those of `refine`.
    """
    rows = mark_superseded(rows, latest_versions(versions), many=refinery.feed.rows_per_key == "many").filter(
        ~nw.col(SUPERSEDED)
    )
    rows = _headed(_with_raw(rows, refinery.feed), refinery, headers)
    if headers is not None:
        rows = rows.filter(nw.col(HAS_HEADER))
    rows = stage(_hooked(rows, refinery), refinery.staging, engine)
    (key,) = refinery.contract.key
    described = [PARTITION_DATE, "source_system", *refinery.entity.columns]
    members = (
        rows.filter(~nw.col(key).is_null())
        .group_by(described)
        .agg(
            nw.len().cast(nw.Int64()).alias("occurrences"),
            nw.col(CREATED_AT).min().alias("created_at"),
            nw.col(DROPPED_AT).max().alias("updated_at"),
            nw.col(SOURCE_FILE).max(),
            nw.col(DROP_ID).max(),
            nw.col(ROW_NUMBER).max(),
        )
    )
    members = members.with_columns(nw.lit(value=True).alias("is_active"), nw.col(PARTITION_DATE).alias("drop_date"))
    return refinery.contract.cast(members)


def order_rows(contract: Contract) -> Sequence[str]:
    """The columns that silver days are sorted by, so that equal content gives equal files."""
    return [contract.partition_column, *contract.key, SOURCE_FILE, ROW_NUMBER]
