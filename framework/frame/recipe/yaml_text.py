"""One YAML file, read safely: its values, and the line of every key.

Values come from OmegaConf (`1e-3` is a number, aliases are bounded); the lines from a second pass over the YAML nodes,
which OmegaConf does not keep. That pass also refuses what no recipe needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from ..errors import Place, Problem, UserError, shown
from ..nested import Key, each_text
from ..secrets import hide_secrets, secret_variables
from .yaml_errors import Surprise, mistake, not_interpolated

MAX_BYTES, MAX_DEPTH, MAX_DIGITS = 100_000, 40, 400
TAGS = "tag:yaml.org,2002:"
TEXT, NUMBER, FLOAT, MERGE = f"{TAGS}str", f"{TAGS}int", f"{TAGS}float", f"{TAGS}merge"
NOT_YAML = (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError)


def dotted(key: Key) -> str:
    """Return a key as it is written in messages and overrides: `analyzers.0.count`."""
    return ".".join(map(str, key))


def quoted(value: Any) -> str:
    """Return a value as a recipe could write it, cut to what fits into a message; half a secret is hidden too."""
    text = hide_secrets(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else text[:57] + "..."


def literal(value: Any) -> Any:
    """Return what OmegaConf reads as `value`, even where that holds a `${` of its own."""
    return each_text(value, lambda text: re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def written(value: Any) -> Any:
    """Return a value as a recipe writes it: `${oc.env:NAME}` in place of each secret, any other `${` escaped."""
    return each_text(value, _with_variables)


def _with_variables(text: str) -> str:
    known = secret_variables()
    if not any(secret in text for secret in known):
        return literal(text)
    parts = re.split(f"({'|'.join(map(re.escape, known))})", text)  # text, secret, text, secret, ..., text
    for index in range(0, len(parts) - 1, 2):  # a backslash before ${ would escape it
        parts[index] = re.sub(r"\\+\Z", r"\g<0>\g<0>", literal(parts[index]))
        parts[index + 1] = f"${{oc.env:{_argument(known[parts[index + 1]])}}}"
    return "".join([*parts[:-1], literal(parts[-1])])


def _argument(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"


ANCHORS = "x-"
"""Begins the keys at a file's top that are there for the anchors below them, as in files of Docker Compose."""
RECIPE = "a recipe has data, model, loss, optimizer, train"


class YamlFile(NamedTuple):
    """What a file says: values, interpolations unresolved, the place of each key, the keys at its top with anchors."""

    values: dict[str, Any]
    places: dict[Key, Place]
    anchored: frozenset[str]
    text: str


def read_yaml(path: Path, holds: str = RECIPE) -> YamlFile:
    """Read a file; keys at its top that begin with `x-` are left out.

    holds: what an empty file's author is told. Raises UserError if it is no settings.
    """
    name = shown(path)
    text = _read_text(path, name)
    try:
        composer = _Composer(text)
        node = composer.get_single_node()
        if node is None:
            raise UserError(Problem(f"is empty; {holds}", place=Place(name), code="bad-yaml"))
        if not isinstance(node, yaml.MappingNode):
            message = "must be a mapping of settings (key: value)"
            raise UserError(Problem(message, place=Place(name, _line(node)), code="bad-yaml"))
        values = _values(text, node, name)  # bounds what aliases add up to, and so comes before `_places`
        node.value = [(key, value) for key, value in node.value if not key.value.startswith(ANCHORS)]
        values = {key: value for key, value in values.items() if not key.startswith(ANCHORS)}
        return YamlFile(values, dict(_places(node, name)), frozenset(composer.anchored), text)
    except NOT_YAML as error:
        message, line = mistake(error, text)
        raise UserError(Problem(message, place=Place(name, line), code="bad-yaml")) from error


def _values(text: str, node: yaml.Node, name: str) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(OmegaConf.create(text))  # type: ignore[return-value]  # all keys are text
    except GrammarParseError as error:
        written = {_full(key): (key, place) for key, place in _places(node, name)}
        key, place = written.get(str(error.full_key), ((), Place(name)))
        raise UserError(Problem(not_interpolated(error), dotted(key), place, code="bad-interpolation")) from error


def read_value(text: str) -> Any:
    """Return what `text` means as the YAML of one value. Raises ValueError that says what is wrong with it."""
    try:
        _compose(text)
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[call-overload, index]
    except GrammarParseError as error:
        raise ValueError(not_interpolated(error)) from error
    except NOT_YAML as error:
        raise ValueError(mistake(error, text)[0]) from error
    _refuse_what_is_lost(text)
    return value


def _refuse_what_is_lost(text: str) -> None:
    """Raise ValueError where YAML would drop a part of a single value: a comment, or an anchor that nothing uses."""
    tokens = list(yaml.scan(text))
    starts = [token.start_mark.index for token in tokens[1:]]
    if any("#" in text[token.end_mark.index : start] for token, start in zip(tokens, starts, strict=False)):
        raise ValueError(f"holds a comment, from # on; for text, use quotes within quotes: {_in_quotes(text)}")
    kinds = {type(token) for token in tokens}
    if yaml.AnchorToken in kinds and yaml.AliasToken not in kinds:
        raise ValueError(f"holds an anchor, from & on; for text, use quotes within quotes: {_in_quotes(text)}")


def _in_quotes(text: str) -> str:
    return f"'{json.dumps(hide_secrets(text), ensure_ascii=False)}'"


def _read_text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", place=Place(name), code="cannot-read")) from error
    if len(raw) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES:,} bytes: no recipe"
        raise UserError(Problem(message, place=Place(name), code="bad-yaml"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "is not a text file; save it as UTF-8"
        raise UserError(Problem(message, place=Place(name), code="bad-yaml")) from error


def places(text: str) -> dict[Key, Place]:
    """Return the place of each key in the text of a recipe that was read before; the places have no file."""
    return dict(_places(node, "")) if (node := _compose(text)) else {}


class _Composer(yaml.SafeLoader):
    """Composes nodes, and refuses what no recipe needs: hundreds of levels, tags, a key twice, half characters."""

    depth = 0
    section = ""
    """The key at the top that is being composed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchored: set[str] = set()
        """The keys at the top that have an anchor at or below them."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            raise _refusal(f"a recipe has no tags such as {tag.replace(TAGS, '!!')}", event)
        if any("\ud800" <= character <= "\udfff" for character in getattr(event, "value", "")):
            raise _refusal("half of a surrogate pair is no character", event)
        if self.depth > MAX_DEPTH:
            raise _refusal(f"more than {MAX_DEPTH} levels", event)
        if self.depth == 1 and isinstance(index, yaml.ScalarNode):
            self.section = index.value
        if not isinstance(event, yaml.AliasEvent) and getattr(event, "anchor", None):
            self.anchored.add(self.section)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and not isinstance(event, yaml.AliasEvent):
            if node.tag == NUMBER and len(node.value) > MAX_DIGITS:
                raise _refusal(f"a number of {len(node.value):,} characters", event)  # Python cannot write it out
            is_key = parent is not None and index is None  # must be text, and is told so
            if node.tag in (NUMBER, FLOAT) and not is_key and (meaning := _hidden_base(node.value)):
                raise Surprise(None, None, meaning, event.start_mark)
            if event.anchor and event.implicit[0] and not node.value:
                raise _refusal(
                    f"&{event.anchor} marks the value behind it, and there is none; text needs quotes", event
                )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag not in (TEXT, MERGE):
                what = key.value if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                hint = "; a decimal number has a point, no comma" if what.isdecimal() and value.value == "" else ""
                raise _refusal(f"a key must be text, not {what}{hint}", key)
            if key.value in lines:
                raise _refusal(f"the key '{key.value}' is given twice, first in line {lines[key.value]}", key)
            lines[key.value] = _line(key)
        self.flatten_mapping(node)  # `<<: *alias`; a key of its own comes after those and counts
        node.value = list({key.value: (key, value) for key, value in node.value}.values())
        return node


# OmegaConf reads 1e3 as a number, plain YAML 1.1 as text.
_Composer.add_implicit_resolver(f"{TAGS}float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789"))


def _hidden_base(number: str) -> str | None:
    """Say what YAML makes of a number that looks decimal, or like a time, and is neither; None of all others."""
    digits = number.replace("_", "")
    if ":" in digits:
        sign, parts = digits[:1] * digits.startswith("-"), digits.lstrip("+-").split(":")
        value = sum(Decimal(part) * 60**power for power, part in enumerate(reversed(parts)))
        return f"YAML takes {number} for a number in base 60; write {sign}{value:f}, or '{number}' for text"
    if octal := re.fullmatch(r"([-+]?)0+([0-7]+)", digits):
        meant = f"{octal[1]}{octal[2].lstrip('0') or 0}"
        return f"YAML takes {number} for {int(digits, 8)}, in base 8; write {meant}, or '{number}' for text"
    return None


def _refusal(message: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, message, at.start_mark)


def _compose(text: str) -> yaml.Node | None:
    return _Composer(text).get_single_node()


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _places(node: yaml.Node, name: str, key: Key = ()) -> Iterator[tuple[Key, Place]]:
    """Yield every key below `node` with its place. Aliases are followed."""
    children: list[tuple[str | int, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(written.value, written, value) for written, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    for part, written, value in children:
        yield (*key, part), Place(name, _line(written))
        yield from _places(value, name, (*key, part))


def _full(key: Key) -> str:
    """Return a key as OmegaConf writes it: `analyzers[0].count`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
