"""What the page shows, read from a run's folder."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..api.contracts import is_epoch
from ..api.data import without_images
from ..rundir.folder import RunDir
from ..rundir.history import checked_lines
from ..rundir.jsonfile import read_json
from ..rundir.record import Record
from ..rundir.results import Result, SavedChart, SavedFigure, SavedMatrix, SavedPicture, SavedTable
from .dataset import data_name, described
from .headline import at_a_glance
from .images import SavedPredictions, browsable, inline_picture
from .progress import last_written, progress
from .recipe import annotated, changes, read_recipe, without_secrets
from .shapes import Damaged, Data, Environment, Finding, Schedule, metric_names
from .thinning import ROWS, evenly, thinned

RESULT_BYTES = 2**25
"""32 MiB: a larger result is left out of the page."""
EPOCHS = 500
"""Up to this many epochs, the table has a row for each; of more, for so many and the best."""
CLICKABLE = 100
"""Up to this many classes, a confusion matrix is a table whose cells lead to their images; above, a picture."""


def gather(folder: RunDir, state: str | None = None) -> dict[str, Any]:
    """Return everything that the page shows, without the recipe's secrets.

    A file that is missing is left out; so is a damaged one, and named.

    state: the run's, where it is not yet the one of run.json; who has the folder gives it. Raises UserError where
    run.json is damaged: without it there is nothing to say.
    """
    record = read_json(folder.record, Record)
    record |= {"state": state or folder.state()}
    damaged = Damaged()
    recipe = damaged.without(None, read_recipe, folder.recipe)
    predictions = damaged.without(None, SavedPredictions.read, folder)
    info = damaged.without(None, _read, folder.data_info, Data) or Data()
    page = {
        "record": record,
        "folder": str(folder.path.resolve()),
        **_course(folder, record, recipe.values if recipe else {}, predictions, damaged),
        **_analyses(folder, predictions, damaged),
        "lr_finding": damaged.without(None, _read, folder.lr_finding, Finding),
        "recipe": annotated(recipe, record.get("recipe", {})) if recipe else [],
        "changes": changes(recipe, record.get("recipe", {})) if recipe else [],
        "last_written": last_written(folder) if record["state"] == "killed" else None,
        "environment": damaged.without(None, _read, folder.environment, Environment),
        "predictions": predictions,
        "dataset": described(info, predictions),
        "data_name": data_name(recipe.values) if recipe else "",
        "omissions": info.get("left_out", []),
        "untested": without_images(predictions.targets, predictions.classes) if predictions else [],
        "damaged": damaged,
    }
    return without_secrets(recipe, page) if recipe else page


def _course(
    folder: RunDir, record: Record, values: dict[str, Any], predictions: SavedPredictions | None, damaged: Damaged
) -> dict[str, Any]:
    """Return what there is to say of the epochs, and of the run at a glance. values: the resolved recipe."""
    lines = damaged.without([], checked_lines, folder.metrics)
    timing = damaged.without([], checked_lines, folder.timing)
    plan = damaged.without(None, _read, folder.schedule, Schedule)
    epochs = [line for line in lines if is_epoch(line)]
    best = record.get("best")
    best_at = [place for place, line in enumerate(epochs) if best and line["epoch"] == best["epoch"]]
    seconds = {line["epoch"]: line["seconds"] for line in timing if "seconds" in line}
    return {
        "done": len(epochs),
        "epochs": [
            epochs[place] | {"seconds": seconds.get(epochs[place]["epoch"])}
            for place in evenly(len(epochs), EPOCHS, *best_at)
        ],
        "columns": metric_names(epochs),
        "last_step": lines[-1]["step"] if lines else 0,
        "steps": lines[-1]["step"] / lines[-1]["epoch"] if lines and lines[-1]["epoch"] else 0,
        "progress": progress(record, timing, len(epochs)) if record["state"] == "running" else None,
        "glance": at_a_glance(values, record, plan["lrs"] if plan else (), predictions, epochs, timing),
    }


def _analyses(folder: RunDir, predictions: SavedPredictions | None, damaged: Damaged) -> dict[str, Any]:
    """Return the analyzers' results, and what of them the page's scripts show."""
    results = _results(folder, damaged)
    images, left_out = browsable(folder, results, predictions, damaged)
    figures = {figure["id"]: figure for result in results for figure in result["figures"]}
    titles = {result["name"]: result["title"] for result in results if result["images"]}
    data = {
        "charts": {name: figure for name, figure in figures.items() if figure["kind"] == "chart"},
        "matrices": {name: figure for name, figure in figures.items() if figure["kind"] == "matrix"},
        "thumbnails": {name: figure["thumbnails"] for name, figure in figures.items() if "thumbnails" in figure},
        "images": images,
        "galleries": titles,
        "classes": predictions.classes if predictions else [],
        "counts": predictions.cells() if predictions else [],
    }
    return {"results": results, "left_out": left_out, "galleries": titles, "data": data}


def _read(path: Path, shape: Any) -> Any:
    return read_json(path, shape) if path.is_file() else None


def _results(folder: RunDir, damaged: Damaged) -> list[dict[str, Any]]:
    """Return the analyzers' results in their order, without those that are damaged."""
    paths = sorted(folder.analysis.glob("*/result.json"))
    found = [damaged.without(None, _result, path, damaged) for path in paths]
    return sorted((result for result in found if result), key=lambda result: result["order"])


def _result(path: Path, damaged: Damaged) -> dict[str, Any]:
    """Return an analyzer's result as the page shows it."""
    name = path.parent.name
    read: Result = read_json(path, Result, RESULT_BYTES)
    figures = [
        shown | {"id": f"{name}-{number}"}
        for number, figure in enumerate(read.get("figures", ()))
        if (shown := _figure(figure, path.parent, damaged))
    ]
    return {
        "name": name,
        "order": read["order"],
        "title": read["title"],
        "error": read.get("error"),
        "notes": read.get("notes", []),
        "scalars": read.get("scalars", {}),
        "figures": figures,
        "tables": [_table(table) for table in read.get("tables", ())],
        "images": read.get("images", []),
    }


def _figure(figure: SavedFigure, place: Path, damaged: Damaged) -> dict[str, Any] | None:
    """Return a figure as the page shows it: a picture inlined, a large matrix too; None for a damaged picture.

    Where a picture is of test images, the page shows these in its place. Earlier versions saved charts with all points.
    """
    if isinstance(figure, SavedChart):
        return asdict(thinned(figure))
    if isinstance(figure, SavedMatrix) and len(figure.classes) <= CLICKABLE:
        return asdict(figure) | {"counts": figure.counts.tolist()}
    picture = {"kind": "picture", "title": figure.title, "caption": figure.caption}
    if isinstance(figure, SavedPicture) and figure.thumbnails:
        return picture | {"kind": "thumbnails", "thumbnails": [asdict(each) for each in figure.thumbnails]}
    damaged.without(None, inline_picture, picture, place / figure.file)
    return picture if "src" in picture else None


def _table(table: SavedTable) -> dict[str, Any]:
    rows_in_all = max(table.rows_in_all, len(table.rows))
    return asdict(replace(table, rows=table.rows[:ROWS], rows_in_all=rows_in_all))
