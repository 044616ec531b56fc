"""Reads the declarations of sources (`defs/sources/<name>/defs.yaml`), without Dagster and without touching data."""

import ast
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from dagster_shared.yaml_utils import parse_yaml_with_source_position
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import BaseModel, ValidationError

from retail_platform.source_spec import HookSpec, SourceSpec

COMPONENT_TYPE = "retail_platform.components.source.RetailSource"
BUNDLED = Path(__file__).parent / "defs" / "sources"
FRAME_LIBRARIES = frozenset({"polars", "pandas", "pyarrow", "pyspark", "duckdb", "dask", "ibis"})


class DeclarationError(Exception):
    """A source is declared wrongly; the message names file, line, problem and what is allowed."""


class Words(NamedTuple):
    """What an entity's contract allows in a declaration."""

    columns: Sequence[str]
    rules: Sequence[str]


def load_sources(
    active: Collection[str] | None, *, words: Mapping[str, Words] | None = None, folder: Path = BUNDLED
) -> dict[str, SourceSpec]:
    """The declared sources by name, in alphabetical order.

    Args:
        active: The names of those wanted; all of them when None.
        words: By entity, the columns and rules its contract has; not checked when None (contracts are slow to import,
            and who only looks at files need not wait for them).
        folder: Where they are declared: one folder each, with a `defs.yaml`.

    Raises:
        DeclarationError: a declaration has a mistake, or an active source is not declared.
    """
    declared = {path.parent.name: path for path in sorted(folder.glob("*/defs.yaml"))}
    unknown = [name for name in active or () if name not in declared]
    if unknown:
        raise DeclarationError(f"RETAIL_SOURCES names {', '.join(unknown)}; declared are: {', '.join(declared)}")
    return {name: read_source(path, words=words) for name, path in declared.items() if active is None or name in active}


def read_source(path: Path, *, words: Mapping[str, Words] | None = None) -> SourceSpec:
    """Read one `defs.yaml`; `words` as in `load_sources`.

    Raises:
        DeclarationError: with every mistake in it.
    """
    try:
        parsed = parse_yaml_with_source_position(path.read_text(encoding="utf-8"), str(path))
    except yaml.YAMLError as error:
        raise DeclarationError(f"{path}: not YAML: {error}") from error
    document = parsed.value
    if not isinstance(document, dict) or document.get("type") != COMPONENT_TYPE:
        raise DeclarationError(f"{path}:1: expected `type: {COMPONENT_TYPE}` and `attributes:`")
    positions = parsed.source_position_tree
    try:
        spec = SourceSpec.model_validate(document.get("attributes"))
    except ValidationError as error:
        raise DeclarationError("\n".join(_explain(problem, positions) for problem in error.errors())) from error
    _check_hooks(path.parent, spec, positions)
    if words is not None:
        _check_entities(spec, words, positions)
    return spec


def load_hook(source: str, hook: HookSpec) -> Callable[[Any], Any]:
    """The Python function of a source: Narwhals lazy frame -> Narwhals lazy frame. Reading its file runs it."""
    module = importlib.import_module(f"retail_platform.defs.sources.{source}.{hook.module}")
    return getattr(module, hook.name)


def _check_hooks(folder: Path, spec: SourceSpec, positions: SourcePositionTree) -> None:
    """The functions are there, and keep to Narwhals; their files are parsed, not run."""
    for name, entity in spec.entities.items():
        if entity.hook is None:
            continue
        problem = _hook_problem(folder / f"{entity.hook.module}.py", entity.hook.name)
        if problem:
            raise DeclarationError(_at(positions, ["entities", name, "hook", "function"], problem))


def _hook_problem(file: Path, function: str) -> str:
    if not file.is_file():
        return f"there is no {file}: write the function {function} there"
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        return f"{file}:{error.lineno}: not Python: {error.msg}"
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in names:
        return f"{file} has no function {function}; it has {', '.join(names) or 'none'}"
    foreign = sorted(FRAME_LIBRARIES.intersection(_imported(tree)))
    return f"{file} imports {', '.join(foreign)}: a hook works on Narwhals frames alone" if foreign else ""


def _imported(tree: ast.Module) -> set[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return {name.split(".")[0] for name in names}


def _check_entities(spec: SourceSpec, words: Mapping[str, Words], positions: SourcePositionTree) -> None:
    for name, entity in spec.entities.items():
        allowed_words = words[spec.entity_of(name)]
        for section, used, allowed in (
            ("columns", entity.columns, allowed_words.columns),
            ("rules", entity.rules, allowed_words.rules),
        ):
            for word in used:
                if word not in allowed:
                    path = ["entities", name, section, word]
                    raise DeclarationError(_at(positions, path, _not_among(word, allowed)))


def _not_among(name: str, allowed: Sequence[str]) -> str:
    return f"{name!r} is not known here; allowed are: {', '.join(allowed)}"


def _explain(problem: Mapping[str, Any], positions: SourcePositionTree) -> str:
    path = [part for part in problem["loc"] if not _is_union_branch(part)]
    named = (problem.get("ctx") or {}).get("path")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = _not_among(str(path[-1]), _fields_at(path[:-1]))
    elif problem["type"] in {"string_type", "model_type"} and isinstance(problem["input"], bool | int | float | date):
        message += f", not {problem['input']!r}: in YAML yes, no, on, off, numbers and dates are text only in quotes"
    return _at(positions, [*path, *(named.split(".") if named else ())], message)


def _at(positions: SourcePositionTree, path: Sequence[str | int], message: str) -> str:
    position, _ = positions.lookup_closest_and_path(["attributes", *path], trace=None)
    where = ".".join(str(part) for part in path)
    return f"{position}: {where}: {message}" if where else f"{position}: {message}"


def _is_union_branch(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith(("function-", "ColumnSpec"))


def _fields_at(path: Sequence[str | int]) -> list[str]:
    """The words allowed in the object at a path of the declaration."""
    model: Any = SourceSpec
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[cast("str", part)].annotation
        model = _innermost_model(model) or model
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _innermost_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _innermost_model(argument)
        if found is not None:
            return found
    return None
