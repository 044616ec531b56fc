import os
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.run_coordinator import QueuedRunCoordinator

from retail_platform.instance import home
from retail_platform.instance.event_log import FastSqliteEventLogStorage
from retail_platform.instance.home import ensure_home, open_instance


def test_the_home_is_below_the_data_folder_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ensure_home(Path("data")) == tmp_path / "data" / "dagster"
    assert [file.name for file in (tmp_path / "data" / "dagster").iterdir()] == ["dagster.yaml"]


def test_an_earlier_releases_file_is_refreshed(tmp_path: Path) -> None:
    file = ensure_home(tmp_path) / "dagster.yaml"
    shipped = file.read_text(encoding="utf-8")
    file.write_text(home._with_hash("telemetry: {enabled: true}\n"), encoding="utf-8")
    ensure_home(tmp_path)
    assert file.read_text(encoding="utf-8") == shipped


@pytest.mark.parametrize(
    "edit", [lambda text: f"{text}\n# mine\n", lambda _: "telemetry: {enabled: false}\n", lambda _: ""]
)
def test_a_file_the_user_changed_is_left_alone(tmp_path: Path, edit) -> None:
    file = ensure_home(tmp_path) / "dagster.yaml"
    mine = edit(file.read_text(encoding="utf-8"))
    file.write_text(mine, encoding="utf-8")
    ensure_home(tmp_path)
    assert file.read_text(encoding="utf-8") == mine


def test_an_instance_of_ours_is_as_the_file_says(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert Path(instance.root_directory) == tmp_path / "data" / "dagster"
    assert isinstance(instance.event_log_storage, FastSqliteEventLogStorage)
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.dequeue_interval_seconds == 1
    concurrency = instance.get_concurrency_config()
    assert concurrency.run_queue_config is not None
    assert concurrency.run_queue_config.max_concurrent_runs == 2
    assert concurrency.pool_config.default_pool_limit == 1
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled
    assert os.environ["DAGSTER_EVENT_BATCH_SIZE"] == "1000"


def test_every_setting_survives_dagsters_validation(tmp_path: Path) -> None:
    settings = yaml.safe_load((ensure_home(tmp_path) / "dagster.yaml").read_text(encoding="utf-8"))
    assert sorted(settings) == [
        "concurrency",
        "event_log_storage",
        "nux",
        "retention",
        "run_coordinator",
        "run_monitoring",
        "schedules",
        "sensors",
        "telemetry",
    ]


def test_the_users_own_home_and_batch_size_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(mine))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
    with open_instance(tmp_path / "data") as opened:
        assert opened.root_directory == str(mine)
    FastSqliteEventLogStorage(str(tmp_path / "log")).dispose()
    assert os.environ["DAGSTER_EVENT_BATCH_SIZE"] == "7"
    assert not (tmp_path / "data").exists()


def test_one_process_can_open_two_data_folders(tmp_path: Path) -> None:
    with open_instance(tmp_path / "one") as one, open_instance(tmp_path / "two") as two:
        assert [Path(opened.root_directory).parent.name for opened in (one, two)] == ["one", "two"]
