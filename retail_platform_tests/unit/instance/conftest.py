"""Dagster homes for the tests of `instance`: ours, and a stock one to compare with."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from retail_platform.instance.home import open_instance

STOCK_YAML = "telemetry: {enabled: false}\nconcurrency: {pools: {default_limit: 1, granularity: op}}\n"


@pytest.fixture(autouse=True)
def _no_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "RETAIL_DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        # Set first, so that whatever the code under test sets is undone.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance of ours in an empty data folder."""
    with open_instance(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def open_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dg.DagsterInstance]]:
    """Opens an instance with Dagster's own event log, its events one by one."""
    with ExitStack() as stack:

        def opened() -> dg.DagsterInstance:
            home = tmp_path / "stock"
            home.mkdir()
            (home / "dagster.yaml").write_text(STOCK_YAML, encoding="utf-8")
            monkeypatch.setenv("DAGSTER_HOME", str(home))
            monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
            return stack.enter_context(dg.DagsterInstance.get())

        yield opened
