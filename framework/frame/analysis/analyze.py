"""Runs the analyzers and puts what they find into the run's folder. One that fails loses only itself."""

from __future__ import annotations

import io
import re
import time
import traceback
import zipfile
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image as PILImage

from ..api.components import AnalyzerComponent, HistoryAnalyzer
from ..api.contracts import AnalysisRun, RunHistory
from ..api.figures import png
from ..api.model_guard import untouched, withheld
from ..api.results import PLAIN_NAME, AnalyzerResult, Chart, Figure, LabelledImage, Matrix, Table
from ..compute.randomness import rng_untouched
from ..console import Console
from ..console.events import AnalyzerEnd
from ..errors import FrameError
from ..nested import Key, changed
from ..recipe.recipe import Named, unique_names
from ..report.thinning import ROWS, points_at, thinned
from ..rundir.csv_text import csv_text
from ..rundir.files import write_bytes, write_text
from ..rundir.folder import write_json
from ..rundir.results import Result, SavedChart, SavedFigure, SavedImage, SavedMatrix, SavedPicture, SavedTable
from ..secrets import hide_secrets, printable
from .time_limit import OutOfTime, time_limit

BREAK_S = 60
"""Seconds that an analyzer of the history may take after an epoch."""

R = TypeVar("R", bound=RunHistory)
Analyzers = Sequence[Named[AnalyzerComponent]]
Send = Callable[[str, AnalyzerResult], None]

FAILURES = (Exception, SystemExit, OutOfTime)
"""Whatever an analyzer raises, the run and the other analyzers go on; only Ctrl-C ends them."""


def analyze(
    analyzers: Analyzers, run: AnalysisRun, folder: Path, console: Console, send: Send,
    only: Container[str] | None = None,
) -> int:  # fmt: skip
    """Run the analyzers into `folder`, a folder each; return how many failed.

    console: says why one failed. send: gets each (name, result). only: run those of these names, each in its place
    among all.
    """
    failed = 0
    hidden = withheld()
    closed = replace(run, model=hidden, logits=hidden)
    for order, (name, named) in enumerate(unique_names(analyzers)):
        if only is not None and name not in only:
            continue
        since = time.monotonic()
        place = _own_folder(folder, name)
        needs_model = named.component.needs_model
        guard: AbstractContextManager[Any] = untouched(run.model) if needs_model else nullcontext()
        try:
            with rng_untouched(), guard, time_limit(named.component.time_limit_s):
                result = hide_secrets(named.component.build(_for_one(run if needs_model else closed)))
                save_result(place, order, result)
        except FAILURES as error:
            failed += 1
            console.warn(f"analyzer '{name}' failed: {_reason(error)}")
            _save_failure(place, order, named.use, error)
            console.tell(_end_event(name, since, _reason(error)))
            continue
        (place / "error.txt").unlink(missing_ok=True)
        write_json(place / "seconds.json", round(time.monotonic() - since, 3))
        console.tell(_end_event(name, since))
        send(name, result)
    return failed


def _end_event(name: str, since: float, error: str | None = None) -> AnalyzerEnd:
    return AnalyzerEnd(event="analyzer_end", name=name, seconds=round(time.monotonic() - since, 3), error=error)


def analyze_history(analyzers: Analyzers, run: RunHistory, folder: Path) -> None:
    """Run those analyzers that read the history alone, for the page of a run in training; no picture is drawn."""
    for order, (name, named) in enumerate(unique_names(analyzers)):
        if not isinstance(named.component, HistoryAnalyzer):
            continue
        place = _own_folder(folder, name)
        try:
            with time_limit(min(named.component.time_limit_s, BREAK_S)):
                save_result(place, order, hide_secrets(named.component.build(_for_one(run))), draw=False)
        except FAILURES as error:  # it is said once, at the end
            _save_failure(place, order, named.use, error)


def _for_one(run: R) -> R:
    """Return what one analyzer is shown: what it writes into the history is not seen by the others."""
    return replace(run, metrics=[dict(line) for line in run.metrics], timing=[dict(line) for line in run.timing])


def _own_folder(folder: Path, name: str) -> Path:
    """Return the analyzer's folder in `folder`; made, unless the run's folder was removed: that does not come back."""
    folder.mkdir(exist_ok=True)
    place = folder / name
    place.mkdir(exist_ok=True)
    return place


def save_result(folder: Path, order: int, result: AnalyzerResult, *, draw: bool = True) -> None:
    """Write figures, tables and images as files, and result.json, which names them all: what the report reads."""
    saved: Result = {
        "order": order,
        "title": result.title,
        "notes": list(result.notes),
        "scalars": {name: float(value) for name, value in result.scalars.items()},
        "figures": [_save_figure(folder, figure, draw) for figure in result.figures],
        "tables": [_save_table(folder, table) for table in result.tables],
        "images": _save_images(folder, result.images),
    }
    figures = [changed(asdict(figure), _plain) for figure in saved["figures"]]
    tables = [asdict(table) for table in saved["tables"]]
    write_json(folder / "result.json", saved | {"figures": figures, "tables": tables}, indent=None)


def _save_failure(folder: Path, order: int, title: str, error: BaseException) -> None:
    write_text(folder / "error.txt", printable(traceback.format_exc()))
    write_json(folder / "result.json", {"order": order, "title": title, "error": _reason(error)})


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, FrameError | OutOfTime) else f"{type(error).__name__}: {error}"


def _save_figure(folder: Path, figure: Figure, draw: bool) -> SavedFigure:
    file = _file(figure.name, "png")
    if draw:
        write_bytes(folder / file, png(figure))
    if isinstance(figure, Chart):
        return SavedChart(**vars(thinned(_placed(figure))), file=file)
    if isinstance(figure, Matrix):
        return SavedMatrix(**vars(figure), file=file)
    return SavedPicture(title=figure.title, caption=figure.caption, file=file, thumbnails=figure.thumbnails)


def _placed(chart: Chart) -> Chart:
    """Return a chart without the points and marks whose x is no finite number: they have no place in it."""
    series = []
    for line in chart.series:
        places = [place for place, x in enumerate(line.x) if np.isfinite(x)]
        if len(places) < len(line.x):
            line = points_at(places, line)
        series.append(line)
    return replace(chart, series=series, marks=[mark for mark in chart.marks if np.isfinite(mark.x)])


def _plain(key: Key, value: Any) -> Any:
    """Return a figure's value as JSON has it: six digits of a number count, and there is a gap for one not finite."""
    if isinstance(value, np.ndarray):
        return changed(value.tolist(), _plain)
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Sequence):  # a range
        return [_plain(key, item) for item in value]
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _file(name: str, ending: str) -> str:
    """Return the file of a figure or table. Raises ValueError for a name that could lead out of the folder."""
    if not re.fullmatch(PLAIN_NAME, name):
        raise ValueError(f"{name!r} cannot name a file: a figure or table is named with letters, digits, _, - and .")
    return f"{name}.{ending}"


def _save_table(folder: Path, table: Table) -> SavedTable:
    file = _file(table.name, "csv")
    write_text(folder / file, csv_text([table.columns, *table.rows]))
    shown = replace(table, rows=[list(row) for row in table.rows[:ROWS]])
    return SavedTable(**vars(shown), file=file, rows_in_all=len(table.rows))


def _save_images(folder: Path, images: Sequence[LabelledImage]) -> list[SavedImage]:
    """Write images and their heat maps as PNGs into one images.zip, and return what there is to say of each."""
    if not images:
        return []
    entries: list[SavedImage] = []
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number, item in enumerate(images):
            file = f"{number:04}.png"
            archive.writestr(file, _encode(item.image))
            heats = {}
            for place, (name, heat) in enumerate(item.heats.items()):
                heats[name] = f"{number:04}_heat{place}.png"
                archive.writestr(heats[name], _encode(np.rint(255 * heat).astype(np.uint8)[..., None]))
            saved = SavedImage(
                file=file,
                index=item.index,
                target=item.target,
                predicted=item.predicted,
                confidence=item.confidence,
                loss=item.loss,
                source=item.source,
                heats=heats,
            )
            entries.append(saved)
    write_bytes(folder / "images.zip", content.getvalue())
    return entries


def _encode(image: np.ndarray) -> bytes:
    """Return an image, (H, W, 1 or 3) uint8, as PNG."""
    buffer = io.BytesIO()
    PILImage.fromarray(np.squeeze(image, axis=2) if image.shape[2] == 1 else image).save(buffer, format="png")
    return buffer.getvalue()
