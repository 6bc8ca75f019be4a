"""The resolved recipe as lines, those marked that the command line or the LR finder decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Line(NamedTuple):
    """One line of the recipe; origin: who decided its value, if it was not the recipe."""

    text: str
    origin: str = ""


def annotated(path: Path, record: Mapping[str, Any]) -> list[Line]:
    """Return the recipe's lines. record: what run.json says of the recipe's `overrides` and what was `found`."""
    if not path.is_file():
        return []
    text = path.read_text()
    origins = dict.fromkeys(record.get("overrides", ()), "command line")
    origins |= dict.fromkeys(record.get("found", ()), "found by the LR finder")
    marks = dict(_lines(yaml.compose(text, Loader=yaml.SafeLoader)))
    places = {marks[key]: origin for key, origin in origins.items() if key in marks}
    return [Line(line, places.get(number, "")) for number, line in enumerate(text.splitlines())]


def _lines(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield each dotted key with the number of its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line
            yield from _lines(value, f"{name}.")
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield f"{prefix}{number}", value.start_mark.line
            yield from _lines(value, f"{prefix}{number}.")
