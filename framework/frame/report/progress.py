"""How far a run is that has not ended by itself: for how long it has gone on, and when it may be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from ..api.ranking import number
from ..rundir.folder import RunDir
from ..rundir.record import Record


class Progress(NamedTuple):
    """Of a run in training, as the page is written. left: seconds of training to go, None where no epoch is done."""

    written: datetime
    elapsed: float
    left: float | None

    @property
    def ends(self) -> datetime | None:
        """When the training is done if its epochs take as long as those before."""
        return None if self.left is None else self.written + timedelta(seconds=self.left)


def progress(record: Record, timing: Sequence[Mapping[str, Any]], done: int) -> Progress:
    """Return how far a run is that has finished so many epochs."""
    now = datetime.now().astimezone()
    took = [seconds for line in timing if (seconds := number(line.get("seconds"))) is not None]
    planned = record.get("epochs")
    left = max(0.0, planned - done) * median(took) if planned is not None and took else None
    return Progress(now, max(0.0, (now - record["started"]).total_seconds()), left)


def last_written(folder: RunDir) -> datetime:
    """Return when the run last wrote of itself: a line of its metrics, or its record."""
    times = [path.stat().st_mtime for path in (folder.metrics, folder.record) if path.is_file()]
    return datetime.fromtimestamp(max(times)).astimezone()
