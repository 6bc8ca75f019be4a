"""What a W&B run is given: metrics, and the analyzers' figures, tables and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import wandb

from frame import AnalyzerResult, LabelledImage, Picture, Table

from .session import environment

EXIT_CODES = {"finished": 0, "interrupted": 255}  # 255: what wandb itself reports after Ctrl-C


class WandbTracker:
    """Logs to one W&B run. `folder`: the run's folder in frame."""

    def __init__(self, run: wandb.Run, folder: Path) -> None:
        self._run = run
        self._folder = folder
        _define_metrics(run)

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        # Not `log(step=...)`: W&B drops a row whose step is lower than the last one.
        self._run.log({**metrics, "epoch": epoch, "trainer/step": step})

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Log pictures as `analysis/<name>/<picture>`, tables as `..._table`, labelled images as one table."""
        prefix = f"analysis/{name}"
        media: dict[str, Any] = {f"{prefix}/{picture.name}": _image(picture) for picture in result.pictures}
        media |= {f"{prefix}/{table.name}_table": _table(table) for table in result.tables}
        if result.images:
            media[f"{prefix}/images_table"] = _images_table(result.images)
        with environment(self._folder):
            if media:
                self._run.log(media)
            self._run.summary.update({f"{prefix}/{key}": value for key, value in result.scalars.items()})

    def finish(self, status: str) -> None:
        """End the run. Raises TimeoutError when the last uploads took longer than they may."""
        try:
            self._run.finish(exit_code=EXIT_CODES.get(status, 1))
        except TimeoutError:
            raise TimeoutError(
                f"W&B did not take the last data in time; upload them with: wandb sync {self._run.settings.sync_dir}"
            ) from None


def _define_metrics(run: wandb.Run) -> None:
    """Give each metric its x axis, and accuracies and losses their best value beside the last one."""
    for name in ("train/*", "lr"):
        run.define_metric(name, step_metric="trainer/step")
    for split in ("val", "test"):
        run.define_metric(f"{split}/*", step_metric="epoch")
        run.define_metric(f"{split}/acc", step_metric="epoch", summary="max,last")
        run.define_metric(f"{split}/loss", step_metric="epoch", summary="min,last")


def _image(picture: Picture) -> wandb.Image:
    from PIL import Image

    png = BytesIO(picture.image if isinstance(picture.image, bytes) else b"")
    if not isinstance(picture.image, bytes):  # given a figure, wandb would need pyplot
        picture.image.savefig(png, format="png")
    return wandb.Image(Image.open(png), caption=picture.caption or picture.title)


def _table(table: Table) -> wandb.Table:
    columns = zip(*table.rows, strict=True)
    # wandb refuses text beside numbers in a column unless it is told; told so, it cannot plot the columns.
    mixed = any(len({isinstance(cell, str) for cell in column if cell is not None}) > 1 for column in columns)
    return wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows], allow_mixed_types=mixed)


def _images_table(images: tuple[LabelledImage, ...]) -> wandb.Table:
    columns: list[str | int] = ["image", "index", "target", "predicted", "confidence", "loss", "source"]
    rows = [
        [wandb.Image(item.image), item.index, item.target, item.predicted, item.confidence, item.loss, item.source]
        for item in images
    ]
    return wandb.Table(columns=columns, data=rows)
