"""One check result per day, also where one run computes many days.

Dagster gives an asset check one result per run. A run over a range of days should say which of its days failed, so an
asset with daily checks does three things:

1. It declares its checks with `day_check_spec`, which partitions them like the asset, so that the UI keeps a status
   per day. In 1.13 a check without partitions has no such status at all.
2. *After* it has yielded its outputs it calls `report_days` with a `DayResult` per check and day. Before, the results
   would belong to the former materialization of the day, and Dagster would drop them when the new one is stored.
3. Last it yields `summarize(results)`: one result per check, the one a blocking check blocks by.

    @dg.multi_asset(specs=[…], check_specs=[day_check_spec("no_negative_price", asset=KEY, partitions_def=DAYS)])
    def orders(context):
        ...
        yield dg.Output(frame, output_name=…)
        report_days(context, results)
        yield from summarize(results)

What the UI then shows for a day: passed or failed, for every day reported; *execution failed*, where the run failed
before its checks; *skipped*, where a successful run reported nothing. No day stays planned.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import DagsterEventBatchMetadata, generate_event_batch_id

# More than these would not be read in a table cell; all of them are in the days' own results.
NAMED_FAILED_DAYS = 10


@dataclass(frozen=True, kw_only=True)
class DayResult:
    """The result of one check of one asset on one day.

    Attributes:
        asset_key: The asset checked.
        check_name: The check's name in its spec.
        day: The partition key, `YYYY-MM-DD`.
        passed: Whether the day is as the check wants it.
        severity: How bad it is if it is not.
        metadata: Counts and samples, plain values or `dg.MetadataValue`.
        description: One line for a person.
    """

    asset_key: dg.AssetKey
    check_name: str
    day: str
    passed: bool
    severity: dg.AssetCheckSeverity
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None

    @property
    def check_key(self) -> dg.AssetCheckKey:
        """Which check this is a result of."""
        return dg.AssetCheckKey(self.asset_key, self.check_name)


def day_check_spec(
    name: str,
    *,
    asset: dg.AssetKey,
    partitions_def: dg.PartitionsDefinition[str],
    description: str | None = None,
    blocking: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckSpec:
    """A check with a status per day.

    It costs no time: Dagster plans a row per day for the checks of a range in any case, and shows it for these only.
    """
    with warnings.catch_warnings():
        # Partitions of a check are a preview in 1.13; `test_upstream_dagster.py` pins what we need of it.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name,
            asset=asset,
            description=description,
            blocking=blocking,
            metadata=metadata,
            partitions_def=partitions_def,
        )


def report_days(context: dg.AssetExecutionContext, results: Sequence[DayResult]) -> None:
    """Store a check result per day; call it after the outputs, before `summarize`.

    In a run of a single partition it does nothing, for there the final result is the day's.

    Args:
        context: The running asset's.
        results: At most one per check and day, for days of the run.

    Raises:
        DagsterInvariantViolationError: A check was not declared with `day_check_spec`.
    """
    _require_day_checks(context, results)
    if context.has_partition_key or not results:
        return
    targets = {key: _latest_materializations(context, key) for key in {result.asset_key for result in results}}
    step = context.get_step_execution_context()
    batch_id = generate_event_batch_id()
    for position, result in enumerate(results, start=1):
        dg.DagsterEvent.from_step(
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
            step,
            _evaluation(result, target=targets[result.asset_key].get(result.day)),
            message=f"{result.check_name} {'passed' if result.passed else 'failed'} on {result.day}.",
            # One by one they cost 2 ms each, as a batch 0.35 ms.
            batch_metadata=DagsterEventBatchMetadata(batch_id, is_end=position == len(results)),
        )


def summarize(results: Sequence[DayResult]) -> list[dg.AssetCheckResult]:
    """The final result of each check over all its days, in order of asset and check name.

    A check failed if one of its days failed, with severity ERROR if one of the failed days has it. Where there is one
    day only, the final result is that day's, with its description and metadata.
    """
    in_order = sorted(results, key=lambda result: (result.asset_key, result.check_name, result.day))
    by_check = groupby(in_order, key=lambda result: result.check_key)
    return [_final_result(check, list(days)) for check, days in by_check]


def _final_result(check: dg.AssetCheckKey, days: Sequence[DayResult]) -> dg.AssetCheckResult:
    failed = [result for result in days if not result.passed]
    is_error = any(result.severity == dg.AssetCheckSeverity.ERROR for result in failed)
    only_day = days[0] if len(days) == 1 else None
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        metadata=only_day.metadata if only_day else _count_days(days, failed),
        description=only_day.description if only_day else _describe(days, failed),
    )


def _count_days(days: Sequence[DayResult], failed: Sequence[DayResult]) -> dict[str, Any]:
    counts: dict[str, Any] = {"days": len(days), "failed_days": len(failed)}
    if failed:
        counts["first_failed_days"] = [result.day for result in failed[:NAMED_FAILED_DAYS]]
    return counts


def _describe(days: Sequence[DayResult], failed: Sequence[DayResult]) -> str:
    if not failed:
        return f"All {len(days)} days passed."
    named = ", ".join(result.day for result in failed[:NAMED_FAILED_DAYS])
    others = len(failed) - NAMED_FAILED_DAYS
    return f"{len(failed)} of {len(days)} days failed: {named}{f' and {others} more' if others > 0 else ''}."


def _require_day_checks(context: dg.AssetExecutionContext, results: Sequence[DayResult]) -> None:
    for key in {result.check_key for result in results}:
        if context.assets_def.get_spec_for_check_key(key).partitions_def is None:
            raise dg.DagsterInvariantViolationError(
                f"Check {key.name} of {key.asset_key.to_user_string()} has no days: declare it with day_check_spec()."
            )


def _evaluation(
    result: DayResult, *, target: AssetCheckEvaluationTargetMaterializationData | None
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        metadata=result.metadata,
        target_materialization_data=target,
        severity=result.severity,
        description=result.description,
        # Whether the run is blocked is the final result's to say.
        blocking=False,
        partition=result.day,
    )


def _latest_materializations(
    context: dg.AssetExecutionContext, asset_key: dg.AssetKey
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The materialization a day's result is about; without it the UI takes a day's status for outdated.

    That of this run, or for a day that was not written, the one that stays.
    """
    log = context.instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    ids = log.get_latest_storage_id_by_partition(asset_key, kind, partitions=set(context.partition_keys))
    if not ids:
        return {}
    records = log.get_asset_event_summary_records(kind, asset_key=asset_key, storage_ids=list(ids.values()))
    return {
        record.partition: AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id or "", timestamp=record.timestamp
        )
        for record in records
        if record.partition is not None
    }
