"""Runs the analyzers and puts what they find into the run's folder. One that fails loses only itself."""

from __future__ import annotations

import csv
import io
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from .components import AnalyzerComponent
from .contracts import AnalysisRun
from .model_guard import untouched
from .randomness import rng_untouched
from .recipe import Named, unique_names
from .results import AnalyzerResult, Picture, Table
from .rundir import write_bytes, write_json, write_text

Analyzers = Sequence[Named[AnalyzerComponent]]
Say = Callable[[str], None]
Send = Callable[[str, AnalyzerResult], None]


def analyze(analyzers: Analyzers, run: AnalysisRun, folder: Path, warn: Say, send: Send) -> int:
    """Run the analyzers into `folder`, a folder each; return how many failed. send: gets each (name, result)."""
    failed = 0
    for order, (name, named) in enumerate(unique_names(analyzers)):
        since = time.monotonic()
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        try:
            with rng_untouched(), untouched(run.model):
                result = named.component.build(run)
            save_result(place, order, result)
        except Exception as error:  # whatever an analyzer raises, the run and the other analyzers go on
            failed += 1
            reason = f"{type(error).__name__}: {error}"
            warn(f"analyzer '{name}' failed: {reason}")
            write_text(place / "error.txt", traceback.format_exc())
            write_json(place / "result.json", {"order": order, "title": named.use, "error": reason})
            continue
        write_json(place / "seconds.json", round(time.monotonic() - since, 3))
        send(name, result)
    return failed


def save_result(folder: Path, order: int, result: AnalyzerResult) -> None:
    """Write pictures, tables and images as files, and result.json, which names them all: what the report reads."""
    write_json(
        folder / "result.json",
        {
            "order": order,
            "title": result.title,
            "notes": list(result.notes),
            "scalars": {name: float(value) for name, value in result.scalars.items()},
            "pictures": [_save_picture(folder, picture) for picture in result.pictures],
            "tables": [_save_table(folder, table) for table in result.tables],
            "images": _save_images(folder, result),
        },
    )


def _save_picture(folder: Path, picture: Picture) -> dict[str, Any]:
    content = picture.image if isinstance(picture.image, bytes) else _png(picture.image)
    write_bytes(folder / f"{picture.name}.png", content)
    return {"file": f"{picture.name}.png", "title": picture.title, "caption": picture.caption}


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _save_table(folder: Path, table: Table) -> dict[str, Any]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.columns, *table.rows])
    write_text(folder / f"{table.name}.csv", text.getvalue())
    rows = [list(row) for row in table.rows]
    header = {"file": f"{table.name}.csv", "title": table.title, "caption": table.caption}
    return {**header, "columns": list(table.columns), "rows": rows}


def _save_images(folder: Path, result: AnalyzerResult) -> list[dict[str, Any]]:
    entries = []
    for number, item in enumerate(result.images):
        (folder / "images").mkdir(exist_ok=True)
        file = f"images/{number:03d}.png"
        pixels = np.squeeze(item.image, axis=2) if item.image.shape[2] == 1 else item.image
        buffer = io.BytesIO()
        PILImage.fromarray(pixels).save(buffer, format="png")
        write_bytes(folder / file, buffer.getvalue())
        entries.append({"file": file} | {key: value for key, value in asdict(item).items() if key != "image"})
    return entries
