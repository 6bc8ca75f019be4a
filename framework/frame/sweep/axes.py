"""Where the values of a sweep's keys lie on an axis, 0 to 1, and what the axis says."""

from __future__ import annotations

import math
from typing import Any

from .spec import Dimension

MANY = 12
"""Up to this many choices, an axis names each."""


def height(dimension: Dimension, value: Any) -> float:
    """Return where a value lies on its axis."""
    if dimension.choice is not None:
        return dimension.choice.index(value) / max(len(dimension.choice) - 1, 1)
    low, high = dimension.bounds
    if dimension.kind == "loguniform":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))


def ticks(dimension: Dimension) -> list[tuple[str, float]]:
    """Return what stands at an axis and where: its choices where they are few, else its ends."""
    values = dimension.bounds
    if len(values) > MANY:
        values = (values[0], values[-1])
    return [(short(value), height(dimension, value)) for value in values]


def short(value: Any) -> str:
    """Return a value as tables and axes say it."""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
