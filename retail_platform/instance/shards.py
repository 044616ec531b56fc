"""Open SQLite databases, kept: one cached engine with one connection per shard file, at most a few at a time.

Knows SQLAlchemy and files, and nothing of Dagster. Dagster's own storage builds an engine per event, so that every
event pays for a connection, the schema and the compilation of its statements (11 ms instead of 2).
"""

import functools
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

BUSY_TIMEOUT_SECONDS = 30
# Every run has a shard of its own, and a connection keeps up to 2 MB of pages: 16 of them are 32 MB at most.
MAX_OPEN_SHARDS = 16

# Device and inode: the file itself, whatever is at its path later.
_FileId = tuple[int, int]


class _Shard:
    """One database file with its engine; whoever holds the lock may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.engine = _create_engine(path)
        self.file: _FileId | None = None
        self.is_closed = False

    def close(self) -> None:
        """Close the connection; the caller holds the lock."""
        self.engine.dispose()
        self.is_closed = True


class ShardEngines:
    """The open shards of one storage, the least recently used closed first.

    Threads wait for each other per shard, as SQLite would make them, but without its polling. Other processes are
    SQLite's own business (WAL, busy timeout). A file that was deleted or replaced under us is opened again: a
    connection to the deleted one would swallow events.

    Args:
        max_open: How many shards stay open.
    """

    def __init__(self, *, max_open: int = MAX_OPEN_SHARDS) -> None:
        self._max_open = max_open
        self._guard = threading.Lock()
        self._shards: OrderedDict[Path, _Shard] = OrderedDict()
        self._prepared: dict[Path, _FileId] = {}
        _watch_forks()
        _every_shard_engines.add(self)

    @property
    def open_count(self) -> int:
        """How many shards are open now."""
        return len(self._shards)

    @contextmanager
    def connect(self, path: Path, *, prepare: Callable[[Engine], None]) -> Iterator[Connection]:
        """One transaction on a shard: committed at the end, rolled back on an exception.

        Args:
            path: The shard's file; it need not exist.
            prepare: Creates the tables of a new file; called once per file and process.
        """
        shard = self._hold(path)
        try:
            self._make_ready(shard, prepare)
            with shard.engine.connect() as connection, connection.begin():
                yield connection
        finally:
            shard.lock.release()

    def close(self) -> None:
        """Close every shard, waiting for those in use; the next use opens them again."""
        with self._guard:
            shards = list(self._shards.values())
            self._shards.clear()
        for shard in shards:
            with shard.lock:
                shard.close()

    def close_idle(self) -> None:
        """Close every shard that nobody uses at this moment."""
        with self._guard:
            for path in [path for path, shard in self._shards.items() if _close_if_idle(shard)]:
                del self._shards[path]

    def abandon(self) -> list[object]:
        """Start afresh in a forked child; returns what must be kept from the garbage collector.

        Closing an inherited connection would run SQLite's clean-up on the parent's files.
        """
        inherited: list[object] = list(self._shards.values())
        self._guard = threading.Lock()
        self._shards = OrderedDict()
        return inherited

    def _hold(self, path: Path) -> _Shard:
        while True:
            with self._guard:
                shard = self._shards.get(path)
                if shard is None:
                    shard = self._shards[path] = _Shard(path)
                self._shards.move_to_end(path)
                self._close_oldest(keep=shard)
            shard.lock.acquire()
            if not shard.is_closed:
                return shard
            shard.lock.release()

    def _close_oldest(self, *, keep: _Shard) -> None:
        for path, shard in list(self._shards.items()):
            if len(self._shards) <= self._max_open:
                return
            if shard is not keep and _close_if_idle(shard):
                del self._shards[path]

    def _make_ready(self, shard: _Shard, prepare: Callable[[Engine], None]) -> None:
        file = _file_at(shard.path)
        if file is not None and file == shard.file:
            return
        shard.engine.dispose()
        if file is None or self._prepared.get(shard.path) != file:
            prepare(shard.engine)
            file = _file_at(shard.path)
        if file is not None:
            self._prepared[shard.path] = file
        shard.file = file


_every_shard_engines: "weakref.WeakSet[ShardEngines]" = weakref.WeakSet()
_inherited_by_fork: list[object] = []


@functools.cache
def _watch_forks() -> None:
    """SQLite forbids a connection to cross a fork: the parent closes what is idle, the child forgets the rest."""
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def _before_fork() -> None:
    for engines in list(_every_shard_engines):
        engines.close_idle()


def _after_fork_in_child() -> None:
    for engines in list(_every_shard_engines):
        _inherited_by_fork.extend(engines.abandon())


def _close_if_idle(shard: _Shard) -> bool:
    if not shard.lock.acquire(blocking=False):
        return False
    try:
        shard.close()
    finally:
        shard.lock.release()
    return True


def _file_at(path: Path) -> _FileId | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _create_engine(path: Path) -> Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1,
        # Preparing a new file takes a second connection for a moment (Dagster's `_initdb`).
        max_overflow=2,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # With a write-ahead log, NORMAL loses nothing when a process dies, and at most the last commits when the power
    # goes; FULL syncs at each of the 9 events a step has, 3 ms each.
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
