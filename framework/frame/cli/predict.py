"""`frame predict`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ..rundir.jsonfile import to_json
from .evaluate import DEVICE, on
from .run import RUN, TRUST
from .text import echo

if TYPE_CHECKING:
    from ..runs.predict import Answer


class PredictOptions(TypedDict):
    """The options of `frame predict`."""

    top: int
    form: str | None
    cam: Path | None
    device: str | None
    trust: bool


@click.command(short_help="Ask a finished run's model about images.")
@RUN
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
              help="Classes to name, the likeliest first.")  # fmt: skip
@click.option("--csv", "form", flag_value="csv", help="Print a table: file, then class and probability N times.")
@click.option("--json", "form", flag_value="json", help="Print a JSON object a line: file, top (class, probability).")
@click.option("--cam", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write a picture of each image there: where the model saw the likeliest class.")  # fmt: skip
@DEVICE
@TRUST
@click.pass_context
def predict(context: click.Context, run: Path, images: tuple[str, ...], **options: Unpack[PredictOptions]) -> None:
    """Name the likeliest classes of each IMAGE by the model of the finished RUN (its folder).

    IMAGE is a file, a folder, a pattern such as 'photos/**/*.jpg', or - for a list on standard input, a name a line.
    They are read in batches, as many as there may be. Those that cannot be read are named and skipped; the exit code
    is 1 then. What lies in a folder and is no image by its ending is counted.
    """
    from ..analysis.heat_pictures import heat_pictures
    from ..api.images import Omissions, shown_name
    from ..runs.open import open_changed
    from ..runs.predict import image_files
    from ..runs.predict import predict as answers

    skipped = 0

    def unread(name: str, reason: str) -> None:
        nonlocal skipped
        skipped += 1
        echo(f"skipped: {shown_name(name)}: {reason}", err=True)

    form, cam = options["form"], options["cam"]
    opened = open_changed(run, on(options["device"]), trust=options["trust"])
    pictures = heat_pictures(opened.loaded, cam) if cam else None
    top = min(options["top"], opened.info.num_classes)
    left_out = Omissions()
    files = image_files(images, map(os.fsdecode, sys.stdin.buffer), unread, left_out)
    if form == "csv":
        echo(_csv("file", *(f"{what}_{place}" for place in range(1, top + 1) for what in ("class", "probability"))))
    for answer in answers(opened, files, top, unread, pictures):
        echo(_line(answer, form))
    for omission in left_out.found():
        echo(f"left out: {omission}", err=True)
    if skipped:
        echo(f"skipped in all: {skipped:,}", err=True)
        context.exit(1)


def _line(answer: Answer, form: str | None) -> str:
    from ..api.images import shown_name

    if form == "json":
        top = [{"class": name, "probability": probability} for name, probability in answer.top]
        return to_json({"file": answer.file, "top": top})
    if form == "csv":
        return _csv(answer.file, *(value for pair in answer.top for value in pair))
    return f"{shown_name(answer.file)}  " + "  ".join(f"{name} {probability:.2%}" for name, probability in answer.top)


def _csv(*cells: object) -> str:
    from ..rundir.csv_text import csv_text

    return csv_text([cells]).removesuffix("\n")
