"""From bronze to silver and quarantine: the steps of one entity of one source, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import narwhals as nw

from retail_platform.contracts.bronze import DROP_ID, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import MALFORMED, PARTITION_DATE, Rule
from retail_platform.engines.engine import Engine
from retail_platform.source_spec import EntitySpec, FeedSpec, SourceSpec
from retail_platform.transforms.lookups import validity
from retail_platform.transforms.quality import REASONS, SEPARATOR, in_quarantine, in_silver, judge
from retail_platform.transforms.staging import RAW, Staging, complete_orders, look_up, stage
from retail_platform.transforms.versions import CREATED_AT, SUPERSEDED, latest_versions, mark_superseded


@dataclass(frozen=True, kw_only=True)
class Refinery:
    """What turns one source's bronze rows into one entity."""

    source: str
    spec: SourceSpec
    name: str
    contract: Contract

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
        return self.contract.rules_for(mapped=self.entity.columns, overrides=self.entity.rules)

    @property
    def staging(self) -> Staging:
        """How rows are staged."""
        return Staging(source=self.source, spec=self.spec, entity=self.entity, types=self.contract.narwhals_schema)


def refine(
    rows: nw.LazyFrame,
    refinery: Refinery,
    *,
    versions: nw.LazyFrame | None,
    lookups: Mapping[str, nw.LazyFrame],
    engine: Engine,
) -> nw.LazyFrame:
    """Judge bronze rows: find the superseded ones, give all our columns, write broken rules on them.

    Args:
        rows: Bronze rows of the days wanted.
        refinery: The entity.
        versions: Every version, on any day, of the keys that `rows` name (transactional feeds). None for master feeds,
            where each day's delivery stands for itself.
        lookups: By lookup: all bronze rows of its feed.
        engine: What runs it.

    Returns:
        The same rows, none lost or added, with our columns typed, the feed's own columns prefixed `raw.`, and the
        technical columns `_superseded`, `_created_at`, `_reasons`, `_warnings`.
    """
    by = [KEY] if versions is not None else [PARTITION_DATE, KEY]
    latest = latest_versions(rows if versions is None else versions, by=by)
    rows = mark_superseded(rows, latest, by=by, many=refinery.feed.rows_per_key == "many")
    rows = _with_raw(rows, refinery.feed)
    for alias, lookup in refinery.entity.lookups.items():
        key = refinery.spec.feeds[lookup.feed].key[0]
        prices = validity(lookups[alias], key=key, take=lookup.take)
        rows = look_up(rows, prices, on=RAW + lookup.by, alias=alias)
    rows = stage(rows, refinery.staging, engine)
    if refinery.name == "orders":
        rows = complete_orders(rows, currency=refinery.spec.currency)
    rows = _complete(rows, refinery.contract)
    return judge(rows, refinery.rules)


def _with_raw(rows: nw.LazyFrame, feed: FeedSpec) -> nw.LazyFrame:
    names = rows.collect_schema().names()
    declared = [name for name in names if name in feed.all_columns]
    rows = rows.rename({name: RAW + name for name in declared})
    rows = rows.with_columns(
        nw.when(nw.col(RAW + name).str.strip_chars() != "")
        .then(nw.col(RAW + name))
        .otherwise(nw.lit(default))
        .alias(RAW + name)
        for name, default in feed.optional.items()
        if default is not None
    )
    return rows.with_columns(nw.col("_line_number").cast(nw.String()).alias(RAW + "_line_number"))


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


def derive_members(rows: nw.LazyFrame, refinery: Refinery, *, versions: nw.LazyFrame, engine: Engine) -> nw.LazyFrame:
    """The members that a day's transactions name: one row per day, key and description, with how often it occurs.

    Which description is published is decided over all days, when the dimension is.
    """
    rows = mark_superseded(rows, latest_versions(versions), many=refinery.feed.rows_per_key == "many").filter(
        ~nw.col(SUPERSEDED)
    )
    rows = stage(_with_raw(rows, refinery.feed), refinery.staging, engine)
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
