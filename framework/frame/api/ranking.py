"""Which of two values of a metric is better: the one answer that checkpoints, sweeps, lists and plugins share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sys import float_info
from typing import Literal, TypeVar

T = TypeVar("T")
Mode = Literal["max", "min"]
"""Whether more or less of a metric is better."""


def mode_of(metric: str) -> Mode:
    """Return what is better of a metric where nobody says it: less of a loss, such as `val/loss`, more of all else."""
    return "min" if metric.endswith("/loss") else "max"


def number(value: float | None) -> float | None:
    """Return a value as it is, None where it is none that counts: NaN and the infinities are no numbers."""
    return value if value is not None and abs(value) <= float_info.max else None


def better(value: float | None, other: float | None, mode: Mode) -> bool:
    """Tell whether a metric's value is better than another one; of equals neither is, so that the first stays.

    None, NaN and the infinities are no numbers: they are better than nothing, and every number is better than they are.
    """
    value, other = number(value), number(other)
    if value is None:
        return False
    if other is None:
        return True
    return value > other if mode == "max" else value < other


def best_of(candidates: Iterable[T], value: Callable[[T], float | None], mode: Mode) -> T | None:
    """Return the candidate with the best value, of equals the first; None where no value is a number."""
    best: T | None = None
    for candidate in candidates:
        if better(value(candidate), None if best is None else value(best), mode):
            best = candidate
    return best
