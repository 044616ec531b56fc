import subprocess
import sys
import textwrap
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest

from retail_platform.instance.event_log import FastSqliteEventLogStorage
from retail_platform.instance.headless import run_range
from retail_platform_tests.unit.instance.till import JOB, SALES, TILL, Till

DAYS = {"start_day": "2024-01-01", "end_day": "2024-01-03"}


def _slots_taken(instance: dg.DagsterInstance) -> int:
    return sum(
        instance.event_log_storage.get_concurrency_info(key).active_slot_count
        for key in instance.event_log_storage.get_concurrency_keys()
    )


def test_a_range_is_one_run_whose_events_are_streamed(instance: dg.DagsterInstance) -> None:
    steps: list[str | None] = []

    def note(event: dg.DagsterEvent) -> None:
        if event.is_step_success:
            steps.append(event.step_key)

    result = run_range(Till().definitions(), JOB, instance=instance, tags={"why": "test"}, on_event=note, **DAYS)
    assert (result.success, result.errors, steps) == (True, [], ["till", "gold__sales"])
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags["why"] == "test"
    assert run.tags["dagster/asset_partition_range_start"] == "2024-01-01"
    assert instance.get_materialized_partitions(SALES) == {"2024-01-01", "2024-01-02", "2024-01-03"}


def test_some_of_the_jobs_assets(instance: dg.DagsterInstance) -> None:
    assert run_range(Till().definitions(), JOB, instance=instance, asset_selection=[TILL], **DAYS).success
    assert instance.get_materialized_partitions(SALES) == set()


def test_a_failed_step_is_named_with_its_cause(instance: dg.DagsterInstance) -> None:
    def fail() -> None:
        raise OSError("No space left on /data")

    result = run_range(Till(before_checks=fail).definitions(), JOB, instance=instance, **DAYS)
    assert (result.success, result.errors) == (False, ["till: OSError: No space left on /data"])


@pytest.mark.parametrize(
    ("start_day", "end_day", "stranger"),
    [("2023-12-31", "2024-01-03", "2023-12-31"), ("2024-01-01", "2024-03-01", "2024-03-01")],
)
def test_days_outside_the_job_are_refused(
    instance: dg.DagsterInstance, start_day: str, end_day: str, stranger: str
) -> None:
    with pytest.raises(
        ValueError, match=f"{stranger} is not a day of job load: its days go from 2024-01-01 to 2024-02-29"
    ):
        run_range(Till().definitions(), JOB, instance=instance, start_day=start_day, end_day=end_day)
    assert instance.get_runs() == []


def test_a_broken_progress_display_does_not_break_off_the_run(instance: dg.DagsterInstance) -> None:
    calls: list[str] = []

    def fail(event: dg.DagsterEvent) -> None:
        calls.append(event.event_type_value)
        if event.is_step_start:
            raise RuntimeError("the terminal went away")

    with pytest.raises(RuntimeError, match="the terminal went away"):
        run_range(Till().definitions(), JOB, instance=instance, on_event=fail, **DAYS)
    assert calls[-1] == "STEP_START"
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
    assert _slots_taken(instance) == 0


LOAD = """
    import sys, time
    from pathlib import Path
    from retail_platform.instance.headless import run_range
    from retail_platform.instance.home import open_instance
    from retail_platform_tests.unit.instance.till import JOB, Till
    data, seconds = Path(sys.argv[1]), float(sys.argv[2])
    spans = open(data / "spans", "a", buffering=1)
    def work():
        spans.write(f"in {time.time()}\\n"); time.sleep(seconds); spans.write(f"out {time.time()}\\n")
    def show(event):
        print(event.event_type_value, flush=True)
    with open_instance(data) as instance:
        result = run_range(Till(before_checks=work).definitions(), JOB, instance=instance, on_event=show,
                           start_day="2024-01-01", end_day="2024-01-20")
    sys.exit(not result.success)
"""


@pytest.fixture
def load(tmp_path: Path):
    """Starts a headless load of 20 days in a process of its own; its table takes so many seconds."""
    started: list[subprocess.Popen[str]] = []
    (tmp_path / "data").mkdir(exist_ok=True)

    def start(seconds: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(LOAD), str(tmp_path / "data"), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _wait_for(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == event:
            return
    raise AssertionError(f"The process ended before {event}.")


@pytest.mark.slow
def test_two_processes_take_turns_on_a_table_and_lose_no_event(
    instance: dg.DagsterInstance, tmp_path: Path, load
) -> None:
    processes = [load(0.5), load(0.5)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    spans = [line.split()[0] for line in (tmp_path / "data" / "spans").read_text(encoding="utf-8").splitlines()]
    assert spans == ["in", "out", "in", "out"]
    runs = instance.get_runs()
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    for run in runs:
        stored = instance.get_asset_partitions_for_run(run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
        assert {str(key): len(days) for key, days in stored.items()} == {str(TILL): 20, str(SALES): 20}
    assert isinstance(instance.event_log_storage, FastSqliteEventLogStorage)
    with instance.event_log_storage.index_connection() as connection:
        counts = connection.exec_driver_sql(
            "SELECT run_id, execution_status, count(*) FROM asset_check_executions GROUP BY 1, 2"
        )
        assert sorted(tuple(row)[1:] for row in counts) == [("SUCCEEDED", 42), ("SUCCEEDED", 42)]


@pytest.mark.slow
@pytest.mark.parametrize("while_waiting", [False, True], ids=["in a step", "waiting for a pool"])
def test_ctrl_c_ends_the_run_and_frees_its_pools(instance: dg.DagsterInstance, load, while_waiting: bool) -> None:
    first = load(30)
    _wait_for(first, "STEP_START")
    interrupted = first
    if while_waiting:
        interrupted = load(0)
        _wait_for(interrupted, "LOGS_CAPTURED")
        time.sleep(1)
        cpu_before = _cpu_seconds(interrupted.pid)
        time.sleep(2)
        # A busy wait would be at 2.
        assert _cpu_seconds(interrupted.pid) - cpu_before < 0.7
    interrupted.send_signal(2)
    assert interrupted.wait(timeout=20) != 0
    newest = instance.get_runs(limit=1)[0]
    assert newest.status == dg.DagsterRunStatus.FAILURE
    assert _slots_taken(instance) == (1 if while_waiting else 0)


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
