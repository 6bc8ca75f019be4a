"""The resolved recipe as lines, those marked that the command line or the LR finder decided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..yamlfile import dotted, read_yaml


class Line(NamedTuple):
    """One line of the recipe; origin: who decided its value, if it was not the recipe."""

    text: str
    origin: str = ""


def annotated(path: Path, record: Mapping[str, Any]) -> list[Line]:
    """Return the recipe's lines. record: what run.json says of the recipe's `overrides` and what was `found`.

    Raises UserError where the file is none.
    """
    if not path.is_file():
        return []
    _, places, _ = read_yaml(path)
    origins = dict.fromkeys(record.get("overrides", ()), "command line")
    origins |= dict.fromkeys(record.get("found", ()), "found by the LR finder")
    marks = {place.line: origins[dotted(key)] for key, place in places.items() if dotted(key) in origins}
    return [Line(line, marks.get(number, "")) for number, line in enumerate(path.read_text().splitlines(), start=1)]
