"""`${...}` becomes what it leads to: a value that is written, an environment variable, or the default of a setting.

There are two passes. The first sees what is written, and so settles which components there are; the second, for what
led nowhere, sees the defaults of these too. So a fallback (`oc.select`) stands in for what is not written, whether or
not there is a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ..errors import nearest
from ..nested import Key, leaves
from .yaml_text import dotted, literal

Defaults = Callable[[dict[str, Any]], Mapping[Key, Any]]
"""From the written values to the default of every setting that could stand beside them."""

NOT_YET, DEFAULTS = "${not_yet:}", "defaults"
MAX_TEXT, MAX_LINKS, NODE = 1_000_000, 40, 100
TOO_LONG = "what it leads to adds up to far more than a recipe"
TOO_FAR = "the values it leads to lead on to too many others"
EITHER = "${train.epochs} or ${oc.env:NAME,default}"
EXAMPLES = {  # by OmegaConf's function
    "decode": "${oc.decode:${oc.env:NAME}}",
    "env": "${oc.env:NAME,default}",
    "select": "${oc.select:train.epochs,default}",
}
WHOLE = "write the whole key, as in ${train.epochs}"
BROKEN = (OmegaConfBaseException, RecursionError)
PART = r"[^\s.:,\[\]{}$'\"\\]+"
PLAIN = re.compile(rf"(?<!\\)((?:\\\\)*)\$\{{\s*(\.*{PART}(?:\.{PART}|\[{PART}\])*)\s*\}}")
"""An interpolation of one key, `${train.epochs}`, with the backslashes before it (an odd number would escape it)."""


@dataclass(eq=False)
class DeadEnds(Exception):
    """Interpolations that lead nowhere, by their keys, each with the reason."""

    messages: Mapping[Key, str]


def interpolate(
    values: dict[str, Any], defaults: Defaults | None = None
) -> tuple[dict[str, Any], dict[Key, tuple[Key, ...]]]:
    """Return the values with every `${...}` resolved, and which of them took the defaults of which settings.

    defaults: if not given, what is not written is nowhere. Raises DeadEnds with all that lead nowhere.
    """
    shelf = DEFAULTS
    while shelf in values:
        shelf += "_"
    links = _Links({**values, shelf: []})
    left = links.follow(list(links.texts))
    known: Mapping[Key, Any] = {}
    reached: dict[Key, tuple[Key, ...]] = {}
    if left:
        written = links.written()
        known = defaults(written) if defaults else {}
        for key in left:
            if key[-1] != "use":
                reached[key] = _lead_to_defaults(links, key, written, known, shelf)
        left = links.follow(left)
    if messages := links.messages(left, known):
        raise DeadEnds(messages)
    result: Any = OmegaConf.to_container(links.config, resolve=True)
    del result[shelf]
    return result, {key: settings for key, settings in reached.items() if settings}


def _lead_to_defaults(links: _Links, key: Key, written: Any, known: Mapping[Key, Any], shelf: str) -> tuple[Key, ...]:
    """Let the interpolations at `key` of what is not written lead to its default instead; return whose these are."""
    found: list[Key] = []

    def lead(match: re.Match[str]) -> str:
        wanted = _absolute(match[2], key)
        length = next((end for end in range(len(wanted), 0, -1) if wanted[:end] in known), 0)
        if not length or _is_written(written, wanted[:length]):
            return match[0]
        found.append(wanted[:length])
        place = links.shelve(shelf, known[wanted[:length]])
        return f"{match[1]}${{{dotted((shelf, place, *wanted[length:]))}}}"

    links.texts[key] = PLAIN.sub(lead, links.texts[key])
    return tuple(found)


class _Links:
    """Resolves interpolations in bounded time.

    Each is read when all that it leads to has been read, and is a plain value from then on. So a chain of `${b}${b}`
    takes no longer than what it adds up to, and that is bounded: by the number of `${` in a value times all there is.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.config: Any = OmegaConf.create(values)
        self.texts: dict[Key, str] = {
            key: value for key, value in leaves(values) if isinstance(value, str) and ("${" in value or value == "???")
        }
        """What OmegaConf will interpolate, or what says that it is missing."""
        self.size = len(str(values))
        for key in self.texts:
            self._put(key, NOT_YET)

    def follow(self, left: list[Key]) -> list[Key]:
        """Resolve what can be; return the keys of what leads nowhere. Raises DeadEnds for what leads too far."""
        for _ in range(MAX_LINKS):
            before = left[::-1]
            left = [key for key in before if not self._resolve(key)]
            if len(left) in (0, len(before)):
                return left
        raise DeadEnds(dict.fromkeys(left, f"cannot be resolved: {TOO_FAR}"))

    def _resolve(self, key: Key) -> bool:
        if self.texts[key].count("${") * self.size > MAX_TEXT:
            raise DeadEnds({key: f"cannot be resolved: {TOO_LONG}"})
        self._put(key, self.texts[key])
        try:
            value = self._read(key)
        except BROKEN:
            self._put(key, NOT_YET)
            return False
        self._put(key, literal(value))
        self.size += _size(value)
        return True

    def shelve(self, shelf: str, value: Any) -> int:
        """Put a default where interpolations can lead to; return its index there."""
        self.config[shelf].append(literal(value))
        self.size += _size(value)
        return len(self.config[shelf]) - 1

    def written(self) -> dict[str, Any]:
        """Return the values; what leads nowhere yet is still an interpolation."""
        return OmegaConf.to_container(self.config)  # type: ignore[return-value]

    def messages(self, left: Iterable[Key], known: Mapping[Key, Any]) -> dict[Key, str]:
        """Say of each of these where it leads instead of to a value."""
        found = {}
        waiting = [key for key in self.texts if key in set(left)]
        for key in waiting:
            self._put(key, self.texts[key])
        keys = {key[:end] for key, _ in leaves(self.written()) for end in range(1, len(key) + 1)}
        names = {dotted(key) for key in (*keys, *known)}
        for key in waiting:
            try:
                self._read(key)
            except BROKEN as error:
                found[key] = _dead_end(error, partial(_no_key, key=key, names=names, defaults=known))
        return found

    def _read(self, key: Key) -> Any:
        """Return the plain value at `key`, interpolations in it resolved."""
        node = reduce(getitem, key, self.config)
        # A section may hold the interpolation that led to it: this finds out.
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node

    def _put(self, key: Key, value: Any) -> None:
        reduce(getitem, key[:-1], self.config)[key[-1]] = value


def _absolute(name: str, key: Key) -> Key:
    """Return the key that `name` means in an interpolation at `key`: `.lr` is a setting beside it."""
    bare = name.lstrip(".")
    dots = len(name) - len(bare)
    parts = re.sub(r"\[(.*?)\]", r".\1", bare).split(".")
    return (*(key[:-dots] if dots else ()), *(int(part) if part.isdecimal() else part for part in parts))


def _is_written(node: Any, key: Key) -> bool:
    """Tell whether there is a value at `key`, or an interpolation on the way that may lead to one."""
    for part in key:
        if isinstance(node, str) and "${" in node:
            return True
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _size(value: Any) -> int:
    """Return the characters of a value; each entry of a section or list counts as NODE more."""
    if isinstance(value, dict | list):
        return sum(NODE + _size(child) for child in (value.values() if isinstance(value, dict) else value))
    return len(str(value))


def _dead_end(error: Exception, no_key: Callable[[str], str]) -> str:
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
    if isinstance(error, InterpolationKeyError) and (wanted := re.search(r"'([^']+)'", reason)):
        reason = no_key(wanted[1])
    elif call := re.match(r"(\w+)\(\) (missing|takes|got)", reason):
        amount = "nothing" if call[2] == "missing" else "too much"
        reason = f"it is given {amount}; write {EXAMPLES.get(call[1], EITHER)}"
    elif str(error).startswith(("GrammarParseError", "AssertionError")):
        why = "it is empty, or ends too early" if re.search("<EOF>|WS", reason) else "a text in it needs quotes"
        reason = f"oc.decode cannot read what it is given: {why}"
    elif variable := re.search(r"Environment variable '(.+)' not found", reason):
        reason = f"{reason}; set it, or write ${{oc.env:{variable[1]},a default}}"
    elif reason.startswith("Unsupported interpolation type"):
        reason = f"{reason}; write {EITHER}"
    return f"cannot be resolved: {reason}"


def _no_key(wanted: str, key: Key, names: Iterable[str], defaults: Mapping[Key, Any]) -> str:
    """Say that there is no such key, and which one was probably meant."""
    absolute = _absolute(wanted, key)
    name = dotted(absolute)
    if absolute in defaults:
        only_written = "`use` needs a value that is written"
        return f"{name} has its default; {only_written if key[-1] == 'use' else WHOLE}"
    if name in names:
        return f"it has more dots than there are sections around it; write ${{{name}}}"
    near = nearest(name, names)
    hint = f"did you mean '{near}'?" if near else WHOLE
    return f"there is no key '{name}'; {hint}"
