import gc
import os
import threading
import weakref
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from retail_platform.instance.shards import ShardEngines


def _prepare(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS seen (name TEXT)")


def _add(engines: ShardEngines, path: Path, name: str) -> None:
    with engines.connect(path, prepare=_prepare) as connection:
        connection.execute(sa.text("INSERT INTO seen VALUES (:name)"), {"name": name})


def _names(engines: ShardEngines, path: Path) -> list[str]:
    with engines.connect(path, prepare=_prepare) as connection:
        return list(connection.execute(sa.text("SELECT name FROM seen ORDER BY rowid")).scalars())


@pytest.fixture
def engines():
    opened = ShardEngines(max_open=3)
    yield opened
    opened.close()


def test_only_a_few_shards_stay_open_and_all_keep_their_rows(engines: ShardEngines, tmp_path: Path) -> None:
    paths = [tmp_path / f"run_{position}.db" for position in range(10)]
    for path in paths:
        _add(engines, path, path.stem)
    assert engines.open_count == 3
    assert [_names(engines, path) for path in paths] == [[path.stem] for path in paths]


def test_a_failed_transaction_leaves_nothing(engines: ShardEngines, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    _add(engines, path, "first")
    with pytest.raises(RuntimeError), engines.connect(path, prepare=_prepare) as connection:  # noqa: PT012
        connection.execute(sa.text("INSERT INTO seen VALUES ('lost')"))
        raise RuntimeError
    assert _names(engines, path) == ["first"]


def test_a_file_deleted_under_us_is_made_anew(engines: ShardEngines, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    _add(engines, path, "before")
    for file in tmp_path.iterdir():
        file.unlink()
    _add(engines, path, "after")
    assert _names(engines, path) == ["after"]


def test_threads_share_few_shards(engines: ShardEngines, tmp_path: Path) -> None:
    paths = [tmp_path / f"run_{position}.db" for position in range(6)]

    def work(thread: int) -> None:
        for step in range(20):
            _add(engines, paths[(thread + step) % len(paths)], f"{thread}/{step}")

    threads = [threading.Thread(target=work, args=(position,)) for position in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for path in paths for name in _names(engines, path)) == sorted(
        f"{thread}/{step}" for thread in range(4) for step in range(20)
    )
    assert engines.open_count <= 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_parent_and_forked_child_both_write(engines: ShardEngines, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    _add(engines, path, "parent before")
    child = os.fork()
    if child == 0:
        try:
            assert engines.open_count == 0
            _add(engines, path, "child")
            engines.close()
        except BaseException:  # noqa: BLE001  a child must not go on with the test session
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    _add(engines, path, "parent after")
    assert _names(engines, path) == ["parent before", "child", "parent after"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_in_a_transaction_opens_its_own(engines: ShardEngines, tmp_path: Path) -> None:
    path, other = tmp_path / "run.db", tmp_path / "other.db"
    with engines.connect(path, prepare=_prepare) as connection:
        connection.execute(sa.text("INSERT INTO seen VALUES ('parent')"))
        child = os.fork()
        if child == 0:
            try:
                _add(engines, other, "child")
            except BaseException:  # noqa: BLE001  as above
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (_names(engines, path), _names(engines, other)) == (["parent"], ["child"])


def test_connections_are_durable_enough_and_patient(engines: ShardEngines, tmp_path: Path) -> None:
    with engines.connect(tmp_path / "run.db", prepare=_prepare) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 30_000}


def test_nothing_keeps_a_forgotten_set_of_engines_alive(tmp_path: Path) -> None:
    engines = ShardEngines()
    _add(engines, tmp_path / "run.db", "row")
    engines.close()
    forgotten = weakref.ref(engines)
    del engines
    gc.collect()
    assert forgotten() is None
