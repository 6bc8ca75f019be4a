"""The runs below a folder: what became of each, how good it was, how large it is; and removing them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import UserError
from .folder import RunDir, existing_run
from .history import count_epochs
from .jsonfile import checked
from .record import Best, Record


@dataclass(frozen=True)
class Entry:
    """One run of the list.

    state: as in run.json, but `killed` for a run that is said to be running and that no process has, and `damaged` for
    one that cannot be read: `problem` says why. epochs: those done. seconds: None where it is not known yet.
    disk_bytes: what its files take on the disk.
    """

    path: Path
    state: str
    started: datetime
    disk_bytes: int
    name: str = ""
    epochs: int = 0
    planned_epochs: int | float | None = None
    best: Best | None = None
    test_accuracy: float | None = None
    seconds: float | None = None
    problem: str = ""

    def values(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "path": str(self.path), "started": self.started.isoformat()}


def find_runs(folder: Path) -> Iterator[RunDir]:
    """Yield the runs at or below a folder; what lies inside a run, behind a link to a folder, or in one that is hidden,
    as drafts of runs are, is not looked at."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if "run.json" in files:
            folders.clear()
            yield RunDir(Path(place))


def list_runs(folder: Path) -> list[Entry]:
    """Return the runs below a folder, those that started last first."""
    entries = [entry for run in find_runs(folder) if (entry := _entry(run))]
    return sorted(entries, key=lambda entry: (entry.started, entry.path), reverse=True)


def _entry(run: RunDir) -> Entry | None:
    """Return a run's entry, None if the run is being removed."""
    try:
        return _sound(run)
    except UserError as error:
        if not run.path.is_dir():
            return None
        changed = datetime.fromtimestamp(run.path.stat().st_mtime).astimezone()
        return Entry(run.path, "damaged", changed, disk_use(run.path), problem=str(error))


def _sound(run: RunDir) -> Entry:
    """Return the entry of a run that can be read. Raises UserError for others."""
    record: Record = checked(run.read_record(), run.record, Record)
    state, started, seconds = run.state(), record["started"], record.get("seconds")
    if state == "running" and seconds is None:
        seconds = round((datetime.now().astimezone() - started).total_seconds(), 1)
    return Entry(
        path=run.path,
        state=state,
        started=started,
        disk_bytes=disk_use(run.path),
        name=record["name"],
        epochs=count_epochs(run.metrics),
        planned_epochs=record.get("epochs"),
        best=record.get("best"),
        test_accuracy=record.get("test_accuracy"),
        seconds=seconds,
    )


def disk_use(folder: Path) -> int:
    """Return how many bytes of the disk a folder's files take. Links are not followed."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # a running run replaces its files
                total += os.lstat(f"{place}/{name}").st_blocks * 512
    return total


def take(paths: Sequence[Path], stack: ExitStack) -> list[RunDir]:
    """Lock the runs that are to be removed until the stack is closed. Raises UserError where one may not be."""
    runs = [_removable(path) for path in paths]
    for run in runs:
        stack.enter_context(run.locked())
    return runs


def _removable(path: Path) -> RunDir:
    """Return a run's folder. Raises UserError for a link, for what is no run, and for what holds other runs."""
    if path.is_symlink():
        raise UserError(f"{path} is a link; name the folder itself: {path.resolve()}", "unsafe-file")
    run = existing_run(path)  # with links in it, it can be removed too
    try:
        run.read_record()
    except UserError as error:  # a damaged run can be removed, any folder with some run.json cannot
        if not (run.checkpoints.is_dir() and run.analysis.is_dir()):
            raise UserError(f"{path} does not look like a run, and is left as it is: {error}", "no-such-run") from error
    folders = [child for child in path.iterdir() if child.is_dir() and not child.is_symlink()]
    if inner := next((found for child in folders for found in find_runs(child)), None):
        raise UserError(f"{path} holds another run, {inner.path}, and is left as it is", "no-such-run")
    return run


def remove(run: RunDir) -> None:
    """Remove a run's folder, which must be locked. Links in it are removed, not what they lead to."""
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise UserError(f"{error.filename or run.path} cannot be removed: {error.strerror}", "cannot-write") from error
