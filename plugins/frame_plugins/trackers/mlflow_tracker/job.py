"""What the sending process is told, and the names of the files that it goes by."""

from __future__ import annotations

from dataclasses import dataclass, field

ROWS = "mlflow/rows.jsonl"
"""In the run's folder: everything that was logged, a line a call. What MLflow lacks of it is sent."""
PLACE = "mlflow/place.json"
"""In the run's folder: where at MLflow the run is."""


@dataclass(frozen=True)
class Job:
    """What to send, and where: the tracker's settings, None where MLflow's own variables or defaults decide.

    secrets: texts that must not be sent; they travel through a pipe, never through arguments or a file.
    """

    folder: str
    tracking_uri: str | None
    experiment: str | None
    name: str | None
    tags: dict[str, str]
    checkpoints: bool
    secrets: list[str] = field(default_factory=list)
