"""A sweep's folder: its trials with their runs and states. What it holds is all that a second call needs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from ..api.contracts import is_epoch
from ..api.ranking import Mode, best_of, better, number
from ..errors import UserError
from ..rundir.folder import RunDir, open_run, write_json
from ..rundir.history import read_lines
from ..rundir.jsonfile import read_json
from ..secrets import hide_secrets
from .spec import Dimension, Point, Sweep, overrides

State = Literal["planned", "running", "interrupted", "finished", "stopped", "failed"]
PATIENCE_S = 60
"""Seconds that a run has to save itself when its sweep ends."""
WORST = 1e300
"""How bad no number is for Tune: worse than any metric, and still one that ASHA's percentiles can be taken of."""
ENDED = ("finished", "stopped", "failed")


class Trial(BaseModel):
    """One point of the space and what its run came to."""

    model_config = ConfigDict(extra="forbid")

    number: int
    point: dict[str, Any]
    state: State = "planned"
    run: str | None = None
    """The run's folder."""
    epochs: float = 0
    """Epochs that it has trained."""
    value: float | None = None
    """The metric: of the best epoch where the recipe keeps that, else of the last one. None where it is no number."""
    gaps: int = 0
    """Epochs whose metric was no number."""
    error: str | None = None

    @field_validator("value")
    @classmethod
    def _number(cls, value: float | None) -> float | None:
        return number(value)  # earlier versions wrote NaN

    @property
    def has_result(self) -> bool:
        """Whether it counts among the results: it did not fail, and has a value."""
        return self.value is not None and self.state != "failed"

    @property
    def text(self) -> str:
        return " ".join(overrides(self.point))

    def read(self, sweep: Sweep) -> None:
        """Take the value, and the number of epochs, from the run's folder. Without a value it has failed."""
        lines = read_lines(RunDir(Path(self.run)).metrics) if self.run else []
        if epochs := [line for line in lines if is_epoch(line) and sweep.metric in line]:
            values = [number(line[sweep.metric]) for line in epochs]
            counted = values if sweep.recipe.keeps == "best" else values[-1:]
            self.epochs, self.gaps = epochs[-1]["epoch"], values.count(None)
            self.value = best_of(counted, lambda value: value, sweep.mode)
            if self.value is None and self.state in ("finished", "stopped"):
                when = "in any epoch" if sweep.recipe.keeps == "best" else "in its last epoch"
                self.state, self.error = "failed", f"{sweep.metric} was no finite number {when}"


class Record(BaseModel):
    """sweep.json."""

    model_config = ConfigDict(extra="forbid")

    sweep: dict[str, Any]
    metric: str
    mode: Mode
    trials: list[Trial]

    @property
    def space(self) -> dict[str, Dimension]:
        """What each key takes."""
        return {key: Dimension.model_validate(given) for key, given in self.sweep["space"].items()}

    @property
    def best(self) -> Trial | None:
        """The trial with the best value, of those that ended by themselves if there are any."""
        sound = [trial for trial in self.ranked if trial.has_result]
        return next((trial for trial in sound if trial.state == "finished"), sound[0] if sound else None)

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first. Of equals, those come first whose metric was a number in more epochs."""
        mode = self.mode

        def order(one: Trial, other: Trial) -> int:
            return better(other.value, one.value, mode) - better(one.value, other.value, mode) or one.gaps - other.gaps

        return sorted(self.trials, key=cmp_to_key(order))


@dataclass(frozen=True)
class SweepDir:
    """A sweep's folder and its record, which is saved whenever a trial changes."""

    path: Path
    sweep: Sweep
    record: Record

    @property
    def trials(self) -> list[Trial]:
        return self.record.trials

    def save(self) -> None:
        write_json(self.path / "sweep.json", self.record.model_dump(mode="json"))

    def add(self, point: Point) -> Trial:
        """Note a new trial."""
        trial = Trial(number=len(self.trials) + 1, point=point)
        self.trials.append(trial)
        self.save()
        return trial

    def wait_for_runs(self) -> None:
        """Let runs that outlive a killed sweep end: they are asked to save themselves, which takes a while.

        Raises UserError where one does not end, which may be because the sweep is not over.
        """
        until = time.monotonic() + PATIENCE_S
        for trial in self.trials:
            while trial.state == "running" and trial.run and RunDir(Path(trial.run)).is_locked():
                if time.monotonic() > until:
                    text = f"trial {trial.number} still runs, in {trial.run}; call again when it has ended"
                    raise UserError(text, "run-in-use")
                time.sleep(0.1)

    def settle(self) -> None:
        """Find out what became of the trials that were running when the sweep ended, or was killed."""
        for trial in self.trials:
            if trial.state == "running" and trial.run:
                run = RunDir(Path(trial.run))
                finished = run.record.is_file() and open_run(run.path).read_record()["state"] == "finished"
                trial.state = "finished" if finished else "interrupted"
                trial.read(self.sweep)
        self.save()


def open_sweep(sweep: Sweep) -> SweepDir:
    """Return the sweep's folder, a new one or the one that an earlier call left.

    Raises UserError where another sweep has it.
    """
    path = Path("sweeps") / sweep.settings.name
    file = path / "sweep.json"
    if not file.is_file():
        path.mkdir(parents=True, exist_ok=True)
        folder = SweepDir(path, sweep, Record(sweep=sweep.identity(), metric=sweep.metric, mode=sweep.mode, trials=[]))
        folder.save()
        return folder
    record: Record = read_json(file, Record)
    before, now = hide_secrets(record.sweep), sweep.identity()
    if changed := [key for key in now if before.get(key) != now[key]]:
        raise UserError(
            f"{path} holds another sweep of this name, with other {', '.join(changed)}: "
            "give this one a name of its own (name: in its file), or remove that folder",
            "already-exists",
        )
    folder = SweepDir(path, sweep, record)
    folder.wait_for_runs()
    folder.settle()
    return folder


class Epochs:
    """The epochs' lines of a metrics file that grows: what was read once is not read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self.end = 0  # of what was read, behind a line's break

    def read(self) -> list[dict[str, Any]]:
        """Return the lines so far; anew from the first where a resume has cut the file."""
        if not self.path.is_file():
            return self.lines
        with self.path.open("rb") as file:
            file.seek(max(self.end - 1, 0))
            if self.end and file.read(1) != b"\n":
                self.lines, self.end = [], 0
                file.seek(0)
            *whole, _ = file.read().split(b"\n")
        self.end += sum(len(line) + 1 for line in whole)
        self.lines += [line for line in map(json.loads, whole) if is_epoch(line)]
        return self.lines


def reported(value: float | None, mode: Mode) -> float:
    """Return a metric's value as it is reported to Tune: the worst one where it is no number."""
    known = number(value)
    return known if known is not None else -WORST if mode == "max" else WORST
