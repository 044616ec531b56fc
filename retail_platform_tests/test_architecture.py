"""Imports run one way, nothing heavy is imported where answers must be quick, and importing touches no file."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import retail_platform

ROOT = Path(retail_platform.__file__).parent

LAYERS = (
    "instance",
    "settings",
    "expressions",
    "source_spec",
    "source_catalog",
    "contracts",
    "engines",
    "transforms",
    "lake",
    "landing",
    "onboarding",
    "platform",
    "serving",
    "components",
    "defs",
    "definitions",
    "prebuilt",
    "loading",
    "generator",
    "commands",
    "cli",
)
"""From the bottom up: a module imports from its own layer and from those before it."""

KNOWS_DAGSTER = (
    "instance",
    "components",
    "defs",
    "lake.io_manager",
    "definitions",
    "prebuilt",
    "loading",
    "commands.load",
)
FRAME_LIBRARIES = {"polars", "pandas", "pyarrow", "pyspark", "duckdb"}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported_modules(file: Path) -> Iterator[str]:
    """The modules a file imports, also within functions and for type checking alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                own = module.removeprefix("retail_platform").removeprefix(".").replace(".", "/")
                for alias in names:
                    is_module = module.startswith("retail_platform") and (
                        (ROOT / own / f"{alias.name}.py").is_file() or (ROOT / own / alias.name).is_dir()
                    )
                    yield f"{module}.{alias.name}" if is_module else module


IMPORTS = {module_name(file): sorted(set(imported_modules(file))) for file in sorted(ROOT.rglob("*.py"))}
OWN = {
    module: [name.removeprefix("retail_platform.") for name in names if name.startswith("retail_platform.")]
    for module, names in IMPORTS.items()
}


def layer(module: str) -> int:
    return LAYERS.index(module.split(".", maxsplit=1)[0])


def libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in IMPORTS[module]}


def is_within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def modules_of(*places: str) -> list[str]:
    found = [module for module in IMPORTS if is_within(module, places)]
    assert found, places
    return found


def test_every_module_has_a_layer():
    assert {module.split(".")[0] for module in IMPORTS if module} == set(LAYERS)


@pytest.mark.parametrize("module", [module for module in IMPORTS if module])
def test_imports_go_down(module: str):
    upward = [name for name in OWN[module] if layer(name) > layer(module)]
    assert not upward, f"{module} imports {upward} from above"


def test_no_module_imports_itself_by_a_detour():
    TopologicalSorter(OWN).prepare()


def test_instance_knows_nothing_of_the_platform():
    assert {name for module in modules_of("instance") for name in OWN[module]} <= set(modules_of("instance"))


def test_dagster_is_known_only_where_it_must_be():
    knowing = [module for module in IMPORTS if {"dagster", "dagster_duckdb_pandas"} & libraries(module)]
    assert [module for module in knowing if not is_within(module, KNOWS_DAGSTER)] == []


@pytest.mark.parametrize("module", modules_of("transforms", "defs.sources"))
def test_transforms_know_narwhals_alone_of_the_frame_libraries(module: str):
    assert not FRAME_LIBRARIES & libraries(module)


def test_transforms_and_contracts_do_no_input_or_output():
    doing = {"os", "pathlib", "io", "shutil", "tempfile", "sqlalchemy", "duckdb", "subprocess", "socket"}
    assert {module for module in modules_of("transforms", "contracts") if doing & libraries(module)} == set()


def run_python(script: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_")}
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=clean | environment,
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_definitions_touches_no_file(tmp_path: Path):
    data = tmp_path / "data"
    script = "import retail_platform.definitions, retail_platform.loading; retail_platform.definitions.build_defs()"
    run_python(script, RETAIL_DATA_DIR=str(data), DAGSTER_HOME="")
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_files_waits_for_no_heavy_library():
    script = (
        "import retail_platform.cli, retail_platform.commands.look, sys, json; print(json.dumps(list(sys.modules)))"
    )
    loaded = {name.split(".")[0] for name in json.loads(run_python(script))}
    assert "retail_platform" in loaded
    assert {"dagster", "pandera", "pandas", "duckdb"} & loaded == set()
