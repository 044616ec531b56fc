"""The ready-to-query DuckDB copy of the lake: publish, rebuild, connect.

Publish is copy, change, rename (docs/adr/0003): nobody ever waits for a reader, and no reader for a publish.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from retail_platform.lake import mirror
from retail_platform.lake.mirror import TableChange, WarehouseError
from retail_platform.lake.relations import Catalog, DailyTable, LiveView, SqlView, Wholes
from retail_platform.lake.versions import VersionStore

_ATTEMPTS = 5
_PAUSE = 0.2  # seconds, between attempts


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """What a publish did. `version` is the newest database by its own path, `seconds` includes waiting for the lock."""

    changed: bool
    version: Path
    seconds: float
    tables: tuple[TableChange, ...] = ()
    views: tuple[str, ...] = ()


class Warehouse:
    """The DuckDB database in `directory` (`warehouse/retail.duckdb`), a cache that can always be made again."""

    def __init__(self, directory: Path, *, lock_timeout: float = 600) -> None:
        self._store = VersionStore(directory=directory.absolute())
        self._lock_timeout = lock_timeout

    @property
    def path(self) -> Path:
        """The path to give to other programs. It is a link: long-lived processes use `connect`."""
        return self._store.link

    def publish(
        self, *, daily: Sequence[DailyTable], whole: Wholes, views: Sequence[LiveView], sql_views: Sequence[SqlView]
    ) -> PublishReport:
        """Make the warehouse equal to the lake; do nothing, quickly, if it is.

        Args:
            daily: Tables kept equal to their lake folders, day by day.
            whole: Tables replaced where their rows differ, or a function that gives them. The function sees the
                daily tables up to date; it may be called twice, and must not write.
            views: Views over lake folders.
            sql_views: Views over the other relations.

        Raises:
            WarehouseBusyError: Another publish holds the lock for too long.
            WarehouseError: The warehouse cannot be made as declared.
        """
        return self._bring_up_to_date(Catalog(daily=daily, whole=whole, views=views, sql_views=sql_views))

    def publish_some(self, *, daily: Sequence[DailyTable], whole: Wholes) -> PublishReport:
        """As `publish`, but of these tables alone: all other relations stay as the last publish made them."""
        return self._bring_up_to_date(Catalog(daily=daily, whole=whole, is_all=False))

    def _bring_up_to_date(self, catalog: Catalog) -> PublishReport:
        started = time.perf_counter()
        with self._store.lock(timeout=self._lock_timeout):
            self._store.sweep()
            newest = self._store.newest()
            if newest and _holds(newest, catalog):
                self._store.point_to(newest)  # a publish may have died just before it
                return PublishReport(changed=False, version=newest, seconds=time.perf_counter() - started)
            return self._write(catalog, started=started, empty=False)

    def rebuild(
        self, *, daily: Sequence[DailyTable], whole: Wholes, views: Sequence[LiveView], sql_views: Sequence[SqlView]
    ) -> PublishReport:
        """Make the warehouse from Parquet alone, without a look at what it held; parameters as in `publish`."""
        catalog = Catalog(daily=daily, whole=whole, views=views, sql_views=sql_views)
        started = time.perf_counter()
        with self._store.lock(timeout=self._lock_timeout):
            self._store.sweep()
            return self._write(catalog, started=started, empty=True)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the newest version, read-only.

        The version's own path is opened, so that a process that still has an older one open is not handed that again.

        Raises:
            WarehouseError: Nothing was published yet.
        """
        for _ in range(_ATTEMPTS):
            newest = self._store.current()
            if not newest:
                break
            try:
                return duckdb.connect(newest, read_only=True)
            except duckdb.IOException as error:
                if "Could not set lock" in str(error):
                    self._step_aside(newest)
                elif newest.exists():  # else it was pruned between the look and the opening
                    raise
        message = f"There is no warehouse at {self.path}: run `retail load`, or `retail rebuild-warehouse`."
        raise WarehouseError(message)

    def _step_aside(self, held: Path) -> None:
        """Publish a copy of a version that another program holds open read-write, which keeps all others out of it."""
        with self._store.lock(timeout=self._lock_timeout):
            if self._store.newest() == self._store.current() == held:
                self._store.point_to(self._store.finish(self._store.begin()))
            elif self._store.current() == held:
                message = f"{held} was opened for writing by another program. Close it there, then publish again."
                raise WarehouseError(message)

    def _write(self, catalog: Catalog, *, started: float, empty: bool) -> PublishReport:
        unfinished = self._store.begin(empty=empty)
        try:
            with duckdb.connect(unfinished) as con:
                tables, views = _change(con, catalog)
                con.execute("CHECKPOINT")
            version = self._store.finish(unfinished)
        except BaseException:
            shutil.rmtree(unfinished.parent, ignore_errors=True)  # hundreds of megabytes: not left to the next sweep
            raise
        self._store.point_to(version)
        seconds = time.perf_counter() - started
        return PublishReport(changed=True, version=version, seconds=seconds, tables=tuple(tables), views=tuple(views))


def _holds(database: Path, catalog: Catalog) -> bool:
    try:
        con = duckdb.connect(database, read_only=True)
    except duckdb.IOException:
        return False  # held read-write by another program: a new version frees the readers
    with con:
        return mirror.is_current(con, catalog)


def _change(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> tuple[list[TableChange], list[str]]:
    """Change everything in one transaction; once more if a file of the lake went away under the reading."""
    for attempt in range(1, _ATTEMPTS + 1):
        con.begin()
        try:
            done = mirror.bring_up_to_date(con, catalog)
        except duckdb.IOException:
            con.rollback()
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE)
        else:
            con.commit()
            return done
    raise AssertionError  # the last attempt returned or raised
