"""The run's metrics: a line in its files for each logged step and each epoch, and the same to the trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..rundir.files import cut
from ..rundir.history import Place, append_line
from .engine import Job
from .session import Session


class MetricLog:
    """Writes metrics.jsonl and timing.jsonl, in the first process alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = (session.folder.metrics, session.folder.timing)

    def write(
        self,
        job: Job,
        kind: Literal["epoch", "step"],
        epoch: float,
        metrics: Mapping[str, float],
        timing: Mapping[str, float],
    ) -> None:
        """Append a line at the step that the job is at. timing: seconds and rates, which no two runs share."""
        if not self._session.world.first:
            return
        step = job.run.step
        metrics = {**metrics, "lr": job.meter.lr}
        if job.meter.momentum is not None:
            metrics["momentum"] = job.meter.momentum
        place = Place(kind=kind, epoch=epoch, step=step)
        for path, values in zip(self._files, (metrics, timing), strict=True):
            append_line(path, place, values)
        performance = {f"perf/{name}": value for name, value in timing.items()}
        self._session.trackers.log({**metrics, **performance}, epoch, step)

    def sizes(self) -> list[int]:
        """Return how long the files are, in bytes: how far they belong to a checkpoint of now."""
        return [_size(path) for path in self._files]

    def cut_back(self, sizes: Sequence[int]) -> None:
        """Cut the files back to where they were when the checkpoint was saved that the run goes on from."""
        if not self._session.world.first:
            return
        for path, size in zip(self._files, sizes, strict=True):
            if _size(path) < size:
                text = f"{path} is shorter than when the checkpoint was saved: its last lines are lost"
                self._session.console.warn(text)
            elif path.is_file():
                cut(path, size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
