"""MLflow as a tracker. The module is not called `mlflow`, which would shadow the library."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from frame import (
    Component,
    RunFailed,
    Tracker,
    TrackerComponent,
    TrainingRun,
    UserError,
    hide_secrets,
    hookimpl,
)

if TYPE_CHECKING:
    from .job import Job


class MLflow(TrackerComponent):
    """Sends parameters, metrics and the run's files to MLflow, by a process of its own, which the training never waits
    for.

    An MLflow server that is down, or goes down, holds the run up for `finish_timeout_s` at its end at most; what it
    lacks then `frame sync` sends. `frame-train[mlflow]` installs what speaks to a server; MLflow's own store in a file
    needs all of `mlflow`. Source: the mlflow package, https://mlflow.org/docs/latest/ml/tracking.
    """

    tracking_uri: str | None = Field(None, min_length=1)
    """The server's address, or a store such as `sqlite:////home/me/mlflow.db`. Without it, MLFLOW_TRACKING_URI; without
    that MLflow's own default, `mlflow.db` in the folder that the run is started in, where a resumed run stays."""
    experiment: str | None = Field(None, min_length=1)
    """MLflow experiment that the run belongs to. Without it, MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID; without
    these, the recipe's name."""
    name: str | None = None
    """The run's name at MLflow; its id in frame without it."""
    tags: dict[str, str] = Field({}, examples=[{"team": "vision"}])
    """MLflow tags of the run, beside those that frame sets."""
    checkpoints: bool = False
    """Send `checkpoints/` too, which a resume needs; the kept weights, model.safetensors, are always sent."""
    finish_timeout_s: float = Field(120, gt=0, allow_inf_nan=False)
    """Seconds that the run waits, at its end, until MLflow has all of it; keep it below `time_limit_s`."""
    sync_timeout_s: float = Field(600, gt=0, allow_inf_nan=False)
    """Seconds that `frame sync` has."""

    def build(self, run: TrainingRun) -> Tracker:
        _need_mlflow()
        from .tracker import MLflowTracker

        return MLflowTracker(run, self._job(run.folder), self.finish_timeout_s)

    def sync(self, folder: Path) -> str:
        """Send all that MLflow lacks of the run, and ask it for every value and file."""
        _need_mlflow()
        from .contents import read
        from .job import ROWS
        from .process import Sender

        if not (folder / ROWS).is_file():
            raise UserError(f"{folder} has nothing for MLflow: no metric was logged, or its folder mlflow/ is gone")
        state = read(folder / "run.json").get("state", "running")
        said = Sender(self._job(folder)).end(state, self.sync_timeout_s)
        if said.error:
            raise RunFailed(f"{folder}: {said.error}")
        return "; ".join([said.sentence, *said.warnings])

    def _job(self, folder: Path) -> Job:
        from .job import Job

        name, experiment, tags = hide_secrets((self.name, self.experiment, self.tags))
        return Job(str(folder.absolute()), self.tracking_uri, experiment, name, tags, self.checkpoints)


def _need_mlflow() -> None:
    try:
        version("mlflow-skinny")  # its import takes seconds, and is the other process's
    except PackageNotFoundError as error:
        need = "the tracker 'mlflow' needs the package mlflow: pip install 'frame-train[mlflow]'"
        raise UserError(need) from error


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the tracker."""
    return {"mlflow": MLflow}
