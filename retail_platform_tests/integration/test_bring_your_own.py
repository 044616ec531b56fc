"""Whoever follows docs/bring-your-own-data.md to the letter gets what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import retail_platform

PACKAGE = Path(retail_platform.__file__).parent
DOCS = PACKAGE.parent / "docs"
DECLARED = Path("retail_platform/defs/sources/gartenhaus/defs.yaml")
RETAIL = f'#!/bin/sh\nexec {sys.executable} -m retail_platform.cli "$@"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, since the new source is written beside the bundled ones."""
    shutil.copytree(PACKAGE, tmp_path / "retail_platform", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(DOCS / "examples", tmp_path / "docs" / "examples")
    retail = tmp_path / "bin" / "retail"
    retail.parent.mkdir()
    retail.write_text(RETAIL, encoding="utf-8")
    retail.chmod(0o755)
    return tmp_path


def run(project: Path, commands: str) -> str:
    told = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=project,
        env=os.environ | {"PATH": f"{project / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def correct(declared: Path, difference: str) -> None:
    """Put each line with `+` in the place of the one with `-` before it."""
    text = declared.read_text(encoding="utf-8")
    lines = difference.splitlines()
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        assert (old[0], new[0]) == ("-", "+")
        assert f"{old[1:]}\n" in text
        text = text.replace(f"{old[1:]}\n", f"{new[1:]}\n")
    declared.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_documented_way_leads_to_the_documented_tables(project: Path) -> None:
    document = (DOCS / "bring-your-own-data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(sh|diff|text)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks].count("text") == 5
    answer = ""
    for kind, content in blocks:
        if kind == "sh":
            answer = run(project, content)
        elif kind == "diff":
            correct(project / DECLARED, content)
        else:
            assert answer == content
    finished = DOCS / "examples" / "gartenhaus" / "defs.yaml"
    assert (project / DECLARED).read_text(encoding="utf-8") == finished.read_text(encoding="utf-8")
