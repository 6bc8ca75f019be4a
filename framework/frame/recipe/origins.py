"""Where each value of a checked recipe is from: a line of a file, the command line, or a default."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from typing import Any

from ..errors import Place
from ..nested import Key, leaves
from .recipe import Recipe
from .settings import RecipeSettings
from .source import Source
from .yaml_text import dotted

OPTIONAL = [name for name, field in RecipeSettings.model_fields.items() if field.default is None]


@dataclass(frozen=True)
class Value:
    """One value of a recipe. place: where it was written, None for a default. waits: the LR finder will find it.

    defaults: the keys of the settings whose defaults it took, being an interpolation that leads to them.
    """

    key: Key
    value: Any
    place: Place | None
    waits: bool = False
    defaults: tuple[str, ...] = ()


def resolved(recipe: Recipe) -> dict[str, Any]:
    """Return everything that a recipe comes to, as plain values; null stands for a section that it does without."""
    values = recipe.shown()
    return values | {name: None for name in OPTIONAL if name not in values}


def origins(recipe: Recipe, source: Source) -> dict[Key, Value]:
    """Return the values of `resolved` by their keys. A list of plain values is one, if it is all from one place."""
    waiting = recipe.waiting()
    named: dict[Key, Place] = {("plugins", index): place for index, (_, place, *_) in enumerate(source.plugins)}
    return {
        key: Value(key, value, named.get(key) or _place(key, source), key in waiting, _defaults(key, source))
        for key, value in leaves(resolved(recipe), partial(_is_one, source=source))
    }


def _defaults(key: Key, source: Source) -> tuple[str, ...]:
    """Return the settings whose defaults stand at `key`: those of interpolations there, below it, or of all around."""
    return tuple(
        dotted(setting)
        for at, settings in source.reached.items()
        if at[: len(key)] == key[: len(at)]
        for setting in settings
    )


def _is_one(key: Key, values: Any, source: Source) -> bool:
    """Tell whether this is a list of plain values that are all from one file, or all from elsewhere."""
    if not isinstance(values, list) or key == ("plugins",) or any(isinstance(value, dict | list) for value in values):
        return False
    places = [_place((*key, index), source) for index in range(len(values))]
    return len({place and place.source for place in places}) == 1


def _place(key: Key, source: Source) -> Place | None:
    """Return where a value was written, None if it was not."""
    values: Any = source.values
    try:
        reduce(getitem, key, values)
    except (KeyError, IndexError, TypeError):
        return None
    return source.place(key)
