"""The numbered versions of the warehouse on disk, and the link that names the newest.

    warehouse/
      retail.duckdb -> versions/000042/retail.duckdb      what users open
      versions/000042/{retail.duckdb, seal}               never written again
      versions/next-*/                                    one being made; swept when its maker died

A version is a folder, not a numbered file, because DuckDB names a database after its file: in every version the
catalog is called `retail`, so that `retail.gold.fact_sales` holds across versions. The **seal** records the database's
size and modification time. A version whose seal no longer fits was written to by someone else (a program that
opened it read-write); it may be read, but the next version is never made from it.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock, Timeout

DATABASE = "retail.duckdb"
KEPT_VERSIONS = 3
_SEAL = "seal"


class WarehouseBusyError(RuntimeError):
    """Another process has been publishing for too long."""


@dataclass(frozen=True, kw_only=True)
class VersionStore:
    """The versions below one warehouse folder. All that changes them is done by the holder of `lock`."""

    directory: Path

    @property
    def link(self) -> Path:
        """The path users open."""
        return self.directory / DATABASE

    @property
    def _versions(self) -> Path:
        return self.directory / "versions"

    @contextlib.contextmanager
    def lock(self, *, timeout: float) -> Iterator[None]:
        """Hold the warehouse's one writer lock; the operating system frees it when the process dies.

        Raises:
            WarehouseBusyError: It was not to be had in `timeout` seconds.
        """
        self._versions.mkdir(parents=True, exist_ok=True)
        path = self.directory / ".publish.lock"
        try:
            with FileLock(path, timeout=timeout):
                yield
        except Timeout as error:
            message = (
                f"The warehouse {self.directory} has been locked by another publish for {timeout:.0f} s. Wait, "
                f"or look for a hanging process with `fuser {path}`. Nothing was changed; the next run publishes again."
            )
            raise WarehouseBusyError(message) from error

    def sweep(self) -> None:
        """Remove what a killed publish left unfinished."""
        for unfinished in self._versions.glob("next-*"):
            shutil.rmtree(unfinished)
        self._next_link.unlink(missing_ok=True)

    def current(self) -> Path | None:
        """The database that the link leads to, by its own path."""
        return self.link.resolve() if self.link.exists() else None

    def newest(self) -> Path | None:
        """The newest version that nobody wrote to since it was made: the one to build upon."""
        numbered = (folder / DATABASE for folder in reversed(self._numbered()))
        return next((database for database in numbered if _is_sealed(database)), None)

    def begin(self, *, empty: bool = False) -> Path:
        """The path of the next version's database, in a folder of its own: a copy of the newest, if there is one."""
        path = Path(mkdtemp(prefix="next-", dir=self._versions)) / DATABASE
        while not empty and (base := self.newest()):
            _copy(base, path)
            if _is_sealed(base):  # still: nobody wrote to it while it was copied
                break
            path.unlink()
        return path

    def finish(self, unfinished: Path) -> Path:
        """Sync and seal a version and give it its number. Whatever has a number is whole.

        Returns:
            The database's path from now on.
        """
        unfinished.parent.chmod(0o755)  # mkdtemp keeps other users out
        _sync(unfinished)
        seal = unfinished.with_name(_SEAL)
        seal.write_text(_seal_text(unfinished), encoding="utf-8")
        _sync(seal)
        numbered = self._numbered()
        number = int(numbered[-1].name) + 1 if numbered else 1
        folder = self._versions / f"{number:06d}"
        unfinished.parent.rename(folder)
        _sync(self._versions)
        return folder / DATABASE

    def point_to(self, database: Path) -> None:
        """Let the link lead to a version, atomically, then remove the versions that are too old.

        A process that has a removed one open keeps it until it closes it.
        """
        target = database.relative_to(self.directory)
        if not (self.link.is_symlink() and self.link.readlink() == target):
            self._next_link.unlink(missing_ok=True)
            self._next_link.symlink_to(target)
            self._next_link.replace(self.link)
            _sync(self.directory)
        for folder in self._numbered()[:-KEPT_VERSIONS]:
            if folder != database.parent:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def _next_link(self) -> Path:
        return self.directory / f".{DATABASE}.next"

    def _numbered(self) -> list[Path]:
        return sorted((f for f in self._versions.glob("[0-9]*") if f.name.isdecimal()), key=lambda f: int(f.name))


def _seal_text(database: Path) -> str:
    stat = database.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _is_sealed(database: Path) -> bool:
    seal = database.with_name(_SEAL)
    return database.exists() and seal.exists() and seal.read_text(encoding="utf-8") == _seal_text(database)


def _copy(source: Path, target: Path) -> None:
    """Copy inside the kernel where it can: a file system with reflinks (XFS, Btrfs) then copies no block at all."""
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left and (copied := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= copied
        except (AttributeError, OSError):  # macOS, or a file system that cannot
            left = -1
    if left:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    """Bring a file or folder to the disk, so that a power cut cannot leave a name without its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
