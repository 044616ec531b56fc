"""The component a source is declared with: its lane of assets, from landing to silver."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl
from pydantic import BaseModel

from retail_platform.components.checks import conclude, rule_check
from retail_platform.components.days import (
    SCANNED,
    contract_metadata,
    daily_asset,
    days_of,
    describe_run,
    stored,
    table_metadata,
    ticket_tag,
)
from retail_platform.components.lane_checks import (
    ALL_DESCRIBED,
    BRONZE_CHECKS,
    NOTHING_SET_ASIDE,
    ONE_DAY_PER_KEY,
    SILVER_CHECKS,
    bronze_results,
    described_results,
    keep_books,
    quarantine_results,
    silver_results,
)
from retail_platform.components.lineage import quarantine_lineage, silver_lineage
from retail_platform.contracts.bronze import DESCRIPTIONS, bronze_schema
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.instance.failed_days import report_failed_days
from retail_platform.lake.io_manager import WrittenDays
from retail_platform.landing.bronze import bronze_batches
from retail_platform.landing.drops import scan
from retail_platform.landing.refining import (
    derive_days,
    refine_days,
)
from retail_platform.platform import QUARANTINE_SUFFIX, Platform, assembled_platform
from retail_platform.settings import Settings
from retail_platform.source_spec import EntitySpec, SourceSpec
from retail_platform.transforms.silver import rules_of

_KINDS = ("polars", "parquet")


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
    declared = spec.feeds[feed]

    @daily_asset(
        key,
        start=settings.start_date,
        group=source,
        outs={
            feed: stored(
                key,
                description=f"Feed {feed} of {source} as it was delivered: text, and where each row came from.",
                metadata=table_metadata(bronze_schema(declared), DESCRIPTIONS, PARTITION_DATE),
                kinds={"csv", "parquet"},
            )
        },
        checks=BRONZE_CHECKS,
    )
    def bronze(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        lane = platform.lanes[source]
        days = days_of(context)
        describe_run(context, source)
        if SCANNED not in context.run.tags:
            scan(lane)
            _note_ticket(context, platform, source)
        problems: list[str] = []
        yield dg.Output(bronze_batches(lane, feed, first=days[0], last=days[-1], problems=problems), output_name=feed)
        for problem in problems:
            context.log.warning(problem)
        yield from conclude(context, platform, bronze_results(platform, key, days))

    return bronze


def _note_ticket(context: dg.AssetExecutionContext, platform: Platform, source: str) -> None:
    """What is dirty after the first look is computed by this run; what later looks find may come too late for it."""
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and ticket_tag(source) not in run.tags:
        context.instance.add_run_tags(run.run_id, {ticket_tag(source): str(platform.ledger.last_ticket())})


def _silver(source: str, spec: SourceSpec, entity: str, settings: Settings) -> dg.AssetsDefinition:
    key = dg.AssetKey(["silver", source, entity])
    quarantine_key = dg.AssetKey(["silver", source, entity + QUARANTINE_SUFFIX])
    contract = ENTITIES[spec.entity_of(entity)]
    declared = spec.entities[entity]
    is_dated = spec.feeds[declared.feed].kind != "master"
    checks = [*SILVER_CHECKS, *([ONE_DAY_PER_KEY] if is_dated else [])]
    rules = rules_of(declared, contract)

    @daily_asset(
        key,
        start=settings.start_date,
        group=source,
        ins={"rows": dg.AssetIn(key=["bronze", source, declared.feed])},
        deps=_read_elsewhere(source, declared),
        outs={
            "quarantine": stored(
                quarantine_key,
                description=f"Rows of {source} that are no valid {entity}, with the reasons. {QUARANTINE.description}",
                metadata=contract_metadata(QUARANTINE) | quarantine_lineage(source, spec, entity),
                kinds=_KINDS,
            ),
            "silver": stored(
                key,
                description=f"{contract.description} Source: {source}.",
                metadata=contract_metadata(contract) | silver_lineage(source, spec, entity),
                kinds=_KINDS,
            ),
        },
        checks=[*checks, *map(rule_check, rules)],
        also_checked={quarantine_key: [NOTHING_SET_ASIDE]},
    )
    def silver(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], rows: pl.LazyFrame
    ) -> Iterator[Any]:
        days = days_of(context)
        describe_run(context, source)
        refined = refine_days(platform.lanes[source], entity, rows, days, platform.engine)
        yield dg.Output(refined.quarantine, output_name="quarantine")
        written = [day for day in days if day not in refined.blocked]
        yield dg.Output(WrittenDays(frame=refined.silver, days=written), output_name="silver")
        for day, (_, why) in refined.blocked.items():
            context.log.error("%s is blocked: %s", day, why)
        blocked = {day.isoformat(): f"blocked: {why}" for day, (_, why) in sorted(refined.blocked.items())}
        report_failed_days(context.instance, context.run, key, context.op_execution_context.op.name, blocked)
        books = keep_books(platform, key, days, refined)
        results = silver_results(platform, key, books, refined, is_dated=is_dated)
        yield from conclude(context, platform, [*results, *quarantine_results(quarantine_key, books, refined)])

    return silver


def _read_elsewhere(source: str, entity: EntitySpec) -> list[dg.AssetKey]:
    """The bronze tables that an entity reads on other days than its own: its header's, and its lookups'."""
    return [dg.AssetKey(["bronze", source, feed]) for feed in sorted(entity.feeds) if feed != entity.feed]


def _derived(source: str, spec: SourceSpec, entity: str, settings: Settings) -> dg.AssetsDefinition:
    key = dg.AssetKey(["silver", source, entity])
    contract = ENTITIES[spec.entity_of(entity)]
    feed = spec.entities[entity].feed
    orders = dg.AssetKey(["silver", source, "orders"])

    @daily_asset(
        key,
        start=settings.start_date,
        group=source,
        ins={"rows": dg.AssetIn(key=["bronze", source, feed])},
        # The check compares with the orders of the day, so they come first.
        deps=[orders, *_read_elsewhere(source, spec.entities[entity])],
        outs={
            "silver": stored(
                key,
                description=f"{contract.description} Read off {feed}: {source} delivers no {entity} of their own.",
                metadata=contract_metadata(contract) | silver_lineage(source, spec, entity),
                kinds=_KINDS,
            )
        },
        checks=[ALL_DESCRIBED],
    )
    def derived(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], rows: pl.LazyFrame
    ) -> Iterator[Any]:
        members = derive_days(platform.lanes[source], entity, rows, days_of(context), platform.engine)
        yield dg.Output(members, output_name="silver")
        ordered = platform.table(orders.path).scan(days_of(context))
        yield from conclude(context, platform, described_results(key, days_of(context), members, ordered, contract))

    return derived
