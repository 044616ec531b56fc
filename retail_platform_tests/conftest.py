"""What all tests share: an environment without settings, and a shop in an empty folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from retail_platform_tests.e2e.real_files import RealDataStore
from retail_platform_tests.shop import Shop, shared_data


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """A developer's own RETAIL_* and DAGSTER_HOME have no say in tests."""
    for name in list(os.environ):
        if (name.startswith("RETAIL_") and name != "RETAIL_SHARED_DATA") or name == "DAGSTER_HOME":
            del os.environ[name]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An empty shop."""
    with Shop(tmp_path / "data") as shop:
        yield shop


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    folder = shared_data()
    if folder is None:
        pytest.skip("needs real data: ../shared/data beside the project, or its folder in RETAIL_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RealDataStore:
    """The real files, loaded; where several processes run tests, they share what one of them has loaded."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    return RealDataStore(real_data, root / "real")
