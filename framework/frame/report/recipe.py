"""The resolved recipe as lines, those marked that the command line or the LR finder decided."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from ..nested import Key
from ..recipe.yaml_text import YamlFile, dotted, places, read_yaml
from ..secrets import SHORTEST, hide_secrets, hide_settings, known_secrets, secret_settings

ORIGINS = {"overrides": "command line", "found": "found by the LR finder", "swept": "the sweep"}
"""Who decides values, in words, by what a run's record, or a sweep, calls their keys."""


class Line(NamedTuple):
    """One line of the recipe; origin: who decided its value, if it was not the recipe."""

    text: str
    origin: str = ""


class Change(NamedTuple):
    """A value that was not the recipe's own: its whole key, itself as a recipe could write it, and who decided it."""

    key: str
    value: str
    origin: str


def read_recipe(path: Path) -> YamlFile | None:
    """Return the resolved recipe, None where there is no such file. Raises UserError where it is damaged."""
    return read_yaml(path) if path.is_file() else None  # a pipe would be waited for


def without_secrets(recipe: YamlFile, page: dict[str, Any]) -> dict[str, Any]:
    """Return what a page shows without what stands under a secret's name in the recipe, whoever says it.

    Plain words stay: `label_key: labels` is no secret, and its word is in harmless text.
    """
    named = [text for text in secret_settings(recipe.values) if len(text) >= SHORTEST]
    secrets = [text for text in named if not re.fullmatch("[a-z_]+", text)]
    return hide_secrets(page, secrets) if secrets else page


def annotated(recipe: YamlFile, record: Mapping[str, Any]) -> list[Line]:
    """Return the recipe's lines, without secrets.

    record: what run.json says of the recipe's `overrides` and what was `found`.
    """
    text, known, hidden = recipe.text, recipe.places, hide_settings(recipe.values, known_secrets())
    if hidden != recipe.values:
        text = OmegaConf.to_yaml(OmegaConf.create(hidden))
        known = places(text)
    origins = _origins(record)
    marks = {place.line: origins[dotted(key)] for key, place in known.items() if dotted(key) in origins}
    return [Line(line, marks.get(number, "")) for number, line in enumerate(text.splitlines(), start=1)]


def changes(recipe: YamlFile, record: Mapping[str, Any]) -> list[Change]:
    """Return the values that the recipe's file does not have, without secrets; record: as for `annotated`.

    A key that the resolved recipe does without, such as a section set to null, is null.
    """
    values, keys = hide_settings(recipe.values, known_secrets()), {dotted(key): key for key in recipe.places}
    found = {name: _at(values, keys[name]) if name in keys else None for name in _origins(record)}
    return [
        Change(name, json.dumps(found[name], ensure_ascii=False), origin) for name, origin in _origins(record).items()
    ]


def _origins(record: Mapping[str, Any]) -> dict[str, str]:
    """Return who decided the values that were not the recipe's own, by their dotted keys."""
    return {key: origin for name, origin in ORIGINS.items() for key in record.get(name, ())}


def _at(values: Any, key: Key) -> Any:
    for part in key:
        values = values[part]
    return values
