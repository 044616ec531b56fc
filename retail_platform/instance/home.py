"""Dagster's home: a folder in the data folder, with the dagster.yaml that this package ships."""

import hashlib
import os
from importlib import resources
from pathlib import Path

import dagster as dg

DAGSTER_HOME = "DAGSTER_HOME"
# Says that it was us who set DAGSTER_HOME, in this process or in the one that started it: then we may change it.
_OWN_HOME = "RETAIL_DAGSTER_HOME"

_HEADER = "# retail_platform sha256:"


def ensure_home(data_dir: Path) -> Path:
    """Make `<data_dir>/dagster` a Dagster home, and return its absolute path.

    Its dagster.yaml starts with a hash of the rest: while that is right nobody has changed the file, and it is
    replaced by what this release ships. A changed file, or one without our first line, is left alone.
    """
    home = data_dir.resolve() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    wanted = _with_hash(
        resources.files("retail_platform.instance").joinpath("dagster.yaml").read_text(encoding="utf-8")
    )
    present = target.read_text(encoding="utf-8") if target.exists() else None
    if present == wanted or (present is not None and not _is_unchanged(present)):
        return home
    # Webserver, daemon and loads may start at once: each writes its own copy, and renames it.
    copy = target.with_name(f"dagster.yaml.{os.getpid()}")
    copy.write_text(wanted, encoding="utf-8")
    copy.replace(target)
    return home


def open_instance(data_dir: Path) -> dg.DagsterInstance:
    """The Dagster instance of a data folder; use it as a context manager, or `dispose` of it.

    Sets DAGSTER_HOME in this process and for those it starts. A DAGSTER_HOME that the user has set wins, with whatever
    dagster.yaml is there.
    """
    current = os.environ.get(DAGSTER_HOME)
    if not current or current == os.environ.get(_OWN_HOME):
        home = str(ensure_home(data_dir))
        os.environ[DAGSTER_HOME] = os.environ[_OWN_HOME] = home
    return dg.DagsterInstance.get()


def _with_hash(body: str) -> str:
    return f"{_HEADER}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def _is_unchanged(text: str) -> bool:
    _, _, body = text.partition("\n")
    return text == _with_hash(body)
