"""From a recipe's file to plain values: `extends`, overrides, interpolation. Each key knows where it was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from .errors import Place, Problem, UserError, suggest
from .yamlfile import Key, dotted, quoted, read_value, read_yaml, shown

COMMAND_LINE = Place("command line")
OwnKeys = Mapping[str, frozenset[str]]
"""Section -> the keys in it that are the host's, not its component's: they survive a change of the component."""


@dataclass
class Source:
    """A recipe's values with the place of each key. notes: what a change of component dropped."""

    path: Path
    values: dict[str, Any]
    places: dict[Key, Place]
    plugins: list[tuple[str, Place, Path]] = field(default_factory=list)
    """What stands under `plugins:` in each file, where, and the folder that relative names start from."""
    notes: list[str] = field(default_factory=list)

    def place(self, key: Key) -> Place:
        """Return where `key` was written; a key that was not takes its parent's place."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return Place(shown(self.path))

    def problem(self, key: Key, message: str) -> Problem:
        return Problem(message, dotted(key), self.place(key))

    def forget(self, key: Key) -> None:
        """Drop the places of `key` and of all below it, because it is replaced."""
        for old in [old for old in self.places if old[: len(key)] == key]:
            del self.places[old]


def load_source(path: Path, overrides: Sequence[str], own_keys: OwnKeys, find: Callable[[str, Path], Path]) -> Source:
    """Read the recipe `path` and all that it extends, lay the overrides over it, resolve interpolations.

    find: (name under `extends`, folder of the recipe) -> file. Raises UserError.
    """
    source = _load_chain(path, own_keys, find, ())
    _apply(source, overrides, own_keys)
    source.values = _resolve(source)
    return source


def _load_chain(path: Path, own_keys: OwnKeys, find: Callable[[str, Path], Path], chain: tuple[Path, ...]) -> Source:
    source = Source(path, *read_yaml(path))
    named = source.values.pop("plugins", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise UserError(
            source.problem(("plugins",), f"must be a list of module names and ./file.py, got {quoted(named)}")
        )
    source.plugins = [(name, source.place(("plugins", index)), path.parent) for index, name in enumerate(named)]
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
    return _overlay(_load_chain(file, own_keys, find, chain), source, own_keys)


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
    key: Key = tuple(int(part) if part.isdecimal() else part for part in name.strip().split("."))
    if not equals or "" in key or isinstance(key[0], int) or not name.isprintable():
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
        source.notes.append(f"{dotted(key)}: '{node['use']}' became '{value}', so {', '.join(dropped)} went with it")
    source.forget(key)
    source.places[key] = COMMAND_LINE
    node[key[-1]] = value


def _check_step(node: Any, here: Key, part: str | int) -> None:
    if isinstance(node, list):
        if not isinstance(part, int) or part > len(node):
            have = f"its entries are 0 to {len(node) - 1}" if node else "it has no entries"
            raise ValueError(f"{dotted(here)} is a list and {part!r} is not in it; {have}")
    elif not isinstance(node, dict):
        raise ValueError(f"{dotted(here)} is {quoted(node)}, which has no settings of its own")
    elif isinstance(part, int):
        raise ValueError(f"{dotted(here)} is a section, not a list: {part} is no setting of it")


def _resolve(source: Source) -> dict[str, Any]:
    """Resolve `${...}` everywhere; those that lead nowhere are reported all at once."""
    config = OmegaConf.create(source.values)
    problems = []
    for key in _interpolations(source.values):
        node: Any = config
        try:
            for part in key:
                node = node[part]
            if OmegaConf.is_config(node):
                OmegaConf.to_container(node, resolve=True)  # a section may hold the interpolation that led to it
        except (OmegaConfBaseException, RecursionError) as error:
            problems.append(source.problem(key, _dead_end(error, source)))
    if problems:
        raise UserError(problems)
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def _dead_end(error: Exception, source: Source) -> str:
    """Say where an interpolation led instead of to a value."""
    reason = str(error).partition("\n")[0]
    if isinstance(error, MissingMandatoryValue):
        return "must be given: ??? stands for a value that is still missing"
    if isinstance(error, InterpolationToMissingValueError):
        return "cannot be resolved: it leads to ???, a value that is still missing"
    if isinstance(error, RecursionError) or "Recursive" in reason or "parent node" in reason:
        return "cannot be resolved: it leads back to itself"
    if wrapped := re.search(r'raised while resolving interpolation: "?(.*?)"?$', reason):
        reason = wrapped[1]
    hint = ""
    if isinstance(error, InterpolationKeyError) and (wanted := re.search(r"'(.+)'", reason)):
        hint = suggest(wanted[1], map(dotted, source.places), list_all=False)
    return f"cannot be resolved: {reason}{hint}"


def _interpolations(value: Any, key: Key = ()) -> Iterator[Key]:
    """Yield the key of every value that OmegaConf will interpolate, or that says it is missing (`???`)."""
    if isinstance(value, dict | list):
        for part, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _interpolations(child, (*key, part))
    elif isinstance(value, str) and ("${" in value or value == "???"):
        yield key
