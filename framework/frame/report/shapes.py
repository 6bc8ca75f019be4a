"""What the page takes from a run's files: their shapes, each checked when it is read.

All of them are written by frame; a file that is not as it was written is left out of the page, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, ParamSpec, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    StringConstraints,
)
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.results import PLAIN_NAME, Color
from ..errors import UserError

P = ParamSpec("P")
T = TypeVar("T")
Numbers: TypeAlias = list[FiniteFloat | None]
File: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{PLAIN_NAME}$")]
"""A file in the folder of its result, and nowhere else."""


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


class Series(TypedDict):
    """A line of a chart."""

    name: str
    x: Numbers
    y: Numbers
    color: Color
    kind: Literal["line", "points", "bars"]
    dashed: bool
    pale: bool


def _as_long(series: Series) -> Series:
    if len(series["x"]) != len(series["y"]):
        raise ValueError(f"{len(series['x'])} values of x, {len(series['y'])} of y")
    return series


class Mark(TypedDict):
    """A vertical line in a chart."""

    x: FiniteFloat | None
    label: str


class Chart(TypedDict):
    """A chart as data."""

    kind: Literal["chart"]
    file: File
    name: str
    title: str
    x_label: str
    y_label: str
    series: list[Annotated[Series, AfterValidator(_as_long)]]
    caption: str
    x_log: bool
    y_log: bool
    percent: bool
    y_range: tuple[FiniteFloat, FiniteFloat] | None
    marks: list[Mark]


class Matrix(TypedDict):
    """A confusion matrix."""

    kind: Literal["matrix"]
    file: File
    title: str
    caption: str
    classes: list[str]
    counts: list[list[NonNegativeInt]]


def _square(matrix: Matrix) -> Matrix:
    size = len(matrix["classes"])
    if [len(row) for row in matrix["counts"]] != [size] * size:
        raise ValueError(f"the counts of {size} classes are no matrix of {size} by {size}")
    return matrix


class Picture(TypedDict):
    """A picture in a file."""

    kind: Literal["picture"]
    file: File
    title: str
    caption: str


class Table(TypedDict):
    """A table with its rows."""

    file: File
    title: str
    caption: str
    columns: list[str]
    rows: list[list[bool | int | float | str | None]]
    rows_in_all: NotRequired[NonNegativeInt]


class Shown(TypedDict):
    """An image of an analyzer, with what the model made of it."""

    file: str
    index: NonNegativeInt
    target: str
    predicted: str
    confidence: float | None
    loss: float | None
    source: str
    heats: dict[str, str]


AnyFigure: TypeAlias = Annotated[
    Chart | Annotated[Matrix, AfterValidator(_square)] | Picture, Field(discriminator="kind")
]


class Result(TypedDict):
    """result.json of one analyzer."""

    order: int
    title: str
    error: NotRequired[str]
    notes: NotRequired[list[str]]
    scalars: NotRequired[dict[str, float | None]]
    figures: NotRequired[list[AnyFigure]]
    tables: NotRequired[list[Table]]
    images: NotRequired[list[Shown]]


def metric_names(epochs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that every epoch has: as a number, or as null where it was none."""
    names = [name for name in (epochs[0] if epochs else ()) if "/" in name]
    return [name for name in names if all(isinstance(line.get(name, ""), int | float | None) for line in epochs)]
