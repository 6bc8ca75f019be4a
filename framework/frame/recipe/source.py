"""From a recipe's file to plain values: `extends`, overrides, interpolation. Each key knows where it was written."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Code, Level, Place, Problem, UserError, refuse, shown
from ..nested import Key
from ..plugins.trust import run_around
from .interpolation import DeadEnds, Defaults, interpolate
from .yaml_text import dotted, quoted, read_value, read_yaml

COMMAND_LINE = Place("command line")
MAX_CHAIN = 40
ONLY_VARIABLES = "cannot be resolved: it takes environment variables only, as in ${oc.env:BASE}"
OF_A_FILE = ("extends", "plugins")
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
    anchored: frozenset[str] = frozenset()
    """The keys at a file's top that have an anchor at or below them."""
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

    def problem(self, key: Key, message: str, level: Level = "error", code: Code = "bad-value") -> Problem:
        return Problem(message, dotted(key), self.place(key), level, code)

    def resolve_interpolations(self, defaults: Defaults | None = None) -> None:
        """Put what each `${...}` leads to in its place. Raises UserError that says of every dead end where it leads."""
        try:
            self.values, self.reached = interpolate(self.values, defaults)
        except DeadEnds as error:
            found = error.messages.items()
            raise UserError([self.problem(key, text, code="bad-interpolation") for key, text in found]) from error

    def forget(self, key: Key) -> None:
        """Drop the places of `key` and of all below it, because it is replaced."""
        if key in self.places:
            for old in [old for old in self.places if old[: len(key)] == key]:
                del self.places[old]


@dataclass(frozen=True)
class Change:
    """A value that is put at a key, whatever stands there: an override, or a key with dots in a file.

    places: where it was written; the keys start from its own, which is ().
    """

    key: Key
    value: Any
    places: Mapping[Key, Place]


def read_source(path: Path, overrides: Sequence[str], own_keys: OwnKeys, find: Callable[[str, Path], Path]) -> Source:
    """Read the recipe `path` and all that it extends, and lay the overrides over it; its `${...}` stay as they are.

    find: (name under `extends`, folder of the recipe) -> file. Raises UserError.
    """
    source = load_chain(path, own_keys, find)
    changes, problems = [], []
    for text in overrides:
        try:
            changes.append(_parse(text))
        except ValueError as error:
            problems.append(Problem(str(error), place=COMMAND_LINE, code="bad-override"))
    _apply(source, changes, own_keys, problems)
    return source


def load_chain(
    path: Path,
    own_keys: OwnKeys,
    find: Callable[[str, Path], Path],
    chain: tuple[Path, ...] = (),
    run: Path | None = None,
) -> Source:
    """Read the recipe `path` and all that it extends; `read_source` lays the overrides over it."""
    values, places, anchored, _ = read_yaml(path)
    source, run = Source(path, values, places, anchored=anchored), run_around(path) or run
    changes, problems = _take_changes(source)
    named = source.values.pop("plugins", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise UserError(
            source.problem(("plugins",), f"must be a list of module names and ./file.py, got {quoted(named)}")
        )
    source.plugins = [(name, source.place(("plugins", index)), path.parent, run) for index, name in enumerate(named)]
    if "extends" in source.values:
        file = _parent(source, source.values.pop("extends"), find)
        chain = _longer(chain, file, source)
        source = _overlay(load_chain(file, own_keys, find, chain, run), source, own_keys)
    _apply(source, changes, own_keys, problems)
    return source


def _parent(source: Source, named: Any, find: Callable[[str, Path], Path]) -> Path:
    """Return the file that a recipe extends. Its name may hold environment variables."""
    if not isinstance(named, str):
        raise UserError(_bad_extends(source, f"must be a file name, got {quoted(named)}"))
    try:
        values, _ = interpolate({"extends": named})
        return find(str(values["extends"]), source.path.parent)
    except DeadEnds as error:
        message = error.messages[("extends",)] if "oc.env" in named else ONLY_VARIABLES
        raise UserError(_bad_extends(source, message)) from error
    except UserError as error:
        raise UserError(source.problem(("extends",), str(error), code=error.code)) from error


def _bad_extends(source: Source, message: str) -> Problem:
    return source.problem(("extends",), message, code="bad-extends")


def _longer(chain: tuple[Path, ...], file: Path, source: Source) -> tuple[Path, ...]:
    """Return the chain of recipes with this one, which extends `file`. Raises UserError for a circle."""
    chain = (*chain, source.path.resolve())
    if file.resolve() in chain:
        circle = " -> ".join(shown(p) for p in (*chain[chain.index(file.resolve()) :], file))
        raise UserError(_bad_extends(source, f"recipes extend each other in a circle: {circle}"))
    if len(chain) > MAX_CHAIN:
        raise UserError(_bad_extends(source, f"more than {MAX_CHAIN} recipes extend each other"))
    return chain


def _take_changes(source: Source) -> tuple[list[Change], list[Problem]]:
    """Take the keys with dots out of a file's values. What is wrong with them is returned too."""
    taken = {name: source.values.pop(name) for name in list(source.values) if "." in name}
    places: dict[str, dict[Key, Place]] = {name: {} for name in taken}
    for key in [key for key in source.places if key[0] in taken]:
        places[str(key[0])][key[1:]] = source.places.pop(key)
    changes, problems = [], []
    for name, value in taken.items():
        at = places[name][()]
        try:
            key = _key(name)
        except ValueError as error:
            problems.append(Problem(str(error), place=at, code="bad-override"))
            continue
        wrong = ""
        if not key:
            wrong = "is no key with dots, such as train.epochs"
        elif key[0] in OF_A_FILE:
            wrong = f"{key[0]} is given as a whole, in each file for itself"
        elif first := source.places.get(key):
            wrong = f"is given twice, first in line {first.line}"
        if wrong:
            problems.append(Problem(wrong, name, at, code="bad-override"))
        else:
            changes.append(Change(key, value, places[name]))
    return changes, problems


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
    anchored = base.anchored | top.anchored
    return Source(top.path, base.values, base.places | top.places, base.plugins + top.plugins, anchored)


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


def _parse(text: str) -> Change:
    name, equals, value = text.partition("=")
    key = _key(name.strip())
    if not equals or not key or not name.isprintable():
        raise ValueError(f"{quoted(text)}: an override is written key=value, for example train.epochs=5")
    if key[0] in OF_A_FILE:
        raise ValueError(f"{key[0]}: belongs into the recipe's file and cannot be overridden")
    try:
        return Change(key, read_value(value), {(): COMMAND_LINE})
    except ValueError as error:
        raise ValueError(f"{name}: {quoted(value)} {error}") from error


def _key(name: str) -> Key:
    """Return the key that is written with dots, `analyzers.1.count`; () for what is none. Raises ValueError for [1]."""
    if re.search(r"\[\d+\]", name):
        dots = re.sub(r"\[(\d+)\]", r".\1", name)
        raise ValueError(f"{quoted(name)}: entries of a list are written with dots, as in {dots}")
    key = undotted(name)
    return () if not key or "" in key or isinstance(key[0], int) else key


def _apply(source: Source, changes: Sequence[Change], own_keys: OwnKeys, problems: list[Problem]) -> None:
    """Make the changes. Raises UserError with `problems`, found on the way to them, and those of the changes."""
    for change in _uses_first(changes):
        try:
            _assign(source, change, own_keys)
        except ValueError as error:
            problems.append(Problem(str(error), dotted(change.key), change.places[()], code="bad-override"))
    refuse(problems)


def _uses_first(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes in their order, but that of a component before those in its section, which are for the new one."""
    uses: dict[Key, list[Change]] = defaultdict(list)
    for change in changes:
        if change.key[-1] == "use":
            uses[change.key[:-1]].append(change)
    for change in changes:
        for end in range(len(change.key)):
            yield from uses.pop(change.key[:end], ())
        if change.key[-1] != "use":
            yield change


def _assign(source: Source, change: Change, own_keys: OwnKeys) -> None:
    """Set one key, making the sections and the next list entry on the way where they are missing."""
    key, value, place = change.key, change.value, change.places[()]
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
            source.places[key[: depth + 1]] = place
        node = node[part]
    dropped = _drop_old_settings(source, node, key[:-1], value, own_keys) if key[-1] == "use" else []
    if dropped and place == COMMAND_LINE:
        message = f"'{node['use']}' became '{value}', so {', '.join(dropped)} went with it"
        source.warnings.append(Problem(message, dotted(key), COMMAND_LINE, "warning", "bad-value"))
    source.forget(key)
    source.places |= {(*key, *at): where for at, where in change.places.items()}
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
