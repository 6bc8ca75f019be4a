"""run.json: what it holds, as it is written and as it is read."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, FiniteFloat, NonNegativeInt
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.ranking import number

State = Literal["running", "finished", "interrupted", "failed"]
"""Of a run, as run.json has it. Who finds `running` and no process that has the folder calls the run `killed`."""


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

    file: NotRequired[str]
    overrides: NotRequired[list[str]]
    found: NotRequired[list[str]]


class Facts(TypedDict, total=False):
    """What becomes known of a run while it goes on. Times are in seconds."""

    error: str | None
    watched: str
    epochs: int | FiniteFloat
    recipe: Origin
    parameters: NonNegativeInt
    """Of the model."""
    launch: str
    """What names the torchrun that began it."""
    group: str
    """What the runs of one sweep, or of one `--repeat`, have in common."""
    best: Annotated[Best | None, BeforeValidator(lambda best: best or None), AfterValidator(_counts)]
    kept: str
    """Which weights: the words that the report has for them."""
    test_accuracy: float
    failed_analyzers: NonNegativeInt
    ended: str
    seconds: FiniteFloat
    training_seconds: FiniteFloat
    compile_seconds: FiniteFloat
    skipped_images: NonNegativeInt
    plugin_files: dict[str, str]
    """Below `plugins/`, each with its SHA-256."""
    plugin_modules: list[str]


class Record(Facts):
    """run.json as it is read."""

    id: str
    name: str
    state: str
    started: AwareDatetime


class Changes(Facts, total=False):
    """Entries of run.json as they are written."""

    id: str
    name: str
    state: State
    started: str
