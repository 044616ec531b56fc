"""The fast event log answers as Dagster's own does: same runs, same rows, same questions, same answers."""

import gc
import json
import logging
import re
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata

from retail_platform.instance import event_log
from retail_platform.instance.event_log import EVENT_LOG_DIR, FastSqliteEventLogStorage
from retail_platform.instance.headless import run_range
from retail_platform.instance.home import open_instance
from retail_platform_tests.unit.instance.till import CHECKS, DAYS, JOB, SALES, TILL, Till

TABLES = ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions")
# Ids of runs and snapshots, hashes, durations, numbers of processes.
VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}|\d+(\.\d+)?(ms|s)\b|\(pid: \d+\)")
VARYING_FIELDS = {"timestamp", "pid", "duration_ms", "marker_start", "marker_end", "log_key", "file_key"}


def _load(instance: dg.DagsterInstance, till: Till, start_day: str, end_day: str) -> str:
    result = run_range(till.definitions(), JOB, instance=instance, start_day=start_day, end_day=end_day)
    assert result.success, result.errors
    return result.run_id


def _month(instance: dg.DagsterInstance) -> list[str]:
    """A range, the same again with other results, and a single day: what a month of a table sees."""
    return [
        _load(instance, Till(blocked=["2024-01-03"], failed=["2024-01-03"]), "2024-01-01", "2024-01-06"),
        _load(instance, Till(failed=["2024-01-05"]), "2024-01-02", "2024-01-06"),
        _load(instance, Till(failed=["2024-01-06"]), "2024-01-06", "2024-01-06"),
    ]


def _log(instance: dg.DagsterInstance) -> SqliteEventLogStorage:
    assert isinstance(instance.event_log_storage, SqliteEventLogStorage)
    return instance.event_log_storage


def _rows(storage: SqliteEventLogStorage, shard: str) -> dict[str, list[dict[str, Any]]]:
    with storage.run_connection(shard) as connection:
        return {
            name: [
                {column: _steady(value) for column, value in row.items() if "timestamp" not in column}
                for row in connection.execute(sa.select(SqlEventLogStorageMetadata.tables[name])).mappings()
            ]
            for name in TABLES
        }


def _steady(value: Any) -> Any:
    """A value without what differs from run to run."""
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in VARYING_FIELDS}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if not isinstance(value, str):
        return value
    return json.dumps(_steady(json.loads(value)), sort_keys=True) if value.startswith("{") else VARYING.sub("*", value)


def _answers(instance: dg.DagsterInstance, run_ids: list[str]) -> dict[str, Any]:
    """What the UI, the daemon and the run itself ask an event log."""
    log = instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    check_keys = [dg.AssetCheckKey(TILL, name) for name in CHECKS]
    states = log.get_asset_check_state([(key, DAYS) for key in check_keys])
    latest = log.get_latest_asset_check_execution_by_key(check_keys)
    return {
        "asset keys": sorted(map(str, log.all_asset_keys())),
        "last runs": {
            str(record.asset_entry.asset_key): run_ids.index(record.asset_entry.last_run_id or "")
            for record in instance.get_asset_records()
        },
        "materialized": {str(key): sorted(log.get_materialized_partitions(key)) for key in (TILL, SALES)},
        "latest ids": {str(key): log.get_latest_storage_id_by_partition(key, kind) for key in (TILL, SALES)},
        "not materialized": {
            day: run_ids.index(run_id)
            for day, (
                run_id,
                _,
            ) in log.get_latest_asset_partition_materialization_attempts_without_materializations(TILL).items()
        },
        "check states": {
            str(key): {
                status.value: sorted(subset.subset_value.get_partition_keys())
                for status, subset in state.subsets.items()
            }
            for key, state in states.items()
        },
        "latest checks": {str(key): (record.status, record.partition) for key, record in latest.items()},
        "check history": {
            str(key): [
                (record.id, record.status, record.partition, run_ids.index(record.run_id))
                for record in log.get_asset_check_execution_history(key, limit=100)
            ]
            for key in check_keys
        },
        "pages": [_pages(log, run_id) for run_id in run_ids],
        "run shards": [sorted(map(str, log.get_asset_keys_for_run(run_id))) for run_id in run_ids],
        "step stats": [
            [(stats.step_key, stats.status) for stats in log.get_step_stats_for_run(run_id)] for run_id in run_ids
        ],
    }


def _pages(log: Any, run_id: str) -> list[list[tuple[int, str | None]]]:
    pages, cursor = [], None
    while True:
        page = log.get_records_for_run(run_id, cursor=cursor, limit=20)
        if not page.records:
            return pages
        pages.append([(record.storage_id, record.event_log_entry.dagster_event_type) for record in page.records])
        cursor = page.cursor


def test_range_rerun_and_single_day_leave_the_rows_and_answers_of_the_stock_storage(
    instance: dg.DagsterInstance, open_stock: Callable[[], dg.DagsterInstance]
) -> None:
    ours = _month(instance)
    stock_instance = open_stock()
    stock = _month(stock_instance)
    assert isinstance(instance.event_log_storage, FastSqliteEventLogStorage)
    assert type(stock_instance.event_log_storage) is SqliteEventLogStorage
    for our_shard, stock_shard in zip(["index", *ours], ["index", *stock], strict=True):
        our_rows = _rows(_log(instance), our_shard)
        stock_rows = _rows(_log(stock_instance), stock_shard)
        for table in TABLES:
            assert our_rows[table] == stock_rows[table], (our_shard, table)
    assert _answers(instance, ours) == _answers(stock_instance, stock)


def test_the_stock_storage_can_read_what_ours_wrote_and_go_on(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    runs = _month(instance)
    expected = _answers(instance, runs)
    instance.dispose()
    (tmp_path / "data" / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.get() as stock:
        assert type(stock.event_log_storage) is SqliteEventLogStorage
        assert _answers(stock, runs) == expected
        _load(stock, Till(), "2024-01-07", "2024-01-07")
        assert "2024-01-07" in stock.get_materialized_partitions(TILL)


def test_every_day_of_a_rerun_has_the_status_of_the_last_run(instance: dg.DagsterInstance) -> None:
    answers = _answers(instance, _month(instance))
    assert answers["check states"][str(dg.AssetCheckKey(TILL, CHECKS[0]))] == {
        "SUCCEEDED": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
        "FAILED": ["2024-01-05", "2024-01-06"],
        "IN_PROGRESS": [],
        "SKIPPED": [],
        "EXECUTION_FAILED": [],
    }


def test_a_batch_is_stored_whole_or_not_at_all(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _log(instance)
    run_id = _load(instance, Till(), "2024-01-01", "2024-01-02")
    events = log.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    before = _rows(log, "index"), _rows(log, run_id)

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(event_log, "_evaluate_checks", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        log.store_event_batch(events)
    assert (_rows(log, "index"), _rows(log, run_id)) == before


def test_a_check_planned_twice_for_a_day_is_an_error_as_it_is_in_stock(instance: dg.DagsterInstance) -> None:
    log = _log(instance)
    run_id = _load(instance, Till(), "2024-01-01", "2024-01-02")
    final = log.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)[-1]
    with log.index_connection() as connection:
        # NULL days are not unique to SQLite.
        connection.exec_driver_sql(
            "INSERT INTO asset_check_executions (asset_key, check_name, run_id, execution_status) "
            "SELECT asset_key, check_name, run_id, 'PLANNED' FROM asset_check_executions WHERE partition IS NULL"
        )
    with pytest.raises(dg.DagsterInvariantViolationError, match="planned twice"):
        log.store_event_batch([final, final])


def test_events_without_a_run_and_other_events_take_the_stock_way(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    instance.report_runless_asset_event(dg.AssetMaterialization(TILL, partition="2024-01-01"))
    run_id = _load(instance, Till(), "2024-01-02", "2024-01-03")
    messages = log.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    log.store_event_batch([*messages, *log.get_logs_for_run("", of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)])
    assert len(log.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)) == 2 * len(messages)
    assert log.get_materialized_partitions(TILL) == {"2024-01-01", "2024-01-02", "2024-01-03"}


def test_a_run_is_deleted_and_all_is_wiped_as_in_stock(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    first, second, _ = _month(instance)
    instance.delete_run(first)
    assert log.get_logs_for_run(first) == []
    assert "2024-01-01" not in log.get_materialized_partitions(TILL)
    instance.wipe_assets([SALES])
    assert not log.has_asset_key(SALES)
    log.wipe()
    assert (log.get_logs_for_run(second), log.all_asset_keys()) == ([], [])
    again = _load(instance, Till(), "2024-01-01", "2024-01-02")
    assert log.get_materialized_partitions(TILL) == {"2024-01-01", "2024-01-02"}
    log.reindex_events(force=True)
    log.reindex_assets(force=True)
    assert log.get_asset_keys_for_run(again) == {TILL, SALES}


def test_watching_a_run_sees_events_of_another_connection_at_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """The run page: its process watches, another one stores."""
    run = instance.create_run_for_job(Till().definitions().resolve_job_def(JOB))
    seen = threading.Event()
    messages: list[str] = []

    def callback(entry: dg.EventLogEntry, _cursor: str) -> None:
        messages.append(entry.message)
        seen.set()

    with open_instance(tmp_path / "data") as other:
        other.report_engine_event("before", run)
        cursor = instance.get_records_for_run(run.run_id).cursor
        instance.watch_event_logs(run.run_id, cursor, callback)
        for number in range(3):
            seen.clear()
            other.report_engine_event(f"event {number}", run)
            assert seen.wait(timeout=5), f"event {number} was not seen"
        instance.end_watch_event_logs(run.run_id, callback)
    assert messages == ["event 0", "event 1", "event 2"]


def test_few_shards_are_open_after_many_runs(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    assert isinstance(log, FastSqliteEventLogStorage)
    job = Till().definitions().resolve_job_def(JOB)
    runs = [instance.create_run_for_job(job) for _ in range(20)]
    for run in runs:
        instance.report_engine_event("seen", run)
    assert log.open_shards <= 16
    assert all(len(log.get_logs_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)) == 1 for run in runs)


def test_a_forgotten_storage_closes_its_connections(tmp_path: Path) -> None:
    log = FastSqliteEventLogStorage(str(tmp_path))
    engines = weakref.ref(log._engines)
    del log
    deadline = time.monotonic() + 5
    while engines() is not None and time.monotonic() < deadline:
        gc.collect()
    assert engines() is None


def test_an_unknown_dagster_gets_its_own_storage_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_log, "REVIEWED_FINGERPRINT", "of another release")
    event_log._warn_of_stock_storage.cache_clear()
    monkeypatch.setattr(logging.getLogger("dagster"), "propagate", True)
    with open_instance(tmp_path) as first, dg.DagsterInstance.get() as second:
        assert type(first.event_log_storage) is type(second.event_log_storage) is SqliteEventLogStorage
        run_id = _load(first, Till(failed=["2024-01-02"]), "2024-01-01", "2024-01-03")
        states = first.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(TILL, CHECKS[0]), limit=9)
    assert [record.partition for record in states if record.status == AssetCheckExecutionRecordStatus.FAILED] == [
        None,
        "2024-01-02",
    ]
    assert (tmp_path / "dagster" / EVENT_LOG_DIR / f"{run_id}.db").exists()
    assert len([record for record in caplog.records if "fast event log" in record.message]) == 1
