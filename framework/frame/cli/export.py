"""`frame export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .run import RUN, TRUST
from .text import echo

if TYPE_CHECKING:
    from ..runs.export import Format


@click.command(short_help="Write a finished run's model for other programs.")
@RUN
@click.option("--to", "form", type=click.Choice(["onnx", "torch_export", "safetensors"]), required=True,
              help="The file's format.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The file to write; export/model.<ending> in the run's folder if not given.")  # fmt: skip
@TRUST
def export(run: Path, form: Format, *, out: Path | None, trust: bool) -> None:
    """Write the model of the finished RUN (its folder) as one file, with its classes and preprocessing as metadata.

    The file is run beside the original before it is kept: the largest difference is printed, and one that is too large
    is an error. Batches may have any size.
    """
    from ..runs.export import export as write
    from ..runs.open import open_changed

    written = write(open_changed(run, ["train.device=cpu"], trust=trust), form, out)
    echo(f"checked   the largest difference of a logit is {written.difference:.2g} of the largest logit")
    echo(written.path)
