"""From a recipe's file to plain values: `extends`, overrides, interpolation. Each key knows where it was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Level, Place, Problem, UserError, shown
from .interpolation import DeadEnds, Defaults, interpolate, no_defaults
from .trust import run_around
from .yamlfile import Key, dotted, quoted, read_value, read_yaml

COMMAND_LINE = Place("command line")
MAX_CHAIN = 40
OwnKeys = Mapping[str, frozenset[str]]
"""Section -> the keys in it that are the host's, not its component's: they survive a change of the component."""


@dataclass
class Source:
    """A recipe's values with the place of each key."""

    path: Path
    values: dict[str, Any]
    places: dict[Key, Place]
    plugins: list[tuple[str, Place, Path, Path | None]] = field(default_factory=list)
    """What stands under `plugins:` in each file, where, the folder that relative names start from, and the run's folder
    that has the file, or the file that extends it."""
    warnings: list[Problem] = field(default_factory=list)
    """What a change of component by an override dropped."""
    reached: dict[Key, tuple[Key, ...]] = field(default_factory=dict)
    """Key of an interpolated value -> the settings whose defaults it took."""

    def place(self, key: Key) -> Place:
        """Return where `key` was written; a key that was not takes its parent's place."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return Place(shown(self.path))

    def problem(self, key: Key, message: str, level: Level = "error") -> Problem:
        return Problem(message, dotted(key), self.place(key), level)

    def placed(self, found: Problem, key: Key) -> Problem:
        """Return what a component found in its settings, which stand under `key`: with its whole key and its place."""
        return self.problem((*key, *undotted(found.key)), found.message, found.level)

    def settle(self, defaults: Defaults = no_defaults) -> None:
        """Put what each `${...}` leads to in its place. Raises UserError that says of every dead end where it leads."""
        try:
            self.values, self.reached = interpolate(self.values, defaults)
        except DeadEnds as error:
            raise UserError([self.problem(key, message) for key, message in error.messages.items()]) from error

    def forget(self, key: Key) -> None:
        """Drop the places of `key` and of all below it, because it is replaced."""
        for old in [old for old in self.places if old[: len(key)] == key]:
            del self.places[old]


def read_source(path: Path, overrides: Sequence[str], own_keys: OwnKeys, find: Callable[[str, Path], Path]) -> Source:
    """Read the recipe `path` and all that it extends, and lay the overrides over it; `settle` resolves its `${...}`.

    find: (name under `extends`, folder of the recipe) -> file. Raises UserError.
    """
    source = load_chain(path, own_keys, find)
    _apply(source, overrides, own_keys)
    return source


def load_chain(
    path: Path,
    own_keys: OwnKeys,
    find: Callable[[str, Path], Path],
    chain: tuple[Path, ...] = (),
    run: Path | None = None,
) -> Source:
    """Read the recipe `path` and all that it extends; `read_source` lays the overrides over it."""
    source, run = Source(path, *read_yaml(path)), run_around(path) or run
    named = source.values.pop("plugins", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise UserError(
            source.problem(("plugins",), f"must be a list of module names and ./file.py, got {quoted(named)}")
        )
    source.plugins = [(name, source.place(("plugins", index)), path.parent, run) for index, name in enumerate(named)]
    if "extends" not in source.values:
        return source
    parent = source.values.pop("extends")
    if not isinstance(parent, str):
        raise UserError(source.problem(("extends",), f"must be a file name, got {quoted(parent)}"))
    try:
        file = find(parent, path.parent)
    except UserError as error:
        raise UserError(source.problem(("extends",), str(error))) from error
    chain = (*chain, path.resolve())
    if file.resolve() in chain:
        circle = " -> ".join(shown(p) for p in (*chain[chain.index(file.resolve()) :], file))
        raise UserError(source.problem(("extends",), f"recipes extend each other in a circle: {circle}"))
    if len(chain) > MAX_CHAIN:
        raise UserError(source.problem(("extends",), f"more than {MAX_CHAIN} recipes extend each other"))
    return _overlay(load_chain(file, own_keys, find, chain, run), source, own_keys)


def undotted(text: str) -> Key:
    """Return the key that is written so."""
    return tuple(int(part) if part.isdecimal() else part for part in text.split(".")) if text else ()


def _overlay(base: Source, top: Source, own_keys: OwnKeys) -> Source:
    """Lay a recipe over the one that it extends: mappings merge, everything else replaces."""

    def merge(below: dict[str, Any], above: dict[str, Any], key: Key) -> None:
        if "use" in above:
            _drop_old_settings(base, below, key, above["use"], own_keys)
        for name, value in above.items():
            if isinstance(value, dict) and isinstance(below.get(name), dict):
                merge(below[name], value, (*key, name))
            else:
                base.forget((*key, name))
                below[name] = value

    merge(base.values, top.values, ())
    return Source(top.path, base.values, base.places | top.places, base.plugins + top.plugins)


def _drop_old_settings(source: Source, node: dict[str, Any], key: Key, use: Any, own_keys: OwnKeys) -> list[str]:
    """Where `node` changes its component, drop the settings of the old one; return their names."""
    if node.get("use", use) == use:
        return []
    keep = own_keys.get(dotted(key), frozenset()) | {"use"}
    dropped = [name for name in node if name not in keep]
    for name in dropped:
        del node[name]
        source.forget((*key, name))
    return dropped


def _apply(source: Source, overrides: Sequence[str], own_keys: OwnKeys) -> None:
    problems = []
    assignments = []
    for text in overrides:
        try:
            assignments.append(_parse(text))
        except ValueError as error:
            problems.append(Problem(str(error), place=COMMAND_LINE))
    # A change of component comes first, so that settings for the new one can stand before or after it.
    for key, value in sorted(assignments, key=lambda item: item[0][-1] != "use"):
        try:
            _assign(source, key, value, own_keys)
        except ValueError as error:
            problems.append(Problem(str(error), dotted(key), COMMAND_LINE))
    if problems:
        raise UserError(problems)


def _parse(text: str) -> tuple[Key, Any]:
    name, equals, value = text.partition("=")
    if index := re.search(r"\[(\d+)\]", name):
        dots = name.replace(index[0], f".{index[1]}")
        raise ValueError(f"{quoted(text)}: entries of a list are written with dots, as in {dots}=")
    key = undotted(name.strip())
    if not equals or not key or "" in key or isinstance(key[0], int) or not name.isprintable():
        raise ValueError(f"{quoted(text)}: an override is written key=value, for example train.epochs=5")
    if key[0] in ("extends", "plugins"):
        raise ValueError(f"{key[0]}: belongs into the recipe's file and cannot be overridden")
    try:
        return key, read_value(value)
    except ValueError as error:
        raise ValueError(f"{name}: {quoted(value)} {error}") from error


def _assign(source: Source, key: Key, value: Any, own_keys: OwnKeys) -> None:
    """Set one key, making the sections and the next list entry on the way where they are missing."""
    node: Any = source.values
    part: Any
    for depth, part in enumerate(key):
        here, last = key[:depth], depth == len(key) - 1
        _check_step(node, here, part)
        if isinstance(node, list) and part == len(node):
            node.append(None)
        if last:
            break
        if isinstance(node, dict):
            node.setdefault(part, None)
        if node[part] is None:
            node[part] = [] if isinstance(key[depth + 1], int) else {}
            source.places[key[: depth + 1]] = COMMAND_LINE
        node = node[part]
    if key[-1] == "use" and (dropped := _drop_old_settings(source, node, key[:-1], value, own_keys)):
        message = f"'{node['use']}' became '{value}', so {', '.join(dropped)} went with it"
        source.warnings.append(Problem(message, dotted(key), COMMAND_LINE, "warning"))
    source.forget(key)
    source.places[key] = COMMAND_LINE
    node[key[-1]] = value


def _check_step(node: Any, here: Key, part: str | int) -> None:
    if isinstance(node, list):
        if not isinstance(part, int) or part > len(node):
            have = ("it is empty", "there is 0")[len(node)] if len(node) < 2 else f"there is 0 to {len(node) - 1}"
            raise ValueError(f"{dotted(here)} is a list that has no entry '{part}': {have}; {len(node)} adds one")
    elif not isinstance(node, dict):
        raise ValueError(f"{dotted(here)} is {quoted(node)}, which has no settings of its own")
    elif isinstance(part, int):
        raise ValueError(f"{dotted(here)} is a section, not a list: {part} is no setting of it")
