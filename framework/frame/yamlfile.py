"""One YAML file, read safely: its values, and the line of every key.

Values come from OmegaConf (`1e-3` is a number, duplicate keys are refused); the lines from a second pass over the YAML
nodes, which OmegaConf does not keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .errors import Place, Problem, UserError

Key = tuple[str | int, ...]
MAX_BYTES, MAX_DEPTH, MAX_ALIASES = 1_000_000, 40, 100


def dotted(key: tuple[str | int, ...]) -> str:
    """Return a key as it is written in messages and overrides: `analyzers.0.count`."""
    return ".".join(map(str, key))


def shown(path: Path) -> str:
    """Return a path as the user would type it: relative to the current folder where it lies under it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[Key, Place]]:
    """Return a file's values, interpolations unresolved, and the place of each key; UserError if it is no recipe."""
    name = shown(path)
    text = _read_text(path, name)
    try:
        _check_size(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise UserError(Problem("is empty; a recipe has data, model, loss, optimizer", place=Place(name)))
        if not isinstance(node, yaml.MappingNode):
            raise UserError(Problem("must be a mapping of settings (key: value)", place=Place(name, _line(node))))
        places = dict(_places(node, name))
        values = OmegaConf.to_container(OmegaConf.create(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = (error.problem or error.context or "").replace("found duplicate key", "duplicate key")
        problem = Problem(f"is not valid YAML: {reason}", place=Place(name, mark.line + 1 if mark else None))
        raise UserError(problem) from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        problem = Problem(f"is not valid YAML: {str(error).splitlines()[0]}", place=Place(name))
        raise UserError(problem) from error
    return values, places  # type: ignore[return-value]  # _places has seen that the keys are text


def _read_text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", place=Place(name))) from error
    if len(raw) > MAX_BYTES:
        raise UserError(Problem(f"is larger than {MAX_BYTES:,} bytes: no recipe", place=Place(name)))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise UserError(Problem("is not a text file (UTF-8)", place=Place(name))) from error


def _check_size(text: str, name: str) -> None:
    """Refuse what would take unbounded time or memory to build: hundreds of levels, aliases by the hundred."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            what = f"more than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_ALIASES} aliases"
            raise UserError(Problem(f"has {what}: no recipe", place=Place(name, _line(event))))


def _line(node: yaml.Node | yaml.Event) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _places(node: yaml.Node, name: str, key: Key = ()) -> Iterator[tuple[Key, Place]]:
    """Yield the place of every key below `node`; keys that are not text are refused."""
    children: list[tuple[str | int, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if key_node.tag != "tag:yaml.org,2002:str":
                problem = Problem(f"the key {key_node.value!r} is not text", dotted(key), Place(name, _line(key_node)))
                raise UserError(problem)
            children.append((key_node.value, key_node, value))
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    for part, written, value in children:
        yield (*key, part), Place(name, _line(written))
        yield from _places(value, name, (*key, part))
