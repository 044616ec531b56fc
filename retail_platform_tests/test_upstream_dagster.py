"""What our decisions take for granted of Dagster 1.13.27, one test per decision.

After an upgrade a failure here does not mean that Dagster is wrong: it means that the decision in the test's name
has to be made again. Where a wart has gone, the code around it can go too.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions import reconstruct
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorageWatchdog
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc import impl
from dagster._grpc.server import DagsterApiServer
from dagster_graphql.schema.asset_checks import GrapheneAssetCheck

from retail_platform.instance import warm_runs
from retail_platform.instance.event_log import (
    BATCH_SIZE_VARIABLE,
    RELIED_ON,
    REVIEWED_FINGERPRINT,
    dagster_fingerprint,
)

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
TABLE = dg.AssetKey("table")
CHECK = dg.AssetCheckKey(TABLE, "check")
RANGE = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-03"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


class _Keep(dg.IOManager):
    """Stores nothing, and does to its context what a test wants."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:  # noqa: ARG002  the signature is Dagster's
        for name, value in self._changes.items():
            assert hasattr(context, name), name
            setattr(context, name, value)

    def load_input(self, context: dg.InputContext) -> None:
        raise NotImplementedError


def _materialized_by(instance: dg.DagsterInstance, **changes: Any) -> list[str | None]:
    @dg.asset(key=TABLE, partitions_def=DAYS)
    def table() -> int:
        return 1

    assert dg.materialize([table], instance=instance, tags=RANGE, resources={"io_manager": _Keep(**changes)}).success
    return [record.partition_key for record in instance.fetch_materializations(TABLE, limit=9, ascending=True).records]


def test_the_fast_event_log_was_reviewed_against_this_dagster() -> None:
    assert dagster_fingerprint() == REVIEWED_FINGERPRINT, (
        f"Read {', '.join(f'{owner.__name__}.{name}' for owner, names in RELIED_ON.items() for name in names)} "
        f"again, compare with instance/event_log.py, and set REVIEWED_FINGERPRINT to {dagster_fingerprint()!r}."
    )


def test_the_fast_event_log_overrides_from_config_value_because_the_stock_one_names_its_class() -> None:
    assert "return SqliteEventLogStorage(" in inspect.getsource(SqliteEventLogStorage.from_config_value)


def test_the_fast_event_log_watches_the_write_ahead_log_because_stock_watches_the_file_alone(tmp_path: Path) -> None:
    log = SqliteEventLogStorage(str(tmp_path))
    watchdog = SqliteEventLogStorageWatchdog(log, "run", lambda *_: None, None)
    assert watchdog.patterns == [str(tmp_path / "run.db")]


def test_the_storage_can_turn_batches_on_because_the_variable_is_read_at_every_event(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, "1000")
    assert instance._is_batch_writing_enabled()
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, "0")
    assert not instance._is_batch_writing_enabled()


def test_report_days_sends_batches_as_dagster_does_for_materializations() -> None:
    assert DagsterEventBatchMetadata._fields == ("id", "is_end")
    parameters = inspect.signature(dg.DagsterEvent.from_step).parameters
    assert list(parameters) == ["event_type", "step_context", "event_specific_data", "message", "batch_metadata"]


def test_narrow_output_days_sets_the_subset_and_the_other_days_are_not_materialized(
    instance: dg.DagsterInstance,
) -> None:
    subset = DAYS.empty_subset().with_partition_keys(["2024-01-01", "2024-01-03"])
    assert _materialized_by(instance, _asset_partitions_subset=subset) == ["2024-01-01", "2024-01-03"]


def test_narrow_output_days_takes_the_key_away_because_an_empty_subset_materializes_the_whole_asset(
    instance: dg.DagsterInstance,
) -> None:
    assert _materialized_by(instance, _asset_partitions_subset=DAYS.empty_subset()) == [None]


def test_narrow_output_days_leaves_no_materialization_where_the_key_is_gone(instance: dg.DagsterInstance) -> None:
    assert _materialized_by(instance, _asset_key=None) == []


def test_a_blocked_day_of_a_successful_run_shows_as_missing_not_as_failed(instance: dg.DagsterInstance) -> None:
    """Failed would be truer, but Dagster calls a day failed only if its run failed: the day's check tells."""
    _materialized_by(instance, _asset_partitions_subset=DAYS.empty_subset().with_partition_keys(["2024-01-01"]))
    status = get_and_update_asset_status_cache_value(instance, TABLE, DAYS)
    assert status is not None
    assert list(status.deserialize_materialized_partition_subsets(DAYS).get_partition_keys()) == ["2024-01-01"]
    assert list(status.deserialize_failed_partition_subsets(DAYS).get_partition_keys()) == []


def test_describe_output_days_uses_metadata_per_partition() -> None:
    parameters = inspect.signature(dg.AssetExecutionContext.add_asset_metadata).parameters
    assert list(parameters) == ["self", "metadata", "asset_key", "partition_key"]


def _check_rows(
    instance: dg.DagsterInstance, *, partitions_def: dg.PartitionsDefinition | None
) -> dict[str | None, str]:
    spec = dg.AssetCheckSpec(CHECK.name, asset=TABLE, partitions_def=partitions_def)

    @dg.asset(key=TABLE, partitions_def=DAYS, check_specs=[spec])
    def table() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    assert dg.materialize([table], instance=instance, tags=RANGE).success
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=9)
    return {record.partition: record.status.value for record in history}


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_report_days_exists_because_a_range_leaves_the_days_of_a_check_planned(instance: dg.DagsterInstance) -> None:
    planned = dict.fromkeys(("2024-01-01", "2024-01-02", "2024-01-03"), "PLANNED")
    assert _check_rows(instance, partitions_def=DAYS) == {**planned, None: "SUCCEEDED"}


def test_day_check_spec_costs_nothing_because_days_are_planned_for_every_check(instance: dg.DagsterInstance) -> None:
    rows = _check_rows(instance, partitions_def=None)
    assert sorted(filter(None, rows)) == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_day_check_spec_partitions_checks_because_the_ui_shows_no_days_of_others() -> None:
    source = inspect.getsource(GrapheneAssetCheck.resolve_partitionStatuses)
    assert "if not self._asset_check.partitions_def_snapshot:\n            return None" in source


def test_day_check_spec_silences_a_preview_warning() -> None:
    with pytest.warns(dg.PreviewWarning):
        dg.AssetCheckSpec(CHECK.name, asset=TABLE, partitions_def=DAYS)


def test_pools_are_waited_for_in_the_storage_because_the_in_process_executor_does_not_sleep(
    instance: dg.DagsterInstance,
) -> None:
    """It sleeps for `min([0, …])` seconds: a run that waits for a pool keeps a core busy."""
    job = dg.Definitions(jobs=[dg.job(name="nothing")(lambda: None)]).resolve_job_def("nothing")
    waiting = InstanceConcurrencyContext(instance, instance.create_run_for_job(job))
    waiting._pending_claims.add("step")
    waiting._pending_timeouts["step"] = 4_000_000_000.0
    assert waiting.interval_to_next_pending_claim_check() == 0


def test_wiping_also_deletes_pool_limits_because_stock_leaves_pools_without_slots() -> None:
    assert "ConcurrencyLimitsTable" not in inspect.getsource(SqliteEventLogStorage._wipe_index)


def test_orphans_are_ours_to_find_because_the_default_launcher_has_no_health_check() -> None:
    assert not DefaultRunLauncher().supports_check_run_worker_health


def test_orphans_are_found_by_the_process_that_a_launched_run_reports() -> None:
    assert "EngineEventData.in_process(pid)" in inspect.getsource(impl._run_in_subprocess)
    assert "GRPC_INFO_TAG" in inspect.getsource(DefaultRunLauncher.launch_run_from_grpc_client)
    assert GRPC_INFO_TAG == ".dagster/grpc_info"


def test_our_dagster_yaml_asks_for_a_shorter_dequeue_interval() -> None:
    assert QueuedRunCoordinator().dequeue_interval_seconds == 5


def test_warm_runs_were_reviewed_against_this_dagster() -> None:
    assert warm_runs.dagster_fingerprint() == warm_runs.REVIEWED_FINGERPRINT, (
        f"Read {', '.join(warm_runs.RELIED_ON_SERVER + warm_runs.RELIED_ON_RUN)} in dagster/_grpc again, compare with "
        f"instance/warm_runs.py, and set REVIEWED_FINGERPRINT to {warm_runs.dagster_fingerprint()!r}."
    )


def test_runs_are_forked_by_us_because_a_code_server_spawns_a_new_python_for_each() -> None:
    assert 'self._mp_ctx = multiprocessing.get_context("spawn")' in inspect.getsource(DagsterApiServer.__init__)


def test_a_forked_run_reuses_its_definitions_because_a_job_is_found_by_calling_their_function_again() -> None:
    assert "target = target()" in inspect.getsource(reconstruct._repository_def_from_target_def_inner)
