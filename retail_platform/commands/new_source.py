"""`retail new-source`: a declaration guessed from sample files, to be corrected by somebody who knows the shop."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from retail_platform.commands.console import UserError
from retail_platform.landing.encoding import UnreadableFile
from retail_platform.landing.finding import ENDINGS
from retail_platform.onboarding.declaring import CHECK, declare
from retail_platform.onboarding.roles import Shop, recognise
from retail_platform.onboarding.samples import Sample, look_at
from retail_platform.settings import current_settings
from retail_platform.source_catalog import BUNDLED

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def new_source(
    out: Console, err: Console, name: str, files: Sequence[Path], *, folder: Path | None, is_printed: bool
) -> None:
    """Write `<folder>/<name>/defs.yaml`, or print it, and say what to do next.

    Raises:
        UserError: the name, a file or the folder will not do.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be a source's name: use small letters, digits and _, beginning with a letter."
        )
    target = (folder or BUNDLED) / name / "defs.yaml"
    if target.exists() and not is_printed:
        raise UserError(
            f"{target} is there already: change it by hand, take it away, or name another folder with --out."
        )
    shop = recognise(_look(files))
    if all(feed.role == "other" for feed in shop.feeds):
        seen = "; ".join(f"{feed.name}: {', '.join(feed.sample.columns)}" for feed in shop.feeds)
        raise UserError(
            f"None of the files looks like customers, products, orders or payments ({seen}). "
            "Give more files, or write the defs.yaml yourself: docs/declarations.md says how."
        )
    text = declare(name, shop)
    if is_printed:
        out.print(text, markup=False, highlight=False, end="")
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}. Name another with --out.") from error
    _say_next(err, name, target, shop, text)


def _look(files: Sequence[Path]) -> list[Sample]:
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is no file: name the sample files themselves, for example samples/*.csv.")
    try:
        return look_at(files)
    except UnreadableFile as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror or error}.") from error


def _say_next(err: Console, name: str, target: Path, shop: Shop, text: str) -> None:
    landing = current_settings().landing_dir / name
    err.print(f"Wrote {target}", markup=False)
    for feed in shop.feeds:
        what = "?" if feed.role == "other" else feed.role
        err.print(f"  {feed.name}: {what}, {feed.sample.rows:,} rows", markup=False)
    err.print("Next:", markup=False)
    err.print(f"1. Look at the {text.count(CHECK)} lines with CHECK, and correct what is wrong.", markup=False)
    err.print("2. Put the files into landing:", markup=False)
    for feed in shop.feeds:
        there = landing / feed.name
        for command in _copies(feed.sample.files, there):
            err.print(f"     mkdir -p {shlex.quote(str(there))} && {command}", markup=False)
    err.print(f"3. retail load --source {name}", markup=False)
    err.print(f"4. retail quarantine list --source {name}", markup=False)


def _copies(files: Sequence[Path], there: Path) -> Iterator[str]:
    """Commands that copy files to a feed's folder, under names that count there."""
    named = [file for file in files if file.name.lower().endswith(ENDINGS)]
    if named:
        yield f"cp -p {' '.join(shlex.quote(str(file)) for file in named)} {shlex.quote(str(there))}/"
    for file in files:
        if file not in named:
            yield f"cp -p {shlex.quote(str(file))} {shlex.quote(str(there / file.name) + ENDINGS[0])}"
