"""A W&B run that never prompts, never waits for ever, and keeps its files in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import wandb
from wandb.sdk.lib.wbauth import read_netrc_auth

from frame import AnalyzerResult, LabelledImage, Picture, Table

EXIT_CODES = {"finished": 0, "interrupted": 255}  # 255: what wandb itself reports after Ctrl-C


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Set what wandb takes from the environment alone, and put the environment back."""
    variables = {
        # Tables are staged there until they are uploaded: an offline run is incomplete without them.
        "WANDB_DATA_DIR": str(folder / "wandb" / "data"),
        "WANDB_ERROR_REPORTING": "false",  # without a network it delays the exit by 15 s
        "WANDB_SILENT": "true",
    }
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)


def start(mode: str, settings: wandb.Settings, config: dict[str, Any], warn: Callable[[str], None]) -> wandb.Run:
    """Start the run, offline where online is not possible: then with one warning, unless `auto` lacks credentials."""
    base = wandb.setup().settings
    if mode == "auto" and base.mode in ("offline", "disabled"):
        mode = base.mode
    if mode in ("auto", "online"):
        try:
            if _has_credentials(base.base_url):
                return wandb.init(mode="online", settings=settings, config=config)
            if mode == "online":
                warn("W&B has no credentials: logging offline; set WANDB_API_KEY or run `wandb login`")
        except Exception as error:  # whatever it is, offline does not need the server
            warn(f"W&B could not start online: logging offline, `wandb sync` uploads it later ({error})")
            with suppress(SystemExit):  # what teardown raises if wandb's process crashed
                wandb.teardown()  # until then the run's id counts as taken
        mode = "offline"
    return wandb.init(mode=mode, settings=settings, config=config)  # type: ignore[arg-type]


def _has_credentials(base_url: str) -> bool:
    """Whether wandb will find a key for the server: without one it asks on the terminal, and waits."""
    variables = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    return any(os.environ.get(name) for name in variables) or read_netrc_auth(host=base_url) is not None


class WandbTracker:
    """Logs to one W&B run. `folder`: the run's folder in frame."""

    def __init__(self, run: wandb.Run, folder: Path) -> None:
        self._run, self._folder = run, folder
        for name in ("train/*", "lr"):
            run.define_metric(name, step_metric="trainer/step")
        for split in ("val", "test"):
            run.define_metric(f"{split}/*", step_metric="epoch")
            run.define_metric(f"{split}/acc", step_metric="epoch", summary="max,last")
            run.define_metric(f"{split}/loss", step_metric="epoch", summary="min,last")

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        # Not `log(step=...)`: W&B drops a row whose step is lower than the last one.
        self._run.log({**metrics, "epoch": epoch, "trainer/step": step})

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Log pictures as `analysis/<name>/<picture>`, tables as `..._table`, labelled images as one table."""
        prefix = f"analysis/{name}"
        tables = {f"{prefix}/{table.name}_table": _table(table) for table in result.tables}
        if result.images:
            tables[f"{prefix}/images_table"] = _images_table(result.images)
        with environment(self._folder):
            self._run.summary.update({f"{prefix}/{key}": value for key, value in result.scalars.items()})
            if result.pictures:
                self._run.log({f"{prefix}/{picture.name}": _image(picture) for picture in result.pictures})
            if tables:  # last: where the server died meanwhile, a table raises after some 20 s
                self._run.log(tables)

    def finish(self, status: str) -> None:
        """End the run. Raises TimeoutError when the last uploads took longer than they may."""
        try:
            self._run.finish(exit_code=EXIT_CODES.get(status, 1))
        except TimeoutError:
            rest = f"wandb sync {self._run.settings.sync_dir}"
            raise TimeoutError(f"W&B did not take the last data in time; upload them with: {rest}") from None


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
    columns = ["index", "target", "predicted", "confidence", "loss", "source"]
    rows = [[wandb.Image(item.image), *(getattr(item, column) for column in columns)] for item in images]
    return wandb.Table(columns=["image", *columns], data=rows)
