import dagster as dg
import pytest

from retail_platform.instance.headless import run_range
from retail_platform.instance.output_days import narrow_output_days
from retail_platform_tests.unit.instance.till import DAYS, JOB, SALES, TILL, Till

RANGE = ["2024-01-01", "2024-01-02", "2024-01-03"]
SINGLE = ["2024-01-01"]


@pytest.mark.parametrize(
    ("days", "blocked"),
    [(RANGE, []), (RANGE, ["2024-01-02"]), (RANGE, RANGE), (SINGLE, []), (SINGLE, SINGLE)],
    ids=["range, all stored", "range, some", "range, none", "single, stored", "single, not"],
)
def test_a_blocked_day_alone_is_not_materialized_and_downstream_goes_on(
    instance: dg.DagsterInstance, days: list[str], blocked: list[str]
) -> None:
    till = Till(blocked=blocked)
    result = run_range(till.definitions(), JOB, instance=instance, start_day=days[0], end_day=days[-1])
    assert result.success, result.errors
    stored = set(days).difference(blocked)
    assert instance.get_materialized_partitions(TILL) == stored
    assert instance.get_materialized_partitions(SALES) == set(days)
    records = instance.fetch_materializations(TILL, limit=10).records
    assert {
        record.partition_key: record.asset_materialization.metadata
        for record in records
        if record.asset_materialization
    } == {day: {"dagster/partition_row_count": dg.MetadataValue.int(int(day[-2:]))} for day in stored}


def test_a_blocked_day_that_was_stored_before_stays(instance: dg.DagsterInstance) -> None:
    for till in (Till(), Till(blocked=["2024-01-02"])):
        run_range(till.definitions(), JOB, instance=instance, start_day=RANGE[0], end_day=RANGE[-1])
    assert instance.get_materialized_partitions(TILL) == set(RANGE)
    counts = [
        len(instance.fetch_materializations(dg.AssetRecordsFilter(TILL, asset_partitions=[day]), limit=9).records)
        for day in RANGE
    ]
    assert counts == [2, 1, 2]


def test_a_day_of_another_run_is_refused() -> None:
    context = dg.build_output_context(
        asset_key=TILL, partition_key="2024-01-01", asset_partitions_def=DAYS, asset_partition_key_range=None
    )
    with pytest.raises(ValueError, match="2024-01-05 is not a day of this run"):
        narrow_output_days(context, ["2024-01-05"])
