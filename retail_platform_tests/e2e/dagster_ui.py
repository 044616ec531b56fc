"""Dagster as its user has it: webserver, daemon and code server over a shop's folder, driven as the browser does it.

Whatever is asked or done here goes through the webserver's GraphQL, with the very questions that the pages of Dagster
1.13 ask. Only waiting, killing and the files in landing are ours.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from filelock import FileLock
from polars.testing import assert_frame_equal

from retail_platform.contracts.snapshot_names import SNAPSHOT_NAMES
from retail_platform.instance.home import ensure_home
from retail_platform.instance.run_history import partition_range
from retail_platform.instance.services import Services, free_port
from retail_platform_tests.shop import Shop

HOST = "127.0.0.1"
PATIENCE = 180
"""Seconds that anything may take on a machine that is busy with other things."""
_POLL_SECONDS = 0.25
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_HIDDEN_JOB = "__ASSET_JOB"
# The daemon looks at backfills every thirty seconds, and no setting says otherwise: a test would do little but wait.
_IMPATIENT_DAEMON = """
import sys

if "dagster._daemon" in sys.orig_argv:
    import dagster._daemon.controller

    dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
"""

_REPOSITORY = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"""
_ASSETS = """{ assetNodes { assetKey { path } isPartitioned } }"""
_LOADER = """query($keys: [AssetKeyInput!]!) {
    assetNodes(assetKeys: $keys) {
        assetKey { path }
        jobNames
        assetChecksOrError { ... on AssetChecks { checks { name jobNames } } }
    }
    assetNodeAdditionalRequiredKeys(assetKeys: $keys) { path }
}"""
_PARTITION_TAGS = """query($job: String!, $repository: String!, $location: String!, $day: String!,
        $keys: [AssetKeyInput!]!) {
    pipelineOrError(params: {pipelineName: $job, repositoryName: $repository, repositoryLocationName: $location}) {
        ... on Pipeline { partition(partitionName: $day, selectedAssetKeys: $keys) {
            tagsOrError { ... on PartitionTags { results { key value } } }
        } }
    }
}"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on InvalidSubsetError { message } ... on RunConfigValidationInvalid { errors { message } }
} }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
    ... on PartitionKeysNotFoundError { message } ... on InvalidSubsetError { message }
} }"""
_CANCEL = """mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"""
_REEXECUTE = """mutation($params: ReexecutionParams!) { reexecutePartitionBackfill(reexecutionParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
} }"""
_BACKFILL_STATE = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
    status
    error { message }
    partitionNames
    runs(limit: 1000) { runId }
    assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
        assetKey { path } numPartitionsMaterialized numPartitionsFailed
    } } }
} } }"""
_RUNS = """query($filter: RunsFilter!, $limit: Int!) { runsOrError(filter: $filter, limit: $limit) { ... on Runs {
    results { runId jobName status tags { key value } assetSelection { path } }
} } }"""
_EVENTS = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
    __typename
    ... on MessageEvent { message stepKey }
    ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
} } } }"""
_PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
} } }"""
_LATEST = """query($key: AssetKeyInput!, $days: [String!]!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    latestMaterializationByPartition(partitions: $days) { partition runId }
} } }"""
_LATEST_RUN = """query($key: AssetKeyInput!, $day: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    latestRunForPartition(partition: $day) { runId status }
} } }"""
_CHECKS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks { name partitionStatuses {
        ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } }
    } } } }
} } }"""
_CHECK_HISTORY = """query($key: AssetKeyInput!, $check: String!, $day: String!) {
    assetCheckExecutions(assetKey: $key, checkName: $check, partition: $day, limit: 100) {
        runId status partition evaluation { success severity description }
    }
}"""
_SENSOR = """query($sensor: SensorSelector!, $limit: Int!) { sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { id status ticks(limit: $limit) {
        status skipReason timestamp error { message } logEvents { events { message } }
    } } }
} }"""
_START_SENSOR = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"""
_STOP_SENSOR = """mutation($id: String!) { stopSensor(id: $id) { __typename } }"""
_POOLS = """{ instance { concurrencyLimits {
    concurrencyKey slotCount claimedSlots { runId stepKey } pendingSteps { runId stepKey }
} } }"""

T = TypeVar("T")


def wait_until(what: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """What comes of it, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(_POLL_SECONDS)
    return found


def each_day(first: str, last: str) -> list[str]:
    """Partition keys from `first` to `last`, both included."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=days)).isoformat() for days in range((end - start).days + 1)]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run, as its page shows it."""

    run_id: str
    job: str
    status: str
    tags: Mapping[str, str]
    assets: frozenset[str] = field(default_factory=frozenset)

    @property
    def days(self) -> tuple[str, str] | None:
        """The first and last day of the run."""
        return partition_range(self.tags)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """An evaluation of a sensor, as its page shows it."""

    status: str
    said: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """A backfill, as its page shows it; `materialized` and `failed` count days by asset."""

    status: str
    error: str
    days: list[str]
    run_ids: list[str]
    materialized: Mapping[str, int]
    failed: Mapping[str, int]


class DagsterUI:
    """Dagster on a shop's folder."""

    def __init__(self, shop: Shop) -> None:
        """Start it.

        Args:
            shop: Its folder and its active sources are worked on.
        """
        self.shop = shop
        self._services: Services | None = None
        self._loads: list[subprocess.Popen[str]] = []
        self.start()

    # Its processes

    def start(self, **environment: str) -> None:
        """Start webserver, daemon and code server.

        Args:
            environment: Settings other than the shop's, as variables.
        """
        root = self.shop.settings.root
        site = root / "site"
        site.mkdir(parents=True, exist_ok=True)
        (site / "sitecustomize.py").write_text(_IMPATIENT_DAEMON, encoding="utf-8")
        with self._environment(PYTHONPATH=str(site), **environment):
            self._services = Services(
                "retail_platform.definitions", host=HOST, port=free_port(HOST), log=root / "dagster.log"
            )
        try:
            self._services.wait_until_ready(seconds=PATIENCE)
            answer = self.ask(_REPOSITORY)["repositoriesOrError"]["nodes"]
        except BaseException:
            self.stop()
            raise
        ((self._repository, self._location),) = [(node["name"], node["location"]["name"]) for node in answer]

    def stop(self) -> None:
        """Stop it, as Ctrl-C does, and what runs beside it."""
        for load in self._loads:
            if load.stdout is not None and not load.stdout.closed:
                load.kill()
                load.communicate()
        self._loads.clear()
        if self._services is not None:
            self._services.stop()
            self._services = None

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut does."""
        assert self._services is not None
        family = self.family()
        for process in family:
            process.suspend()
        for process in {*family, *self.family()}:
            process.kill()
        psutil.wait_procs(family, timeout=30)
        self._services.wait()
        self._services = None

    def family(self) -> list[psutil.Process]:
        """All its processes."""
        assert self._services is not None
        parent = psutil.Process(self._services._process.pid)
        return [parent, *parent.children(recursive=True)]

    def load_beside(self) -> subprocess.Popen[str]:
        """Start `retail load` as a process of its own."""
        with self._environment():
            command = [sys.executable, "-m", "retail_platform.cli", "load"]
            load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._loads.append(load)
        return load

    @contextmanager
    def _environment(self, **more: str) -> Iterator[None]:
        settings = self.shop.settings
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(ensure_home(settings.root)))
            patch.setenv("RETAIL_DATA_DIR", str(settings.root))
            if settings.sources is not None:
                patch.setenv("RETAIL_SOURCES", ",".join(settings.sources))
            for name, value in more.items():
                patch.setenv(name, value)
            yield

    def ask(self, question: str, **variables: object) -> dict[str, Any]:
        """What the webserver answers."""
        assert self._services is not None
        self._services.check()
        return self._services.graphql(question, **variables)

    # What its pages do

    def assets(self) -> list[str]:
        """All assets, sorted."""
        return sorted(_name(node["assetKey"]) for node in self.ask(_ASSETS)["assetNodes"])

    def also_materialized(self, assets: Iterable[str]) -> set[str]:
        """What Dagster says must be materialized along with these assets; the user is asked whether that is meant."""
        answer = self.ask(_LOADER, keys=_keys(assets))
        return {_name(key) for key in answer["assetNodeAdditionalRequiredKeys"]}

    def materialize(self, assets: Iterable[str], day: str) -> str:
        """Press Materialize with these assets selected, and choose one day; the run's id."""
        assets = sorted({*assets, *self.also_materialized(assets)})
        job, checks = self._job_of(assets)
        repository = {"repository": self._repository, "location": self._location}
        answer = self.ask(_PARTITION_TAGS, job=job, day=day, keys=_keys(assets), **repository)
        tags = answer["pipelineOrError"]["partition"]["tagsOrError"]["results"]
        return self.launch(job, assets, tags={tag["key"]: tag["value"] for tag in tags}, checks=checks)

    def launch(
        self, job: str, assets: Iterable[str], *, tags: Mapping[str, str], checks: Sequence[Mapping[str, object]] = ()
    ) -> str:
        """Launch a run of some assets of a job; its id."""
        selector = {
            "repositoryLocationName": self._location,
            "repositoryName": self._repository,
            "pipelineName": job,
            "assetSelection": _keys(assets),
            "assetCheckSelection": list(checks),
        }
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"mode": "default", "executionMetadata": metadata, "runConfigData": "{}", "selector": selector}
        answer = self.ask(_LAUNCH, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def backfill(self, assets: Iterable[str], days: Sequence[str]) -> str:
        """Press Materialize with these assets selected, and choose several days; the backfill's id."""
        assets = sorted({*assets, *self.also_materialized(assets)})
        assert self._job_of(assets)[0] == _HIDDEN_JOB
        return self._launch_backfill(assetSelection=_keys(assets), partitionNames=list(days))

    def backfill_job(self, job: str, days: Sequence[str]) -> str:
        """Press Launch backfill on a job's page of partitions; the backfill's id."""
        partition_set = {"partitionSetName": f"{job}_partition_set", "repositorySelector": self._repository_selector}
        return self._launch_backfill(selector=partition_set, partitionNames=list(days))

    def _launch_backfill(self, **params: object) -> str:
        answer = self.ask(_BACKFILL, params={"tags": [], "fromFailure": False, **params})["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def cancel(self, backfill_id: str) -> None:
        """Press Cancel on a backfill."""
        answer = self.ask(_CANCEL, id=backfill_id)["cancelPartitionBackfill"]
        assert answer["__typename"] == "CancelBackfillSuccess"

    def continue_backfill(self, backfill_id: str) -> str:
        """Press Re-execute from failure on a backfill; the new one's id."""
        params = {"parentRunId": backfill_id, "strategy": "FROM_FAILURE"}
        answer = self.ask(_REEXECUTE, params=params)["reexecutePartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def turn(self, sensor: str, *, on: bool) -> None:
        """Switch a sensor."""
        if on:
            self.ask(_START_SENSOR, sensor=self._sensor_selector(sensor))
        else:
            self.ask(_STOP_SENSOR, id=self._sensor(sensor)["id"])
        wanted = "RUNNING" if on else "STOPPED"
        assert self._sensor(sensor)["status"] == wanted

    # What its pages show

    def runs(self, *, limit: int = 200, **wanted: object) -> list[Run]:
        """Runs, the oldest first; `wanted` narrows them (`pipelineName`, `statuses`, `runIds`)."""
        results = self.ask(_RUNS, filter=wanted, limit=limit)["runsOrError"]["results"]
        return [
            Run(
                run_id=run["runId"],
                job=run["jobName"],
                status=run["status"],
                tags={tag["key"]: tag["value"] for tag in run["tags"]},
                assets=frozenset(map(_name, run["assetSelection"] or [])),
            )
            for run in reversed(results)
        ]

    def run(self, run_id: str) -> Run:
        """One run."""
        (run,) = self.runs(runIds=[run_id])
        return run

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The events of a run."""
        return self.ask(_EVENTS, id=run_id)["logsForRun"]["events"]

    def backfill_state(self, backfill_id: str) -> Backfill:
        """A backfill."""
        found = self.ask(_BACKFILL_STATE, id=backfill_id)["partitionBackfillOrError"]
        counts = (found["assetBackfillData"] or {}).get("assetBackfillStatuses", [])

        def by_asset(count: str) -> dict[str, int]:
            return {_name(one["assetKey"]): one[count] for one in counts}

        return Backfill(
            status=found["status"],
            error=(found["error"] or {}).get("message", ""),
            days=found["partitionNames"] or [],
            run_ids=[run["runId"] for run in found["runs"]],
            materialized=by_asset("numPartitionsMaterialized"),
            failed=by_asset("numPartitionsFailed"),
        )

    def days_by_status(self, asset: str, *, among: Sequence[str] | None = None) -> dict[str, list[str]]:
        """The days of an asset by their colour on its page: MATERIALIZED, FAILED, MATERIALIZING."""
        found = self.ask(_PARTITIONS, key=_key(asset))["assetNodeOrError"]
        return _by_status(found["assetPartitionStatuses"]["ranges"], among)

    def latest_materializations(self, asset: str, days: Sequence[str]) -> dict[str, str]:
        """By day, the run that materialized it last."""
        answer = self.ask(_LATEST, key=_key(asset), days=list(days))
        events = answer["assetNodeOrError"]["latestMaterializationByPartition"]
        return {event["partition"]: event["runId"] for event in events if event}

    def latest_run(self, asset: str, day: str) -> tuple[str, str]:
        """The latest run that was to materialize a day: its id and its status."""
        run = self.ask(_LATEST_RUN, key=_key(asset), day=day)["assetNodeOrError"]["latestRunForPartition"]
        return run["runId"], run["status"]

    def checks_by_status(self, asset: str, *, among: Sequence[str] | None = None) -> dict[str, dict[str, list[str]]]:
        """By check of an asset: its days by status (SUCCEEDED, FAILED, ...)."""
        checks = self.ask(_CHECKS, key=_key(asset))["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return {check["name"]: _by_status(check["partitionStatuses"]["ranges"], among) for check in checks}

    def check_history(self, asset: str, check: str, day: str) -> list[str]:
        """What became of a check of a day, the newest first: SUCCEEDED, FAILED, IN_PROGRESS, ..."""
        answer = self.ask(_CHECK_HISTORY, key=_key(asset), check=check, day=day)
        return [execution["status"] for execution in answer["assetCheckExecutions"]]

    def ticks(self, sensor: str, *, limit: int = 50, since: float = 0) -> list[Tick]:
        """Ticks of a sensor that began after a moment, the oldest first, with what each says it saw."""
        ticks = self._sensor(sensor, ticks=limit)["ticks"]
        return [
            Tick(
                status=tick["status"],
                said=tick["skipReason"]
                or (tick["error"] or {}).get("message")
                or "; ".join(event["message"] for event in tick["logEvents"]["events"]),
                at=tick["timestamp"],
            )
            for tick in reversed(ticks)
            if tick["timestamp"] >= since and tick["status"] != "STARTED"
        ]

    def pools(self) -> dict[str, set[str]]:
        """The runs that hold a slot, by pool."""
        limits = self.ask(_POOLS)["instance"]["concurrencyLimits"]
        return {
            limit["concurrencyKey"]: {slot["runId"] for slot in limit["claimedSlots"]}
            for limit in limits
            if limit["claimedSlots"]
        }

    # Waiting

    def end(self, run_id: str) -> Run:
        """A run, when it has ended."""
        wait_until(lambda: self.run(run_id).status in _ENDED)
        return self.run(run_id)

    def end_of_backfill(self, backfill_id: str) -> Backfill:
        """A backfill, when it has ended."""
        ended = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
        wait_until(lambda: self.backfill_state(backfill_id).status in ended)
        return self.backfill_state(backfill_id)

    def new_ticks(self, *sensors: str, count: int = 1) -> list[Tick]:
        """The next ticks of some sensors that begin from now on, so many of each."""
        now = time.time()
        wait_until(lambda: all(len(self.ticks(sensor, since=now)) >= count for sensor in sensors))
        return [tick for sensor in sensors for tick in self.ticks(sensor, since=now)[:count]]

    def settle(self, *sensors: str) -> None:
        """Wait until no run is under way, and neither these sensors nor the publishing one have anything to ask for."""
        sensors = (*sensors, "publish_what_is_not")

        def is_at_rest() -> bool:
            if self.runs(statuses=_UNFINISHED):
                return False
            said = [tick.said for tick in self.new_ticks(*sensors)]
            return all(map(_asks_for_nothing, sensors, said)) and not self.runs(statuses=_UNFINISHED)

        wait_until(is_at_rest)

    # Hard times

    def pid(self, run_id: str) -> int | None:
        """The process of a run, once it has begun."""
        for event in self.events(run_id):
            for entry in event.get("metadataEntries", []):
                if entry["label"] == "pid":
                    return int(entry["text"])
        return None

    def kill_run(self, run_id: str) -> None:
        """Kill a run's process, as the system does where memory runs out."""
        pid = wait_until(lambda: self.pid(run_id))
        psutil.Process(pid).send_signal(signal.SIGKILL)

    def holder_of(self, pool: str) -> str:
        """The run that holds a pool, once one does."""
        (run_id,) = wait_until(lambda: self.pools().get(pool, set()))
        return run_id

    @contextmanager
    def scans_held_up(self, source: str) -> Iterator[None]:
        """While it lasts nobody gets to read new files: a run that wants to waits, and holds its table's pool."""
        with FileLock(_lock(self.shop.settings.root / "locks" / f"{source}.lock")):
            yield

    @contextmanager
    def publishing_held_up(self) -> Iterator[None]:
        """While it lasts nobody gets to publish: a run that wants to waits, and holds the warehouse's pool."""
        with FileLock(_lock(self.shop.settings.warehouse_dir / ".publish.lock")):
            yield

    # The rest of its page's words

    @property
    def _repository_selector(self) -> dict[str, str]:
        return {"repositoryName": self._repository, "repositoryLocationName": self._location}

    def _sensor_selector(self, name: str) -> dict[str, str]:
        return {**self._repository_selector, "sensorName": name}

    def _sensor(self, name: str, *, ticks: int = 1) -> dict[str, Any]:
        return self.ask(_SENSOR, sensor=self._sensor_selector(name), limit=ticks)["sensorOrError"]["sensorState"]

    def _job_of(self, assets: Collection[str]) -> tuple[str, list[dict[str, object]]]:
        """The job that the page takes for a selection (the first that has them all), and the checks it selects."""
        nodes = self.ask(_LOADER, keys=_keys(assets))["assetNodes"]
        job = next(name for name in nodes[0]["jobNames"] if all(name in node["jobNames"] for node in nodes))
        checks = [
            {"name": check["name"], "assetKey": {"path": node["assetKey"]["path"]}}
            for node in nodes
            for check in node["assetChecksOrError"]["checks"]
            if not check["jobNames"] or job in check["jobNames"]
        ]
        return job, checks


def assert_loaded(
    shop: Shop, *, in_a_fresh_folder: Path, with_snapshots: bool = True, restocking_fee_rate: str = "0.10"
) -> None:
    """The shop's tables are those that one load of all that is in landing makes in a fresh folder.

    Args:
        shop: Its tables are looked at. Older snapshots are not: which of them there are is the user's to say.
        in_a_fresh_folder: A folder that is not there, or empty.
        with_snapshots: Whether the newest snapshots must be the same, too; else nobody has asked for them.
        restocking_fee_rate: The shop's setting.
    """
    shutil.copytree(shop.settings.landing_dir, in_a_fresh_folder / "landing")
    settings = {"sources": shop.settings.sources, "restocking_fee_rate": restocking_fee_rate}
    with Shop(in_a_fresh_folder, **settings) as fresh:
        assert fresh.load(snapshots=with_snapshots).errors == []
        tables, expected = shop.tables(), fresh.tables()
    assert list(tables) == list(expected)
    snapshots = set() if with_snapshots else {f"marts.{name}" for name in SNAPSHOT_NAMES}
    histories = {f"marts.{name}_history" for name in SNAPSHOT_NAMES}
    for name in expected.keys() - snapshots - histories:
        assert_frame_equal(tables[name], expected[name])


def _asks_for_nothing(sensor: str, said: str) -> bool:
    if sensor.endswith("_drops"):
        return "; all is loaded" in said and "may still be written" not in said
    return said in ("Everything is published.", "All snapshots are up to date.")


def _by_status(ranges: Iterable[Mapping[str, str]], among: Sequence[str] | None) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for some in ranges:
        named = [day for day in each_day(some["startKey"], some["endKey"]) if among is None or day in among]
        if named:
            days[some["status"]] = sorted([*days.get(some["status"], []), *named])
    return days


def _lock(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _name(key: Mapping[str, Any]) -> str:
    return "/".join(key["path"])


def _key(asset: str) -> dict[str, list[str]]:
    return {"path": asset.split("/")}


def _keys(assets: Iterable[str]) -> list[dict[str, list[str]]]:
    return [_key(asset) for asset in assets]
