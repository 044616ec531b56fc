import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from retail_platform.instance.headless import run_range
from retail_platform.instance.orphans import (
    HOST_TAG,
    PID_TAG,
    PROCESS_STARTED_TAG,
    release_orphans,
    run_tags_for_this_process,
)
from retail_platform_tests.unit.instance.till import JOB, Till

LAUNCHED_HERE = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": "/tmp/code_server"})}
STARTED = dg.DagsterRunStatus.STARTED
FAILURE = dg.DagsterRunStatus.FAILURE


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def _run(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    *,
    status: dg.DagsterRunStatus = STARTED,
    pid: int | None = None,
    parent_run_id: str | None = None,
) -> str:
    job = Till().definitions().resolve_job_def(JOB)
    run = instance.create_run_for_job(
        job, tags=tags, status=status, parent_run_id=parent_run_id, root_run_id=parent_run_id
    )
    if pid is not None:
        message = f"Started process for run (pid: {pid})."
        instance.report_engine_event(message, run, EngineEventData.in_process(pid))
    return run.run_id


def _status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def _this(**changes: str) -> dict[str, str]:
    return {**run_tags_for_this_process(), **changes}


@pytest.mark.parametrize("status", [STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED])
def test_a_run_whose_process_is_gone_is_failed(instance: dg.DagsterInstance, gone: int, status) -> None:
    run_id = _run(instance, _this(**{PID_TAG: str(gone)}), status=status)
    assert release_orphans(instance) == [run_id]
    assert _status(instance, run_id) == FAILURE
    assert release_orphans(instance) == []


def test_a_run_being_canceled_becomes_canceled(instance: dg.DagsterInstance, gone: int) -> None:
    run_id = _run(instance, LAUNCHED_HERE, status=dg.DagsterRunStatus.CANCELING, pid=gone)
    assert release_orphans(instance) == [run_id]
    assert _status(instance, run_id) == dg.DagsterRunStatus.CANCELED


def test_a_number_that_another_process_has_now_does_not_save_a_run(instance: dg.DagsterInstance) -> None:
    run_id = _run(instance, _this(**{PROCESS_STARTED_TAG: "1000000000.0"}))
    assert release_orphans(instance) == [run_id]


def test_runs_that_live_or_that_we_cannot_judge_are_left_alone(instance: dg.DagsterInstance, gone: int) -> None:

    dead = _this(**{PID_TAG: str(gone)})
    parent = _run(instance, dead, status=dg.DagsterRunStatus.SUCCESS)
    left_alone = {
        "lives": _run(instance, _this()),
        "lives, launched by the daemon": _run(instance, LAUNCHED_HERE, pid=os.getpid()),
        "of another host": _run(instance, {**dead, HOST_TAG: f"not-{socket.gethostname()}"}),
        "launched by another host's code server": _run(
            instance, {".dagster/grpc_info": json.dumps({"host": "code-server", "port": 4000})}, pid=gone
        ),
        "no process known yet": _run(instance, LAUNCHED_HERE, status=dg.DagsterRunStatus.STARTING),
        "not ours to know": _run(instance, {}, pid=gone),
        "run again from the UI, with its parent's tags": _run(
            instance, {**dead, **LAUNCHED_HERE}, pid=os.getpid(), parent_run_id=parent
        ),
    }
    before = {why: _status(instance, run_id) for why, run_id in left_alone.items()}
    assert release_orphans(instance) == []
    assert {why: _status(instance, run_id) for why, run_id in left_alone.items()} == before


def test_a_launched_run_whose_process_is_gone_is_failed(instance: dg.DagsterInstance, gone: int) -> None:
    run_id = _run(instance, LAUNCHED_HERE, pid=gone)
    assert release_orphans(instance) == [run_id]


def test_a_finished_run_that_kept_its_pool_gives_it_back(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    run_id = _run(instance, {}, status=FAILURE)
    log.initialize_concurrency_limit_to_default("silver_till")
    assert log.claim_concurrency_slot("silver_till", run_id, "till").is_claimed
    assert release_orphans(instance) == []
    assert log.get_concurrency_info("silver_till").active_slot_count == 0


HOLD = """
    import sys, time
    from pathlib import Path
    from retail_platform.instance.headless import run_range
    from retail_platform.instance.home import open_instance
    from retail_platform_tests.unit.instance.till import JOB, Till
    def hold():
        print("holding", flush=True)
        time.sleep(60)
    with open_instance(Path(sys.argv[1])) as instance:
        run_range(Till(before_checks=hold).definitions(), JOB, instance=instance,
                  start_day="2024-01-01", end_day="2024-01-03")
"""


@pytest.mark.slow
def test_a_killed_load_gives_its_pool_to_the_next(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        assert release_orphans(instance) == []
        process.kill()
    [killed] = instance.get_runs()
    assert killed.status == STARTED
    assert instance.event_log_storage.get_concurrency_info("silver_till").active_slot_count == 1
    assert release_orphans(instance) == [killed.run_id]
    assert _status(instance, killed.run_id) == FAILURE
    days = {"start_day": "2024-01-01", "end_day": "2024-01-03"}
    assert run_range(Till().definitions(), JOB, instance=instance, **days).success
