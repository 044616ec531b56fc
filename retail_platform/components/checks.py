"""Asset checks with a result per day: how counts become results, and how results are kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from retail_platform.contracts.rules import Rule
from retail_platform.instance.day_checks import DayResult, day_check_spec, report_days, summarize
from retail_platform.lake.parquet import FILE_ID, FileRows
from retail_platform.platform import CHECK_RESULTS, Platform

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN


@dataclass(frozen=True, kw_only=True)
class DayCheck:
    """A check of an asset: its name, what it says, and how bad it is if it fails."""

    name: str
    says: str
    severity: dg.AssetCheckSeverity = ERROR

    def spec(self, asset: dg.AssetKey, partitions: dg.PartitionsDefinition[str]) -> dg.AssetCheckSpec:
        """The check as Dagster declares it."""
        return day_check_spec(self.name, asset=asset, partitions_def=partitions, description=self.says)

    def results(
        self,
        asset: dg.AssetKey,
        days: Sequence[date],
        *,
        failed: Mapping[date, int],
        total: Mapping[date, int],
        details: Mapping[date, str] | None = None,
    ) -> list[DayResult]:
        """A result for each day, from the rows that fail and those looked at; `details` must show no personal data."""
        return [
            DayResult(
                asset_key=asset,
                check_name=self.name,
                day=day.isoformat(),
                passed=not failed.get(day),
                severity=self.severity,
                metadata={"failed_rows": failed.get(day, 0), "total_rows": total.get(day, 0)}
                | ({"details": details[day]} if details and day in details else {}),
                description=self.says if failed.get(day) else None,
            )
            for day in days
        ]


def rule_check(rule: Rule) -> DayCheck:
    """The check of a rule: rows set aside or kept under protest are a warning, anything else an error."""
    return DayCheck(name=rule.name, says=rule.says, severity=ERROR if rule.outcome == "block" else WARN)


def conclude(
    context: dg.AssetExecutionContext, platform: Platform, results: Sequence[DayResult]
) -> Iterator[dg.AssetCheckResult]:
    """Report every day's results, keep them in the history, and give the final ones; to be called after the outputs."""
    report_days(context, results)
    _remember(platform, context.run.run_id, results)
    yield from summarize(results)


def _remember(platform: Platform, run_id: str, results: Sequence[DayResult]) -> None:
    if not results:
        return
    now = datetime.now(UTC)
    asset = results[0].asset_key.to_user_string()
    rows: list[dict[str, Any]] = [
        {
            "checked_on": now.date(),
            "checked_at": now,
            "run_id": run_id,
            "asset": result.asset_key.to_user_string(),
            "check_name": result.check_name,
            "partition": date.fromisoformat(result.day),
            "passed": result.passed,
            "severity": result.severity.value,
            "failed_rows": result.metadata["failed_rows"],
            "total_rows": result.metadata["total_rows"],
        }
        for result in results
    ]
    name = f"{run_id}-{asset.replace('/', '-')}"
    frame = pl.DataFrame(rows, schema=CHECK_RESULTS).with_columns(pl.lit(name).alias(FILE_ID))
    platform.check_results.write_files(FileRows(rows=frame, files=[(name, now.date())]))
