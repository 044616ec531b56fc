"""Serving: the lake's tables published to the DuckDB warehouse, last in every job."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from retail_platform.components.checks import ERROR, WARN, DayCheck, conclude
from retail_platform.components.days import FINISHES, TICKET, daily_asset, days_of, stored
from retail_platform.contracts.gold import GOLD
from retail_platform.contracts.marts import MARTS
from retail_platform.instance.day_checks import DayResult
from retail_platform.platform import Platform, assembled_platform
from retail_platform.serving.duckdb import publish
from retail_platform.serving.gold_checks import GOLD_CHECKS, count_facts, count_failures

KEY = dg.AssetKey(["serving", "duckdb"])
CHECKS = {
    check.name: DayCheck(name=check.name, says=check.says, severity=ERROR if check.is_error else WARN)
    for check in GOLD_CHECKS
}


@dg.definitions
def serving() -> dg.Definitions:
    """The warehouse."""
    tables = [dg.AssetKey([contract.layer, contract.name]) for contract in (*GOLD.values(), *MARTS.values())]

    @daily_asset(
        KEY,
        start=assembled_platform().settings.start_date,
        group="serving",
        deps=tables,
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
        report = publish(platform)
        metadata = {"changed": report.changed, "version": report.version.name, "seconds": report.seconds}
        yield dg.Output(None, output_name="warehouse", metadata=metadata)
        yield from conclude(context, platform, _results(platform, days))
        _finish(context, platform, days)
        # Once more for `ops`: these results, and the days that are no longer dirty. It copies no table but those.
        publish(platform)

    return dg.Definitions(assets=[duckdb])


def _results(platform: Platform, days: list[date]) -> list[DayResult]:
    results: list[DayResult] = []
    with platform.warehouse.connect() as con:
        total = count_facts(con, first=days[0], last=days[-1])
        for check in GOLD_CHECKS:
            failed = count_failures(con, check, first=days[0], last=days[-1])
            results += CHECKS[check.name].results(KEY, days, failed=failed, total=total)
    return results


def _finish(context: dg.AssetExecutionContext, platform: Platform, days: list[date]) -> None:
    """The days have come all the way: they are no longer dirty, unless something dirtied them since the run began."""
    for source in filter(None, context.run.tags.get(FINISHES, "").split(",")):
        platform.ledger.finish(source, first=days[0], last=days[-1], ticket=int(context.run.tags[TICKET]))
