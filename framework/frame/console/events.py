"""What programs are told of a command (`--json`): one JSON object a line. docs/agents.md says what each field means.

An event keeps its name and its fields; new ones may come.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..errors import Code
from ..rundir.jsonfile import to_json
from ..rundir.record import Best, State
from ..secrets import hide_secrets


class Images(TypedDict):
    """How many images each part of the data has."""

    train: int
    validation: int
    test: int


class RunBegin(TypedDict):
    """A run has its folder, and begins or goes on."""

    event: Literal["run_begin"]
    run: str
    name: str
    group: str | None
    seed: int
    resumed: bool
    epoch: int
    epochs: float
    steps: int
    device: str
    parameters: int
    images: Images


class LRFound(TypedDict):
    """The LR finder suggests a learning rate."""

    event: Literal["lr_found"]
    lr: float
    rule: str


class EpochEnd(TypedDict):
    """An epoch is trained and evaluated."""

    event: Literal["epoch_end"]
    epoch: int
    epochs: int
    step: int
    metrics: Mapping[str, float]
    lr: float
    seconds: float
    best: bool


class Saved(TypedDict):
    """A checkpoint is written."""

    event: Literal["checkpoint"]
    kind: Literal["last", "best"]
    path: str
    epoch: int
    step: int


class Warned(TypedDict):
    """Something works and is hardly meant, or did not work and the run goes on."""

    event: Literal["warning"]
    message: str


class AnalyzerEnd(TypedDict):
    """An analyzer is done, or failed."""

    event: Literal["analyzer_end"]
    name: str
    seconds: float
    error: str | None


class RunEnd(TypedDict):
    """A run ends, however that is."""

    event: Literal["run_end"]
    run: str
    state: State
    test_accuracy: float | None
    best: Best | None
    kept: str | None
    failed_analyzers: int | None
    seconds: float | None
    report: str | None
    weights: str | None
    error: str | None


class DryRunEnd(TypedDict):
    """One batch went through everything."""

    event: Literal["dry_run_end"]
    parameters: int
    analyzers: int


class RepeatEnd(TypedDict):
    """All runs of a `--repeat` are finished."""

    event: Literal["repeat_end"]
    runs: list[str]
    test_accuracies: list[float]
    mean: float
    std: float


class SweepBegin(TypedDict):
    """A sweep begins, or goes on."""

    event: Literal["sweep_begin"]
    sweep: str
    trials: int
    metric: str
    mode: Literal["min", "max"]


class TrialBegin(TypedDict):
    """A trial's run is started."""

    event: Literal["trial_begin"]
    trial: int
    point: Mapping[str, Any]
    run: str


class TrialEnd(TypedDict):
    """A trial has ended."""

    event: Literal["trial_end"]
    trial: int
    state: str
    value: float | None
    epochs: float
    run: str | None
    error: str | None


class BestTrial(TypedDict):
    """The best trial of a sweep."""

    trial: int
    value: float
    point: Mapping[str, Any]
    run: str


class SweepEnd(TypedDict):
    """A sweep is over, or was interrupted."""

    event: Literal["sweep_end"]
    sweep: str
    complete: bool
    best: BestTrial | None
    recipe: str | None
    picture: str | None


class OneProblem(TypedDict):
    """One of a command's errors."""

    code: Code
    message: str
    file: str | None
    line: int | None
    key: str
    suggestion: str | None


class Failed(TypedDict):
    """The command fails; the last event."""

    event: Literal["error"]
    code: Code
    exit_code: int
    message: str
    problems: list[OneProblem]


Event = (
    RunBegin
    | LRFound
    | EpochEnd
    | Saved
    | Warned
    | AnalyzerEnd
    | RunEnd
    | DryRunEnd
    | RepeatEnd
    | SweepBegin
    | TrialBegin
    | TrialEnd
    | SweepEnd
    | Failed
)


def line(event: Event) -> str:
    """Return an event as its line, with the time in UTC, and without secrets."""
    values: dict[str, Any] = dict(event)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return f"{to_json(hide_secrets({'event': values.pop('event'), 'time': now, **values}))}\n"
