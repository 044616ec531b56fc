"""The component a source is declared with: its lane of assets, from landing to silver."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import polars as pl
from pydantic import BaseModel

from retail_platform.components.checks import WARN, DayCheck, conclude, rule_check
from retail_platform.components.days import (
    IO_MANAGER,
    SCANNED,
    contract_metadata,
    daily,
    days_of,
    pool,
    table_metadata,
)
from retail_platform.contracts.bronze import DESCRIPTIONS, bronze_schema
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.instance.day_checks import DayResult
from retail_platform.lake.io_manager import WrittenDays
from retail_platform.landing.bronze import bronze_batches
from retail_platform.landing.drops import scan
from retail_platform.landing.ledger import Book, Drop
from retail_platform.landing.refining import (
    CONTRACT,
    QUARANTINE_RATE,
    RefinedDays,
    derive_days,
    refine_days,
    refinery,
)
from retail_platform.platform import QUARANTINE_SUFFIX, Platform, assembled_platform
from retail_platform.settings import Settings
from retail_platform.source_spec import SourceSpec
from retail_platform.transforms.quality import QUARANTINED_ROWS, ROWS, SUPERSEDED_ROWS

ROWS_MATCH = DayCheck(
    name="rows_match_files", says="Bronze holds as many rows of the day as the files that were delivered for it."
)
FILES_READABLE = DayCheck(
    name="files_readable", says="Every file could be read; those that could not are named, with what to do."
)
SCHEMA_UNCHANGED = DayCheck(
    name="schema_unchanged",
    says="The files have the declared columns, no new ones, and none renamed.",
    severity=WARN,
)
BOOKS_BALANCE = DayCheck(
    name="books_balance", says="Rows in bronze = rows in silver + rows in quarantine + superseded rows."
)
ONE_DAY_PER_KEY = DayCheck(name="one_day_per_key", says="No key of the day stands on another day, too.")
UNIQUE_KEY = DayCheck(name="unique_key", says="No two rows of the day have the same key.")
CONTRACT_KEPT = DayCheck(
    name=CONTRACT, says="What would be written keeps the table's contract, else it is not written."
)
RATE_BOUNDED = DayCheck(
    name=QUARANTINE_RATE, says="Not more of a day's rows are in quarantine than the limit, else the day is not written."
)


class RetailSource(dg.Component):
    """A retail source: feeds of CSV files, and the entities they become."""

    def __init__(self, name: str, spec: SourceSpec) -> None:
        self.name = name
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The words of `attributes:` in a `defs.yaml`."""
        return SourceSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "RetailSource":
        """The component of a source; its name is that of its folder."""
        if not isinstance(attributes, SourceSpec):
            raise dg.DagsterInvalidDefinitionError(f"{context.path}: `attributes:` are missing")
        return cls(name=context.path.name, spec=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """The lane's assets and job, or nothing where the source is not active."""
        platform = assembled_platform()
        if self.name not in platform.sources:
            return dg.Definitions()
        return dg.Definitions(assets=lane_assets(self.name, platform.sources[self.name], platform.settings))


def lane_assets(source: str, spec: SourceSpec, settings: Settings) -> list[dg.AssetsDefinition]:
    """Bronze for every feed, silver and quarantine for every entity of a source."""
    assets = [_bronze(source, spec, feed, settings) for feed in spec.feeds]
    for entity, declared in spec.entities.items():
        build = _derived if declared.derived else _silver
        assets.append(build(source, spec, entity, settings))
    return assets


def _bronze(source: str, spec: SourceSpec, feed: str, settings: Settings) -> dg.AssetsDefinition:
    key = dg.AssetKey(["bronze", source, feed])
    partitions = daily(settings.start_date)
    declared = spec.feeds[feed]

    @dg.multi_asset(
        name=f"bronze_{source}_{feed}",
        outs={
            feed: dg.AssetOut(
                key=key,
                description=f"Feed {feed} of {source} as it was delivered: text, and where each row came from.",
                metadata=table_metadata(bronze_schema(declared), DESCRIPTIONS, PARTITION_DATE),
                io_manager_key=IO_MANAGER,
                kinds={"csv", "parquet"},
            )
        },
        partitions_def=partitions,
        group_name=source,
        pool=pool(key.path),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[check.spec(key, partitions) for check in (ROWS_MATCH, FILES_READABLE, SCHEMA_UNCHANGED)],
    )
    def bronze(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        lane = platform.lanes[source]
        days = days_of(context)
        if SCANNED not in context.run.tags:
            scan(lane)
        problems: list[str] = []
        yield dg.Output(bronze_batches(lane, feed, first=days[0], last=days[-1], problems=problems), output_name=feed)
        for problem in problems:
            context.log.warning(problem)
        yield from conclude(context, platform, _bronze_results(platform, key, days))

    return bronze


def _bronze_results(platform: Platform, key: dg.AssetKey, days: list[date]) -> list[DayResult]:
    _, source, feed = key.path
    ledger = platform.ledger
    held = platform.table(key.path).row_counts(days)
    delivered = ledger.rows_by_day(source, feed, first=days[0], last=days[-1])
    drops = ledger.drops(source=source, feed=feed, statuses=("pending", "loaded", "rejected"), days=(days[0], days[-1]))
    by_day: dict[date, list[Drop]] = {}
    drop_days = ledger.days_of([drop.drop_id for drop in drops])
    for drop in drops:
        for day in drop_days[drop.drop_id]:
            by_day.setdefault(day, []).append(drop)
    rejected = {day: [drop for drop in some if drop.status == "rejected"] for day, some in by_day.items()}
    changed = {day: [drop for drop in some if _schema_changes(drop)] for day, some in by_day.items()}
    files = {day: len(some) for day, some in by_day.items()}
    return [
        *ROWS_MATCH.results(
            key, days, failed={day: abs(held[day] - delivered.get(day, 0)) for day in days}, total=held
        ),
        *FILES_READABLE.results(
            key,
            days,
            failed={day: len(some) for day, some in rejected.items()},
            total=files,
            details={day: "\n".join(f"{drop.path}: {drop.message}" for drop in some) for day, some in rejected.items()},
        ),
        *SCHEMA_UNCHANGED.results(
            key,
            days,
            failed={day: len(some) for day, some in changed.items()},
            total=files,
            details={
                day: "\n".join(f"{drop.path}: {_schema_changes(drop)}" for drop in some)
                for day, some in changed.items()
            },
        ),
    ]


def _schema_changes(drop: Drop) -> str:
    changes = {"new": drop.new_columns, "renamed": drop.renamed_columns, "missing": drop.missing_columns}
    return "; ".join(f"{what}: {names}" for what, names in changes.items() if names)


def _silver(source: str, spec: SourceSpec, entity: str, settings: Settings) -> dg.AssetsDefinition:
    key = dg.AssetKey(["silver", source, entity])
    quarantine_key = dg.AssetKey(["silver", source, entity + QUARANTINE_SUFFIX])
    contract = ENTITIES[entity]
    declared = spec.entities[entity]
    partitions = daily(settings.start_date)
    is_dated = spec.feeds[declared.feed].kind == "transactional"
    checks = [RATE_BOUNDED, CONTRACT_KEPT, BOOKS_BALANCE, UNIQUE_KEY, *([ONE_DAY_PER_KEY] if is_dated else [])]
    rules = contract.rules_for(mapped=declared.columns, overrides=declared.rules)
    lookups = {lookup.feed for lookup in declared.lookups.values()}

    @dg.multi_asset(
        name=f"silver_{source}_{entity}",
        ins={"rows": dg.AssetIn(key=["bronze", source, declared.feed])},
        deps=[dg.AssetKey(["bronze", source, feed]) for feed in sorted(lookups)],
        outs={
            "quarantine": dg.AssetOut(
                key=quarantine_key,
                description=f"Rows of {source} that are no valid {entity}, with the reasons. {QUARANTINE.description}",
                metadata=contract_metadata(QUARANTINE),
                io_manager_key=IO_MANAGER,
                kinds={"polars", "parquet"},
            ),
            "silver": dg.AssetOut(
                key=key,
                description=f"{contract.description} Source: {source}.",
                metadata=contract_metadata(contract),
                io_manager_key=IO_MANAGER,
                kinds={"polars", "parquet"},
            ),
        },
        partitions_def=partitions,
        group_name=source,
        pool=pool(key.path),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[check.spec(key, partitions) for check in (*checks, *map(rule_check, rules))],
    )
    def silver(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], rows: pl.LazyFrame
    ) -> Iterator[Any]:
        days = days_of(context)
        refined = refine_days(platform.lanes[source], entity, rows, days, platform.engine)
        yield dg.Output(refined.quarantine, output_name="quarantine")
        written = [day for day in days if day not in refined.blocked]
        yield dg.Output(WrittenDays(frame=refined.silver, days=written), output_name="silver")
        for day, (_, why) in refined.blocked.items():
            context.log.error("%s is blocked: %s", day, why)
        yield from conclude(context, platform, _silver_results(platform, key, days, refined, is_dated=is_dated))

    return silver


def _silver_results(
    platform: Platform, key: dg.AssetKey, days: list[date], refined: RefinedDays, *, is_dated: bool
) -> list[DayResult]:
    _, source, entity = key.path
    how = refinery(platform.lanes[source], entity)
    total = {day: refined.counts[day][ROWS] for day in days}
    books = _books(platform, key, days, refined)
    platform.ledger.write_books(books)
    results = BOOKS_BALANCE.results(
        key,
        days,
        failed={
            book.day: abs(book.bronze_rows - book.silver_rows - book.quarantined_rows - book.superseded_rows)
            for book in books
        },
        total=total,
    )
    for check in (RATE_BOUNDED, CONTRACT_KEPT):
        blocked = {day: why for day, (name, why) in refined.blocked.items() if name == check.name}
        failed = {day: max(refined.counts[day][QUARANTINED_ROWS], 1) for day in blocked}
        results += check.results(key, days, failed=failed, total=total, details=blocked)
    results += UNIQUE_KEY.results(key, days, failed=_repeated_keys(refined.silver, how.contract), total=total)
    if is_dated:
        results += ONE_DAY_PER_KEY.results(key, days, failed=_keys_elsewhere(platform, key, days), total=total)
    examples = _examples(refined)
    for rule in how.rules:
        failed = {day: refined.counts[day][rule.name] for day in days}
        details = {day: text for (day, name), text in examples.items() if name == rule.name}
        results += rule_check(rule).results(key, days, failed=failed, total=total, details=details)
    return results


def _books(platform: Platform, key: dg.AssetKey, days: list[date], refined: RefinedDays) -> list[Book]:
    """What became of each day's rows, counted in the files as they were written."""
    _, source, entity = key.path
    feed = platform.sources[source].entities[entity].feed
    bronze = platform.table(["bronze", source, feed]).row_counts(days)
    quarantined = platform.table(["silver", source, entity + QUARANTINE_SUFFIX]).row_counts(days)
    silver = platform.table(key.path).row_counts(days)
    # A blocked day's file holds what it held before; what counts is what became of the new rows.
    partition = refined.silver[platform.table(key.path).partition_column]
    judged = dict(partition.value_counts().iter_rows())
    return [
        Book(
            source=source,
            entity=entity,
            day=day,
            bronze_rows=bronze[day],
            silver_rows=judged.get(day, 0) if day in refined.blocked else silver[day],
            quarantined_rows=quarantined[day],
            superseded_rows=refined.counts[day][SUPERSEDED_ROWS],
            blocked_because=refined.blocked[day][1] if day in refined.blocked else "",
        )
        for day in days
    ]


def _repeated_keys(silver: pl.DataFrame, contract: Contract) -> dict[date, int]:
    """How many rows of each day share their key with another: two spellings of one key, that mapping has made equal."""
    names = [contract.partition_column, *contract.key]
    repeated = silver.filter(pl.struct(names).is_duplicated())
    return dict(repeated[contract.partition_column].value_counts().iter_rows())


def _keys_elsewhere(platform: Platform, key: dg.AssetKey, days: list[date]) -> dict[date, int]:
    """How many keys of each day silver holds on another day, too: found in silver itself, not in the key index."""
    contract = ENTITIES[key.path[-1]]
    table = platform.table(key.path)
    names, day = list(contract.key), contract.partition_column
    mine = table.scan(days).select(*names, day)
    twice = (
        table.scan()
        .select(*names, day)
        .join(mine.select(names).unique(), on=names, how="semi")
        .unique()
        .group_by(names)
        .len()
        .filter(pl.col("len") > 1)
    )
    counts = mine.join(twice, on=names, how="semi").group_by(day).agg(pl.struct(names).n_unique()).collect()
    return dict(counts.iter_rows())


def _examples(refined: RefinedDays) -> dict[tuple[date, str], str]:
    """By day and reason, where the first few rows in quarantine stand: file and row, no values."""
    if refined.quarantine.is_empty():
        return {}
    places = (
        refined.quarantine.explode("reasons")
        .group_by(PARTITION_DATE, "reasons")
        .agg(pl.format("{} row {}", "_source_file", "_row_number").head(_EXAMPLES).str.join("; "))
    )
    return {(day, reason): text for day, reason, text in places.iter_rows()}


_EXAMPLES = 5


def _derived(source: str, spec: SourceSpec, entity: str, settings: Settings) -> dg.AssetsDefinition:
    key = dg.AssetKey(["silver", source, entity])
    contract = ENTITIES[entity]
    feed = spec.entities[entity].feed

    @dg.asset(
        key=key,
        ins={"rows": dg.AssetIn(key=["bronze", source, feed])},
        description=f"{contract.description} Read off {feed}: {source} delivers no {entity} of their own.",
        metadata=contract_metadata(contract),
        io_manager_key=IO_MANAGER,
        kinds={"polars", "parquet"},
        partitions_def=daily(settings.start_date),
        group_name=source,
        pool=pool(key.path),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def derived(platform: dg.ResourceParam[Platform], rows: pl.LazyFrame) -> pl.DataFrame:
        return derive_days(platform.lanes[source], entity, rows, platform.engine)

    return derived
