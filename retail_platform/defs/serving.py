"""Serving: the lake's tables published to the DuckDB warehouse, last in every job."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from retail_platform.components.checks import ERROR, WARN, DayCheck, conclude
from retail_platform.components.days import FINISHES, TICKET, daily_asset, days_of, stored, ticket_tag
from retail_platform.components.publish_sensor import POSITION, newest_materialization, published_up_to
from retail_platform.contracts.gold import GOLD
from retail_platform.contracts.marts import DAILY_MARTS, MARTS
from retail_platform.instance.day_checks import DayResult
from retail_platform.platform import Platform, assembled_platform
from retail_platform.serving.duckdb import publish, publish_ops
from retail_platform.serving.gold_checks import GOLD_CHECKS, count_facts, count_failures
from retail_platform.transforms.dimensions import DIMENSIONS

KEY = dg.AssetKey(["serving", "duckdb"])
CHECKS = {
    check.name: DayCheck(name=check.name, says=check.says, severity=ERROR if check.is_error else WARN)
    for check in GOLD_CHECKS
}


@dg.definitions
def serving() -> dg.Definitions:
    """The warehouse."""
    platform = assembled_platform()

    @daily_asset(
        KEY,
        start=platform.settings.start_date,
        group="serving",
        deps=[*_tables(), *_unused_below(platform)],
        outs={
            "warehouse": stored(
                KEY,
                description="The DuckDB warehouse (warehouse/retail.duckdb): a run becomes visible as a whole.",
                kinds={"duckdb"},
            )
        },
        checks=CHECKS.values(),
    )
    def duckdb(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        days = days_of(context)
        position = newest_materialization(context.instance, KEY)
        yield dg.Output(None, output_name="warehouse", metadata=_publish(context, platform, position))
        yield from conclude(context, platform, _results(platform, days))
        _finish(context, platform, days)
        # These results, and the days that are no longer dirty.
        publish_ops(platform)

    return dg.Definitions(assets=[duckdb])


def _publish(context: dg.AssetExecutionContext, platform: Platform, position: int) -> dict[str, Any]:
    """Publish, unless the same load has done so for other days; what there is to say of it."""
    found: dict[str, Any] = {POSITION: dg.MetadataValue.int(position)}
    if FINISHES in context.run.tags and 0 < position == published_up_to(context.instance, KEY):
        return found | {"changed": False}
    report = publish(platform)
    return found | {"changed": report.changed, "version": report.version.name, "seconds": report.seconds}


def _results(platform: Platform, days: list[date]) -> list[DayResult]:
    results: list[DayResult] = []
    with platform.warehouse.connect() as con:
        total = count_facts(con, first=days[0], last=days[-1])
        for check in GOLD_CHECKS:
            failed = count_failures(
                con, check, first=days[0], last=days[-1], deviations=platform.settings.outlier_deviations
            )
            results += CHECKS[check.name].results(KEY, days, failed=failed, total=total[check.facts])
    return results


def _tables() -> list[dg.AssetKey]:
    return [dg.AssetKey([contract.layer, contract.name]) for contract in (*GOLD.values(), *MARTS.values())]


def _of_drops() -> list[dg.AssetKey]:
    """What a drop's days go through: all but the snapshots, which follow by themselves."""
    return [dg.AssetKey([contract.layer, contract.name]) for contract in (*GOLD.values(), *DAILY_MARTS.values())]


def _unused_below(platform: Platform) -> list[dg.AssetKey]:
    """What no gold table is made of: that, too, must be there before a source's days count as finished."""
    used = {"orders", "order_headers", "payments", "calendar", *(dimension.entity for dimension in DIMENSIONS)}
    unused = []
    for source, spec in platform.sources.items():
        entities = spec.entities
        feeds = {feed for entity in entities.values() for feed in entity.feeds}
        unused += [dg.AssetKey(["bronze", source, feed]) for feed in spec.feeds if feed not in feeds]
        unused += [dg.AssetKey(["silver", source, table]) for table in entities if spec.entity_of(table) not in used]
    return unused


def _finish(context: dg.AssetExecutionContext, platform: Platform, days: list[date]) -> None:
    """The days have come all the way: they are no longer dirty, unless something dirtied them since the run began."""
    tags = context.run.tags
    if FINISHES in tags:
        tickets = dict.fromkeys(filter(None, tags[FINISHES].split(",")), int(tags[TICKET]))
    else:
        # Materialized by hand, or by a backfill: a source is finished where all its tables were.
        selected = set(context.job_def.asset_layer.executable_asset_keys)
        sources = [
            name for name in platform.sources if selected.issuperset([*_lane_keys(platform, name), *_of_drops()])
        ]
        run = context.instance.get_run_by_id(context.run.run_id)
        looks = run.tags if run else tags
        tickets = {name: int(looks[ticket_tag(name)]) for name in sources if ticket_tag(name) in looks}
    for source, ticket in tickets.items():
        platform.ledger.finish(source, first=days[0], last=days[-1], ticket=ticket)


def _lane_keys(platform: Platform, source: str) -> list[dg.AssetKey]:
    spec = platform.sources[source]
    feeds = [["bronze", source, feed] for feed in spec.feeds]
    return [dg.AssetKey(path) for path in (*feeds, *(["silver", source, entity] for entity in spec.entities))]
