"""What the page takes from a run's files: their shapes, each checked when it is read; results are in `rundir.results`.

All of them are written by frame; a file that is not as it was written is left out of the page, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, ParamSpec, TypeVar

from pydantic import FiniteFloat, NonNegativeInt
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


class Damaged(list[str]):
    """What could not be read, in words."""

    def without(self, default: T, read: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Return what `read` returns; where that is damaged, note it and return `default`."""
        try:
            return read(*given, **named)
        except UserError as error:
            self.extend(str(problem) for problem in error.problems)
            return default


class Omitted(TypedDict):
    """Files or folders among the data that were not read."""

    kind: str
    count: NonNegativeInt
    examples: list[str]


class Data(TypedDict):
    """data.json."""

    left_out: NotRequired[list[Omitted]]
    classes: NotRequired[list[str]]
    shape: NotRequired[tuple[int, int, int]]
    train_size: NotRequired[NonNegativeInt]
    class_counts: NotRequired[dict[str, list[NonNegativeInt]]]
    """Of each part, the images of each class, in the order of `classes`."""


class Schedule(TypedDict):
    """schedule.json."""

    lrs: list[FiniteFloat]


class Finding(TypedDict):
    """lr_finder.json."""

    suggestion: float
    rule: str


class Git(TypedDict):
    """The commit that a run was started from."""

    commit: str
    changed: bool


class Environment(TypedDict):
    """environment.json."""

    device: str
    cpu: str
    python: str
    platform: str
    versions: dict[str, str]
    git: NotRequired[Git | None]


def metric_names(epochs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that every epoch has: as a number, or as null where it was none."""
    names = [name for name in (epochs[0] if epochs else ()) if "/" in name]
    return [name for name in names if all(isinstance(line.get(name, ""), int | float | None) for line in epochs)]
