"""Dagster's event log on SQLite, 20 to 30 times faster: open connections, batches of events in one transaction.

A drop-in for `SqliteEventLogStorage` with the same files, so that either can read what the other wrote. It relies on
the inside of the Dagster release it was written for; with another release `from_config_value` hands out the stock
storage and says so. Measured by `benchmarks/event_log.py`; why it exists: docs/adr/0002-fast-event-log.md.
"""

import functools
import logging
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from dagster import DagsterEvent, DagsterEventType, EventLogEntry, StringSource
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.event_api import EventHandlerFn
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetKeyTable,
    ConcurrencyLimitsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorageWatchdog
from dagster._serdes import ConfigurableClassData
from dagster._utils.concurrency import ConcurrencyClaimStatus
from sqlalchemy.engine import Connection
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

from retail_platform.instance.pools import sleep_before_next_claim
from retail_platform.instance.reviewed import fingerprint
from retail_platform.instance.shards import ShardEngines

# Dagster reads it at every event. A range of 365 days has 365 events per output, and 365 per planned asset.
BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
BATCH_SIZE = "1000"

# Where Dagster keeps its event log below DAGSTER_HOME.
EVENT_LOG_DIR = Path("history", "runs")

# The parts of Dagster that this module overrides or repeats. After an upgrade, read them again, and set the new
# fingerprint, which `test_the_fast_event_log_was_reviewed_against_this_dagster` prints.
RELIED_ON: Mapping[type, Sequence[str]] = {
    SqliteEventLogStorage: (
        *("__init__", "_initdb", "_connect", "store_event", "has_table", "wipe", "watch", "dispose", "upgrade"),
    ),
    SqlEventLogStorage: (
        *("_event_to_row", "_store_asset_event", "_store_asset_event_tags", "_get_asset_entry_values"),
        *("_has_asset_key_col_on_connection", "store_asset_check_event", "_store_asset_check_evaluation_planned"),
        *("_update_asset_check_evaluation", "claim_concurrency_slot", "_wipe_index"),
    ),
    EventLogStorage: ("store_event_batch",),
    SqliteEventLogStorageWatchdog: ("__init__", "_process_log", "on_modified"),
}
REVIEWED_FINGERPRINT = "1e0e89a2a6eddb73"

_ASSET_EVENTS = frozenset(
    {
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_OBSERVATION,
        DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    }
)
_CHECK_PLANNED = DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_CHECK_EVALUATED = DagsterEventType.ASSET_CHECK_EVALUATION
_BATCHABLE = _ASSET_EVENTS | {_CHECK_PLANNED, _CHECK_EVALUATED}

_executions = AssetCheckExecutionsTable.c


class _Stored(NamedTuple):
    """An event of a batch, its row of the event log and its id in the index shard."""

    entry: EventLogEntry
    event: DagsterEvent
    row: Mapping[str, Any]
    event_id: int

    @property
    def type(self) -> DagsterEventType:
        return self.event.event_type


class FastSqliteEventLogStorage(SqliteEventLogStorage):
    """The stock event log with open connections and batches in one transaction.

    Safe with several threads and processes, and across forks. Creating one turns Dagster's event batches on
    (`DAGSTER_EVENT_BATCH_SIZE`, unless the user has set it): every process that stores events creates one, so it is in
    force in webserver, daemon, runs and headless loads alike.

    Args:
        base_dir: Where the shards are, one file per run and `index.db`.
        inst_data: What Dagster built this from.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Dagster cannot read an empty one.
        os.environ[BATCH_SIZE_VARIABLE] = os.environ.get(BATCH_SIZE_VARIABLE) or BATCH_SIZE
        self._engines = ShardEngines()
        self._tables: set[str] = set()
        self._asset_key_columns: set[str] = set()
        weakref.finalize(self, self._engines.close)
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """`dagster_home`, because a dagster.yaml can name a variable but no folder below it."""
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(  # pyrefly: ignore[bad-override]  Dagster hands over what `config_type` declares
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, str]
    ) -> SqliteEventLogStorage:
        """This storage, or the stock one where Dagster's inside is not the reviewed one."""
        base_dir = str(Path(config_value["dagster_home"]) / EVENT_LOG_DIR)
        if dagster_fingerprint() == REVIEWED_FINGERPRINT:
            return cls(base_dir, inst_data)
        _warn_of_stock_storage()
        return SqliteEventLogStorage(base_dir, inst_data)

    @property
    def open_shards(self) -> int:
        """How many shards are open now; bounded, however many runs there are."""
        return self._engines.open_count

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._engines.connect(Path(self.path_for_shard(shard)), prepare=self._initdb) as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index shard has a table; asked several times per event, and tables never go away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        if column_name not in self._asset_key_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._asset_key_columns.add(column_name)
        return column_name in self._asset_key_columns

    def upgrade(self) -> None:
        """Migrate every shard, and look at the tables afresh."""
        super().upgrade()
        self._tables.clear()
        self._asset_key_columns.clear()

    def wipe(self) -> None:
        """Delete everything; the shards are closed before their files are."""
        self._engines.close()
        super().wipe()
        # The parent deletes the slots of a pool and keeps its limit: such a pool lets nobody in, ever.
        with self.index_connection() as index:
            index.execute(ConcurrencyLimitsTable.delete())

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Claim a slot of a pool for a step; a refusal takes half a second, so that nobody asks in a busy loop."""
        claim = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if claim.is_claimed:
            return claim
        sleep_before_next_claim()
        return claim.with_sleep_interval(0.0)

    def dispose(self) -> None:
        """Close every connection and stop watching."""
        super().dispose()
        self._engines.close()

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back on every new event of a run, whichever process stores it."""
        if not self._obs:
            self._obs = Observer()
            self._obs.start()
        handler = _WriteAheadLogWatchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (handler, self._obs.schedule(handler, self._base_dir, recursive=True))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the asset and check events of one run in one transaction per shard; anything else one by one."""
        run_ids = {event.run_id for event in events}
        types = {event.dagster_event_type for event in events}
        # Events without a run have an empty run id; their checks are plain inserts, which the parent knows.
        if len(run_ids) != 1 or not all(run_ids) or not types <= _BATCHABLE:
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(run_ids.pop()) as run, self.index_connection() as index:
            run.execute(SqlEventLogStorageTable.insert(), rows)
            ids = _insert_returning_ids(index, rows)
            stored = [
                _Stored(entry, entry.get_dagster_event(), row, event_id)
                for entry, row, event_id in zip(events, rows, ids, strict=True)
            ]
            self._store_asset_batch(index, [item for item in stored if item.type in _ASSET_EVENTS])
            _plan_checks(index, [item for item in stored if item.type == _CHECK_PLANNED])
            _evaluate_checks(index, [item for item in stored if item.type == _CHECK_EVALUATED])

    def _store_asset_batch(self, index: Connection, stored: Sequence[_Stored]) -> None:
        self._store_asset_event_tags(index, [item.entry for item in stored], [item.event_id for item in stored])
        # Only an asset's last event of a kind stays in its row: the 364 before it need not be serialized.
        last: dict[tuple[str, DagsterEventType], _Stored] = {}
        for item in stored:
            key = (item.row["asset_key"], item.type)
            last.pop(key, None)
            last[key] = item
        has_columns = self._has_asset_key_index_cols_on_connection(index)
        values: dict[str, dict[str, Any]] = {}
        for (asset_key, _), item in last.items():
            entry_values = self._get_asset_entry_values(item.entry, item.event_id, has_columns)
            values.setdefault(asset_key, {}).update(entry_values)
        for asset_key, entry_values in values.items():
            _upsert_asset_key(index, asset_key, entry_values)


class _WriteAheadLogWatchdog(SqliteEventLogStorageWatchdog):
    """Looks at the write-ahead log too.

    The stock storage closes its connection after every event, which moves the event into the .db file that it watches.
    With connections that stay open the .db file changes every thousand pages, and the run page would stand still.
    """

    @property
    def patterns(self) -> list[str]:
        """The files whose change means new events."""
        return [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: FileSystemEvent) -> None:  # noqa: ARG002  the patterns have chosen it
        """Hand over what is new."""
        self._process_log()


def _insert_returning_ids(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    table = SqlEventLogStorageTable
    return connection.execute(table.insert().returning(table.c.id, sort_by_parameter_order=True), rows).scalars().all()


def _upsert_asset_key(index: Connection, asset_key: str, values: Mapping[str, Any]) -> None:
    if not values:
        return
    changed = index.execute(AssetKeyTable.update().values(**values).where(AssetKeyTable.c.asset_key == asset_key))
    if changed.rowcount == 0:
        index.execute(AssetKeyTable.insert().values(asset_key=asset_key, **values))


def _plan_checks(index: Connection, stored: Sequence[_Stored]) -> None:
    """One row per check and day, to be updated when the check has run."""
    rows = [
        {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "partition": partition,
            "run_id": item.entry.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": item.row["event"],
            "evaluation_event_timestamp": item.row["timestamp"],
            "evaluation_event_storage_id": item.event_id,
        }
        for item in stored
        for planned in [item.event.asset_check_planned_data]
        for partition in (planned.partitions_subset.get_partition_keys() if planned.partitions_subset else [None])
    ]
    if rows:
        index.execute(AssetCheckExecutionsTable.insert(), rows)


def _evaluate_checks(index: Connection, stored: Sequence[_Stored]) -> None:
    """Turn planned rows into results, and add results nobody planned (a rerun of a step finds its own)."""
    # Of two results for one check and day the later stands, as it does when they are stored one by one.
    results = {(row["asset_key"], row["check_name"], row["partition"]): row for row in map(_execution_row, stored)}
    if not results:
        return
    planned = _planned_row_ids(index, stored[0].entry.run_id, results)
    updates = [{"row_id": planned[key], **_without_key(row)} for key, row in results.items() if key in planned]
    inserts = [row for key, row in results.items() if key not in planned]
    if updates:
        names = [name for name in updates[0] if name != "row_id"]
        statement = AssetCheckExecutionsTable.update().where(_executions.id == sa.bindparam("row_id"))
        index.execute(statement.values({name: sa.bindparam(name) for name in names}), updates)
    if inserts:
        index.execute(AssetCheckExecutionsTable.insert(), inserts)


_CheckKey = tuple[str, str, str | None]


def _execution_row(item: _Stored) -> dict[str, Any]:
    evaluation = item.event.asset_check_evaluation_data
    target = evaluation.target_materialization_data
    status = AssetCheckExecutionRecordStatus.SUCCEEDED if evaluation.passed else AssetCheckExecutionRecordStatus.FAILED
    return {
        "asset_key": evaluation.asset_key.to_string(),
        "check_name": evaluation.check_name,
        "partition": evaluation.partition,
        "run_id": item.entry.run_id,
        "execution_status": status.value,
        "evaluation_event": item.row["event"],
        "evaluation_event_timestamp": item.row["timestamp"],
        "evaluation_event_storage_id": item.event_id,
        "materialization_event_storage_id": target.storage_id if target else None,
    }


def _without_key(row: Mapping[str, Any]) -> dict[str, Any]:
    key = {"asset_key", "check_name", "partition", "run_id"}
    return {name: value for name, value in row.items() if name not in key}


def _planned_row_ids(index: Connection, run_id: str, keys: Mapping[_CheckKey, Any]) -> dict[_CheckKey, int]:
    query = sa.select(_executions.asset_key, _executions.check_name, _executions.partition, _executions.id).where(
        _executions.asset_key.in_({asset_key for asset_key, _, _ in keys}),
        _executions.check_name.in_({check_name for _, check_name, _ in keys}),
        _executions.run_id == run_id,
    )
    found: dict[_CheckKey, int] = {}
    for asset_key, check_name, partition, row_id in index.execute(query):
        if (asset_key, check_name, partition) in found:
            raise DagsterInvariantViolationError(f"{check_name} of {asset_key} was planned twice for {partition}.")
        found[asset_key, check_name, partition] = row_id
    return found


@functools.cache
def dagster_fingerprint() -> str:
    """A hash of the source of `RELIED_ON` and of the tables written to (16 ms); empty if it cannot be read."""
    tables = [SqlEventLogStorageTable, AssetKeyTable, AssetCheckExecutionsTable]
    return fingerprint(RELIED_ON, also=[f"{table.name}.{column.name}" for table in tables for column in table.columns])


@functools.cache
def _warn_of_stock_storage() -> None:
    logging.getLogger("dagster").warning(
        "This Dagster release is not the one retail_platform's fast event log was written for: Dagster's own is used, "
        "which is right but about ten times slower on long backfills. Install the pinned release of Dagster, or "
        "upgrade retail_platform."
    )
