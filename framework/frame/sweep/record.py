"""A sweep's folder: its trials with their runs and states. What it holds is all that a second call needs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..errors import UserError
from ..jsonfile import read_json
from ..rundir import RunDir, open_run, read_lines, write_json
from .spec import Point, Sweep, overrides

State = Literal["planned", "running", "interrupted", "finished", "stopped", "failed"]
PATIENCE_S = 60
"""Seconds that a run has to save itself when its sweep ends."""
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
    """The metric: of the best epoch where the recipe keeps that, else of the last one."""
    error: str | None = None

    @property
    def text(self) -> str:
        return " ".join(overrides(self.point))

    def read(self, sweep: Sweep) -> None:
        """Take the value, and the number of epochs, from the run's folder."""
        lines = read_lines(RunDir(Path(self.run)).metrics) if self.run else []
        epochs = [line for line in lines if line.get("kind") == "epoch" and sweep.metric in line]
        if epochs:
            values = [line[sweep.metric] for line in epochs]
            best = max(values) if sweep.mode == "max" else min(values)
            self.epochs = epochs[-1]["epoch"]
            self.value = best if sweep.recipe.keeps == "best" else values[-1]


class Record(BaseModel):
    """sweep.json."""

    model_config = ConfigDict(extra="forbid")

    sweep: dict[str, Any]
    metric: str
    mode: str
    trials: list[Trial]


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
                    raise UserError(f"trial {trial.number} still runs, in {trial.run}; call again when it has ended")
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

    @property
    def best(self) -> Trial | None:
        """The trial with the best value, of those that ended by themselves if there are any."""
        valued = [trial for trial in self.trials if trial.value is not None and trial.state != "failed"]
        valued = [trial for trial in valued if trial.state == "finished"] or valued
        sign = 1 if self.record.mode == "max" else -1
        return max(valued, key=lambda trial: sign * (trial.value or 0), default=None)


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
    now = sweep.identity()
    if changed := [key for key in now if record.sweep.get(key) != now[key]]:
        raise UserError(
            f"{path} holds another sweep of this name, with other {', '.join(changed)}: "
            "give this one a name of its own (name: in its file), or remove that folder"
        )
    folder = SweepDir(path, sweep, record)
    folder.wait_for_runs()
    folder.settle()
    return folder
