"""One YAML file, read safely: its values, and the line of every key.

Values come from OmegaConf (`1e-3` is a number); the lines from a second pass over the YAML nodes, which OmegaConf does
not keep. What could take unbounded time or memory is refused before OmegaConf sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from yaml.reader import ReaderError

from .errors import Place, Problem, UserError

Key = tuple[str | int, ...]
MAX_BYTES, MAX_DEPTH, MAX_SETTINGS = 100_000, 40, 4_000
TEXT, TAGS = "tag:yaml.org,2002:str", "tag:yaml.org,2002:"
NOT_YAML = (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError)


def dotted(key: tuple[str | int, ...]) -> str:
    """Return a key as it is written in messages and overrides: `analyzers.0.count`."""
    return ".".join(map(str, key))


def quoted(value: Any) -> str:
    """Return a value as a recipe could write it, cut to what fits into a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


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
    places: dict[Key, Place] = {}
    try:
        node, loader = _compose(text)
        if node is None:
            raise UserError(Problem("is empty; a recipe has data, model, loss, optimizer, train", place=Place(name)))
        if not isinstance(node, yaml.MappingNode):
            raise UserError(Problem("must be a mapping of settings (key: value)", place=Place(name, _line(node))))
        places |= _places(node, loader, name)
        return OmegaConf.to_container(OmegaConf.create(text)), places  # type: ignore[return-value]  # the keys are text
    except NOT_YAML as error:
        raise UserError(_problem(error, text, name, places)) from error


def read_value(text: str) -> Any:
    """Return what `text` means as the YAML of one value. Raises ValueError that says what is wrong with it."""
    try:
        node, loader = _compose(text)
        if node is not None:
            _places(node, loader, "")
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[call-overload, index]
    except UserError as error:
        raise ValueError(str(replace(error.problems[0], place=None))) from error
    except NOT_YAML as error:
        raise ValueError(_problem(error, text, "", {}).message) from error


def _read_text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", place=Place(name))) from error
    if len(raw) > MAX_BYTES:
        raise UserError(Problem(f"is larger than {MAX_BYTES:,} bytes: no recipe", place=Place(name)))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(Problem("is not a text file (UTF-8)", place=Place(name))) from error


class _Composer(yaml.SafeLoader):
    """Composes nodes, and refuses what no recipe needs: hundreds of levels, tags, characters outside of Unicode."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            raise _refusal(f"a recipe has no tags such as {tag.replace(TAGS, '!!')}", event)
        if any("\ud800" <= character <= "\udfff" for character in getattr(event, "value", "")):
            raise _refusal("half of a surrogate pair is no character", event)
        if self.depth > MAX_DEPTH:
            raise _refusal(f"more than {MAX_DEPTH} levels", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


# OmegaConf reads 1e3 as a number, plain YAML 1.1 as text.
_Composer.add_implicit_resolver(f"{TAGS}float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789"))


def _refusal(message: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, message, event.start_mark)


def _compose(text: str) -> tuple[yaml.Node | None, _Composer]:
    loader = _Composer(text)
    return loader.get_single_node(), loader


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _places(node: yaml.Node, loader: _Composer, name: str) -> dict[Key, Place]:
    """Return the place of every key below `node`. Aliases are followed, so their sum is bounded."""
    places = {}
    for number, (key, place) in enumerate(_walk(node, loader, name)):
        if number >= MAX_SETTINGS or len(key) > MAX_DEPTH:
            what = f"more than {MAX_DEPTH} levels" if len(key) > MAX_DEPTH else f"more than {MAX_SETTINGS:,} settings"
            raise UserError(Problem(f"has {what}, aliases followed: no recipe", place=place))
        places[key] = place
    return places


def _walk(node: yaml.Node, loader: _Composer, name: str, key: Key = ()) -> Iterator[tuple[Key, Place]]:
    children: list[tuple[str | int, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        _refuse_duplicates(node, name, key)
        loader.flatten_mapping(node)  # `<<: *alias`
        for key_node, value in node.value:
            if key_node.tag != TEXT:
                what = f"the key '{key_node.value}'" if isinstance(key_node, yaml.ScalarNode) else "a key"
                raise UserError(Problem(f"{what} is not text", dotted(key), Place(name, _line(key_node))))
            children.append((key_node.value, key_node, value))
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    for part, written, value in children:
        yield (*key, part), Place(name, _line(written))
        yield from _walk(value, loader, name, (*key, part))


def _refuse_duplicates(node: yaml.MappingNode, name: str, key: Key) -> None:
    first: dict[str, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == TEXT:
            line = first.setdefault(key_node.value, _line(key_node))
            if key_node.start_mark != next(k for k, _ in node.value if k.value == key_node.value).start_mark:
                message = f"is given twice; the first is in line {line}"
                raise UserError(Problem(message, dotted((*key, key_node.value)), Place(name, _line(key_node))))
