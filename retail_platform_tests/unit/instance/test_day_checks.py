from collections.abc import Mapping

import dagster as dg
import pytest

from retail_platform.instance.day_checks import DayResult, summarize
from retail_platform.instance.headless import run_range
from retail_platform_tests.unit.instance.till import CHECKS, DAYS, JOB, TILL, Till

PRICE = dg.AssetCheckKey(TILL, CHECKS[0])
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def _statuses(instance: dg.DagsterInstance) -> Mapping[str, str]:
    """The status per day that the UI shows (GraphQL's `partitionStatuses` asks the same)."""
    state = instance.event_log_storage.get_asset_check_state([(PRICE, DAYS)])[PRICE]
    return {
        day: status.value
        for status, subset in state.subsets.items()
        for day in subset.subset_value.get_partition_keys()
    }


def test_a_failed_day_of_a_range_is_the_only_one_shown_as_failed(instance: dg.DagsterInstance) -> None:
    till = Till(failed=["2024-01-02"])
    run_range(till.definitions(), JOB, instance=instance, start_day="2024-01-01", end_day="2024-01-03")
    assert _statuses(instance) == {"2024-01-01": "SUCCEEDED", "2024-01-02": "FAILED", "2024-01-03": "SUCCEEDED"}


def test_a_day_that_was_not_written_again_shows_its_failed_check(instance: dg.DagsterInstance) -> None:
    days = {"start_day": "2024-01-01", "end_day": "2024-01-02"}
    run_range(Till().definitions(), JOB, instance=instance, **days)
    run_range(Till(blocked=["2024-01-02"], failed=["2024-01-02"]).definitions(), JOB, instance=instance, **days)
    assert _statuses(instance) == {"2024-01-01": "SUCCEEDED", "2024-01-02": "FAILED"}


def test_a_single_day_has_the_days_own_result(instance: dg.DagsterInstance) -> None:
    till = Till(failed=["2024-01-09"])
    run_range(till.definitions(), JOB, instance=instance, start_day="2024-01-09", end_day="2024-01-09")
    assert _statuses(instance) == {"2024-01-09": "FAILED"}
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([PRICE])[PRICE]
    assert record.evaluation is not None
    assert record.evaluation.partition == "2024-01-09"
    assert record.evaluation.metadata == {"rows": dg.MetadataValue.int(9)}
    assert record.evaluation.description == "price_is_positive on 2024-01-09"


def test_days_of_a_run_that_failed_before_its_checks_are_not_left_planned(instance: dg.DagsterInstance) -> None:
    def fail() -> None:
        raise OSError("disk full")

    result = run_range(
        Till(before_checks=fail).definitions(), JOB, instance=instance, start_day="2024-01-01", end_day="2024-01-02"
    )
    assert not result.success
    assert _statuses(instance) == {"2024-01-01": "EXECUTION_FAILED", "2024-01-02": "EXECUTION_FAILED"}


def test_a_check_without_days_is_refused(instance: dg.DagsterInstance) -> None:
    definitions = Till(specs=[dg.AssetCheckSpec(name, asset=TILL) for name in CHECKS]).definitions()
    result = run_range(definitions, JOB, instance=instance, start_day="2024-01-01", end_day="2024-01-02")
    assert len(result.errors) == 1
    assert "has no days: declare it with day_check_spec()" in result.errors[0]


def _result(day: int, *, passed: bool, severity: dg.AssetCheckSeverity = WARN) -> DayResult:
    return DayResult(
        asset_key=TILL,
        check_name=CHECKS[0],
        day=f"2024-01-{day:02}",
        passed=passed,
        severity=severity,
        metadata={"n": 1},
    )


def test_the_final_result_names_the_first_failed_days() -> None:
    days = [_result(day, passed=day > 12) for day in range(1, 31)]
    [final] = summarize(days)
    first_ten = [f"2024-01-{day:02}" for day in range(1, 11)]
    assert (final.passed, final.severity) == (False, WARN)
    assert final.metadata == {
        "days": dg.MetadataValue.int(30),
        "failed_days": dg.MetadataValue.int(12),
        "first_failed_days": dg.MetadataValue.json(first_ten),
    }
    assert final.description == f"12 of 30 days failed: {', '.join(first_ten)} and 2 more."


@pytest.mark.parametrize(
    ("days", "passed", "severity"),
    [
        ([_result(1, passed=True), _result(2, passed=True, severity=ERROR)], True, WARN),
        ([_result(1, passed=False), _result(2, passed=True, severity=ERROR)], False, WARN),
        ([_result(1, passed=False), _result(2, passed=False, severity=ERROR)], False, ERROR),
    ],
)
def test_it_is_an_error_only_if_an_error_failed(
    days: list[DayResult], passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    [final] = summarize(days)
    assert (final.passed, final.severity) == (passed, severity)


def test_no_results_no_summary() -> None:
    assert summarize([]) == []
