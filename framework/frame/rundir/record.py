"""What run.json and the lines of metrics.jsonl and timing.jsonl hold; each is checked when it is read."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, FiniteFloat, NonNegativeInt
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.ranking import number


class Best(TypedDict):
    """The best epoch so far."""

    metric: str
    value: float | None
    epoch: int


def _counts(best: Best | None) -> Best | None:
    """Return a best value that is a number: what earlier versions wrote may be NaN, or null by now."""
    return best if best and number(best["value"]) is not None else None


class Origin(TypedDict):
    """Where the values of a recipe are from."""

    overrides: NotRequired[list[str]]
    found: NotRequired[list[str]]


class Record(TypedDict):
    """run.json."""

    id: str
    name: str
    state: str
    started: AwareDatetime
    error: NotRequired[str | None]
    watched: NotRequired[str]
    epochs: NotRequired[int | FiniteFloat]
    recipe: NotRequired[Origin]
    best: NotRequired[Annotated[Best | None, BeforeValidator(lambda best: best or None), AfterValidator(_counts)]]
    kept: NotRequired[str]
    test_accuracy: NotRequired[float]
    seconds: NotRequired[FiniteFloat]
    training_seconds: NotRequired[FiniteFloat]
    skipped_images: NotRequired[NonNegativeInt]


class Line(TypedDict):
    """A line of metrics.jsonl or timing.jsonl; the metrics are what it has beside this."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    kind: str
    epoch: int | float
    step: int
    lr: NotRequired[float | None]
    seconds: NotRequired[FiniteFloat]
