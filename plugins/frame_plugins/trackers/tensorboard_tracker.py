"""TensorBoard as a tracker. The module is not called `tensorboard`, which would shadow the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import (
    AnalyzerResult,
    Component,
    LabelledImage,
    Table,
    Tracker,
    TrackerComponent,
    TrainingRun,
    UserError,
    figures,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

RESULTS = ".results"
"""What the names of the files with the analyzers' results end with."""
ROWS = 200
"""Longer tables are cut here: TensorBoard shows them as text. The run's folder has them whole."""
COLUMNS = ("index", "target", "predicted", "confidence", "loss", "source")


class TensorBoard(TrackerComponent):
    """Writes metrics, figures, tables and the recipe for TensorBoard: `tensorboard --logdir runs` shows all runs.

    The event files lie in the run's folder, under `tensorboard/`. Metrics stand over optimizer steps: an epoch's means
    as `train/loss`, those of the steps in between as `train/loss_step`. Needs `frame-train[tensorboard]`.
    Source: torch.utils.tensorboard, https://docs.pytorch.org/docs/stable/tensorboard.html.
    """

    flush_s: float = Field(10, gt=0, allow_inf_nan=False)
    """Seconds until what was logged is on the disk: what a killed run loses at most."""
    images: int = Field(64, ge=0, le=400)
    """How many of an analyzer's labelled images are shown, as one grid above a table that says what they are."""

    def build(self, run: TrainingRun) -> Tracker:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: F401
        except ImportError as error:  # also where a local folder `tensorboard/` imports as an empty package
            need = "the tracker 'tensorboard' needs the package tensorboard: pip install 'frame-train[tensorboard]'"
            raise UserError(f"{need} ({error})") from error
        return TensorBoardTracker(run, self.flush_s, self.images)


class TensorBoardTracker:
    """Writes one run's event files: one for the metrics of each session, one for the analyzers' results.

    A resumed run's tracker is built before the run is back at its checkpoint, so its file is begun with the first row:
    what an earlier session wrote from that step on is void, for the run takes those steps again.
    """

    def __init__(self, run: TrainingRun, flush_s: float, images: int) -> None:
        self._run, self._flush_s, self._images = run, flush_s, images
        self._folder = run.folder / "tensorboard"
        self._metrics = None if run.resumed else self._begin()
        self._results: SummaryWriter | None = None
        self._newest: dict[str, int] = {}

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        writer = self._metrics = self._metrics or self._begin(purge_step=step)
        for tag, value in (*metrics.items(), ("epoch", epoch)):
            if self._newest.get(tag) != step:  # an epoch's end is often a logged step too, with the same rate
                self._newest[tag] = step
                writer.add_scalar(tag, value, step)

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Write figures and the images' grid as images, tables and notes as text, all of it under `name/`."""
        writer = self._results = self._results or self._begin_results()
        step = self._run.step
        for key, value in result.scalars.items():
            writer.add_scalar(f"{name}/{key}", value, step)
        for figure in result.figures:
            writer.add_image(f"{name}/{figure.name}", _pixels(figures.png(figure)), step, dataformats="HWC")
        if shown := _alike(result.images)[: self._images]:
            writer.add_image(f"{name}/labelled_images", _grid(shown), step)
            rows = [[getattr(item, column) for column in COLUMNS] for item in shown]
            writer.add_text(f"{name}/labelled_images", _table(COLUMNS, rows), step)
        for table in result.tables:
            writer.add_text(f"{name}/{table.name}", _section(table), step)
        writer.add_text(f"{name}/about", _about(result), step)

    def finish(self, status: str) -> None:
        """Note how the run ended and close the files. Raises OSError if the last rows cannot be written."""
        with ExitStack() as closing:
            for writer in (self._metrics, self._results):
                if writer is not None:
                    closing.callback(writer.close)
            if writer := self._metrics or self._results:  # a run that was killed behind its last step logs no metric
                writer.add_text("status", status, self._run.step)

    def _begin(self, purge_step: int | None = None) -> SummaryWriter:
        first = not any(self._folder.glob("events.*"))
        writer = self._writer(purge_step=purge_step)
        if first:
            writer.add_text("recipe", _recipe(self._run.recipe), 0)
        return writer

    def _begin_results(self) -> SummaryWriter:
        """Begin the results' file; those of a session that ended during the analysis make room for it."""
        if self._metrics is not None:
            self._metrics.flush()  # TensorBoard reads a folder's files one after the other
        for old in self._folder.glob(f"events.*{RESULTS}"):
            old.unlink()
        return self._writer(filename_suffix=RESULTS)

    def _writer(self, **options: Any) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder, flush_secs=self._flush_s, **options)


def _pixels(encoded: bytes) -> Any:
    """Return a PNG's pixels, (H, W, 3) uint8."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(BytesIO(encoded)).convert("RGB"))


def _alike(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return the images that have the first one's shape; a test set's all do."""
    return [item for item in images if item.image.shape == images[0].image.shape]


def _grid(images: Sequence[LabelledImage]) -> Tensor:
    """Return one picture of all images, (3, H, W) uint8, row by row."""
    import numpy as np
    import torch
    from torchvision.utils import make_grid

    stacked = torch.from_numpy(np.stack([item.image for item in images]))  # (N, H, W, C)
    return make_grid(stacked.permute(0, 3, 1, 2), nrow=8, pad_value=255)


def _recipe(values: Mapping[str, Any]) -> str:
    import yaml

    return f"```\n{yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)}```"


def _about(result: AnalyzerResult) -> str:
    captions = [f"**{figure.title}** {figure.caption}" for figure in result.figures]
    return "\n\n".join([f"### {result.title}", *result.notes, *captions])


def _section(table: Table) -> str:
    rest = len(table.rows) - ROWS
    more = f"{rest:,} more rows are in the run's folder, in {table.name}.csv." if rest > 0 else ""
    text = (f"### {table.title}", _table(table.columns, table.rows[:ROWS]), more, table.caption)
    return "\n\n".join(part for part in text if part)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the tracker."""
    return {"tensorboard": TensorBoard}
