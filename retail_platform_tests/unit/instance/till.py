"""Two daily tables as small as they can be, which report their days as ours do: what the tests of `instance` run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from retail_platform.instance.day_checks import DayResult, day_check_spec, report_days, summarize
from retail_platform.instance.output_days import describe_output_days, narrow_output_days

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-03-01")
TILL = dg.AssetKey(["silver", "till"])
SALES = dg.AssetKey(["gold", "sales"])
CHECKS = ("price_is_positive", "till_is_open")
JOB = "load"


@dataclass(frozen=True)
class Till:
    """How the till behaves in a run.

    Attributes:
        blocked: Days that its table refuses to write.
        failed: Days on which `price_is_positive` fails.
        severity: Of those failures.
        before_checks: Called in the body, after the outputs and before the checks.
        specs: Of its checks, if not those with a status per day.
    """

    blocked: Sequence[str] = ()
    failed: Sequence[str] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    before_checks: Callable[[], object] | None = None
    specs: Sequence[dg.AssetCheckSpec] | None = None

    def definitions(self) -> dg.Definitions:
        """The two tables and the job over both."""
        specs = self.specs or [day_check_spec(name, asset=TILL, partitions_def=DAYS) for name in CHECKS]

        @dg.multi_asset(
            name="till",
            outs={"till": dg.AssetOut(key=TILL, io_manager_key="lake")},
            check_specs=specs,
            partitions_def=DAYS,
            pool="silver_till",
        )
        def till(context: dg.AssetExecutionContext) -> Any:
            yield dg.Output("rows", output_name="till")
            if self.before_checks:
                self.before_checks()
            results = [self.result(name, day) for name in CHECKS for day in context.partition_keys]
            report_days(context, results)
            yield from summarize(results)

        @dg.asset(
            key=SALES,
            ins={"till": dg.AssetIn(key=TILL)},
            partitions_def=DAYS,
            io_manager_key="lake",
            pool="gold_sales",
        )
        def sales(till: str) -> str:
            return till

        return dg.Definitions(
            assets=[till, sales],
            jobs=[dg.define_asset_job(JOB, selection=[TILL, SALES])],
            resources={"lake": Lake(self)},
            executor=dg.in_process_executor,
        )

    def result(self, check_name: str, day: str) -> DayResult:
        passed = check_name != CHECKS[0] or day not in self.failed
        return DayResult(
            asset_key=TILL,
            check_name=check_name,
            day=day,
            passed=passed,
            severity=self.severity,
            metadata={"rows": int(day[-2:])},
            description=f"{check_name} on {day}",
        )


class Lake(dg.IOManager):
    """Stores nothing, and says which days it has stored."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def handle_output(self, context: dg.OutputContext, obj: str) -> None:  # noqa: ARG002  the signature is Dagster's
        days = [
            day for day in context.asset_partition_keys if context.asset_key != TILL or day not in self._till.blocked
        ]
        describe_output_days(context, {day: {"dagster/partition_row_count": int(day[-2:])} for day in days})
        narrow_output_days(context, days)

    def load_input(self, context: dg.InputContext) -> str:  # noqa: ARG002  as above
        return "rows"
