"""`frame report --wandb`: which runs a report is about, and the tracker that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..report.comparison.repeats import REPEAT, Repeat, runs_of
from ..rundir.folder import RunDir, open_run
from ..rundir.jsonfile import read_json
from ..training.saved_trackers import load_trackers


@dataclass(frozen=True)
class Report:
    """What a report is about: runs, and the folder of the sweep that they are the trials of."""

    runs: Sequence[RunDir]
    sweep: Path | None = None

    def publish(self, name: str, *, trust: bool, update: bool, view: bool) -> str:
        """Have the first run's tracker of this name make the report: its settings say where the runs are."""
        for run in self.runs:
            run.read_record()  # a damaged one is said before anything is sent
            if not run.recipe.is_file():
                message = f"{run.path} stopped before its training began; there is nothing to report on"
                raise UserError(message, "wrong-state")
        first = self.runs[0]
        trackers = {named.use: named.component for named in load_trackers(first.recipe, trust=trust)}
        if name not in trackers:
            raise UserError(f"{first.path} was run without the tracker '{name}', which would make the report")
        folders = [run.path for run in self.runs]
        return trackers[name].publish(folders, sweep=self.sweep, update=update, view=view)


def about(paths: Sequence[Path]) -> Report:
    """Return what a report of these folders is about: of runs and repeats, or of one sweep.

    Raises UserError for others.
    """
    sweeps = [path for path in paths if (path / "sweep.json").is_file()]
    if not sweeps:
        runs = [run for path in paths for run in (_seeds(path) if (path / REPEAT).is_file() else [open_run(path)])]
        return Report(list({run.path.resolve(): run for run in runs}.values()))
    if len(paths) > 1:
        raise UserError(f"{sweeps[0]} is a sweep, and a report is about one sweep or about runs: name it alone")
    return Report(_trials(sweeps[0]), sweeps[0])


def _seeds(repeat: Path) -> list[RunDir]:
    """Return the runs of a repeat's folder. Raises UserError where none is left."""
    known: Repeat = read_json(repeat / REPEAT, Repeat)
    return runs_of(repeat.resolve(), known["group"])


def _trials(sweep: Path) -> list[RunDir]:
    """Return the runs of a sweep's trials that began."""
    from ..sweep.record import Record

    record: Record = read_json(sweep / "sweep.json", Record)
    found = [Path(trial.run) for trial in record.trials if trial.run]
    runs = [open_run(path) for path in found if (path / "run.json").is_file()]
    begun = [run for run in runs if run.recipe.is_file()]
    if not begun:
        where = f", nor are its runs where they were, such as {found[0]}" if found else ""
        raise UserError(f"{sweep}: no trial of this sweep has a run to report on yet{where}")
    return begun
