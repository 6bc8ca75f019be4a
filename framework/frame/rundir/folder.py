"""A run's folder: its names, and writing that never leaves half a file."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from ..errors import UserError
from ..secrets import hide_secrets
from .files import write_text
from .jsonfile import damaged, read_json, to_json
from .links import refuse_links
from .lock import hold, is_held
from .record import Changes


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a value as JSON, whole or not at all, its secrets hidden. NaN and infinities become null."""
    write_text(path, to_json(hide_secrets(value), indent=indent, ensure_ascii=False) + "\n")


class Name:
    """A file or folder of a run's folder, by its name there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunDir, _: type[RunDir]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunDir:
    """The names in a run's folder. passing: it is thrown away at the run's end, so that nobody is sent to it."""

    path: Path
    passing: bool = False

    @property
    def run_id(self) -> str:
        return self.path.name.removeprefix(".")  # a draft's is the run's already

    lock = Name(".lock")
    record = Name("run.json")
    recipe = Name("recipe.resolved.yaml")
    environment = Name("environment.json")
    data_info = Name("data.json")
    schedule = Name("schedule.json")
    metrics = Name("metrics.jsonl")
    timing = Name("timing.jsonl")
    log = Name("log.txt")
    checkpoints = Name("checkpoints")
    weights = Name("model.safetensors")
    predictions = Name("predictions.safetensors")
    lr_finding = Name("lr_finder.json")
    analysis = Name("analysis")
    exports = Name("export")
    report = Name("report.html")

    def update_record(self, **values: Unpack[Changes]) -> None:
        """Change entries of run.json and keep the others."""
        record = self.read_record() if self.record.is_file() else {}
        write_json(self.record, record | values)

    def read_record(self) -> dict[str, Any]:
        """Return what run.json holds. Raises UserError where it is damaged."""
        record: dict[str, Any] = read_json(self.record, dict[str, Any])
        if missing := [name for name in ("id", "name", "state") if not isinstance(record.get(name), str)]:
            raise damaged(self.record, f"it does not say {', '.join(missing)}")
        return record

    def checked(self) -> RunDir:
        """Return the folder. Raises UserError where it holds links, pipes, devices, or a folder in a file's place.

        Whoever works in a folder that it did not make calls this first: its maker may be a stranger.
        """
        refuse_links(self.path)
        described = (self.record, self.recipe, self.environment, self.data_info, self.schedule, self.lr_finding)
        logged = (self.lock, self.log, self.metrics, self.timing)
        kept = (self.weights, self.predictions, self.report, *self.checkpoints.glob("*.pt*"))
        if wrong := next((path for path in (*described, *logged, *kept) if path.is_dir()), None):
            text = f"{wrong}: a folder is in a file's place, and nothing was touched; remove it"
            raise UserError(text, "unsafe-file")
        if wrong := next((path for path in (self.checkpoints, self.analysis, self.exports) if path.is_file()), None):
            text = f"{wrong}: a file is in a folder's place, and nothing was touched; remove it"
            raise UserError(text, "unsafe-file")
        return self

    def state(self) -> str:
        """Return the run's state: as run.json has it, but `killed` where it is `running` and no process has the folder.

        Raises UserError where run.json is damaged.
        """
        state: str = self.read_record()["state"]
        return "killed" if state == "running" and not self.is_locked() else state

    def locked(self) -> AbstractContextManager[None]:
        """Keep the folder to this process while the block runs. Raises UserError where another one has it."""
        return hold(self.lock)

    def is_locked(self) -> bool:
        """Tell whether another process has the folder. Not for the process that has it: it would lose it."""
        return is_held(self.lock)

    def remove_leftovers(self) -> None:
        """Remove what a killed process had begun to write. The folder must be locked."""
        for folder in (self.path, self.checkpoints, self.analysis, *self.analysis.glob("*/")):
            for leftover in filter(Path.is_file, folder.glob(".*.tmp")):
                leftover.unlink()


def existing_run(path: Path) -> RunDir:
    """Return an existing run's folder, which may be a stranger's. Raises UserError if it is none."""
    real = path.resolve()  # its name is the run's id, whatever a link to it is called
    run = RunDir(path if path.name == real.name else real)
    if not os.path.lexists(run.record):
        raise UserError(f"{path} is no run: it has no run.json; runs lie under runs/NAME/", "no-such-run")
    return run


def open_run(path: Path) -> RunDir:
    """Return an existing run's folder, which nothing in it leads out of. Raises UserError for others."""
    return existing_run(path).checked()
