"""What the page shows, read from a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..api.contracts import is_epoch
from ..api.data import without_images
from ..rundir.folder import RunDir
from ..rundir.history import checked_lines
from ..rundir.jsonfile import read_json
from ..rundir.record import Record
from .images import SavedPredictions, browsable, inline_picture
from .recipe import annotated, read_recipe, without_secrets
from .shapes import Damaged, Data, Environment, Finding, Result, metric_names
from .thinning import ROWS, evenly, thinned, thinning_note

RESULT_BYTES = 2**25
"""32 MiB: a larger result is left out of the page."""
EPOCHS = 500
"""Up to this many epochs, the table has a row for each; of more, for so many and the best."""
CLICKABLE = 30
"""Up to this many classes, a confusion matrix is a table whose cells lead to their images; above, a picture."""


def gather(folder: RunDir, state: str | None = None) -> dict[str, Any]:
    """Return everything that the page shows, without the recipe's secrets.

    A file that is missing is left out; so is a damaged one, and named.

    state: the run's, where it is not yet the one of run.json. Raises UserError where that is damaged: without it there
    is nothing to say.
    """
    record = read_json(folder.record, Record)
    record |= {"state": state or record["state"]}
    damaged = Damaged()
    lines = damaged.without([], checked_lines, folder.metrics)
    epochs = [line for line in lines if is_epoch(line)]
    best = record.get("best")
    best_at = [place for place, line in enumerate(epochs) if best and line["epoch"] == best["epoch"]]
    timing = damaged.without([], checked_lines, folder.timing)
    seconds = {line["epoch"]: line["seconds"] for line in timing if "seconds" in line}
    results = _results(folder, damaged)
    predictions = damaged.without(None, SavedPredictions.read, folder)
    images, left_out = browsable(folder, results, predictions, damaged)
    figures = [figure for result in results for figure in result["figures"]]
    recipe = damaged.without(None, read_recipe, folder.recipe)
    page = {
        "record": record,
        "folder": str(folder.path.resolve()),
        "done": len(epochs),
        "epochs": [
            epochs[place] | {"seconds": seconds.get(epochs[place]["epoch"])}
            for place in evenly(len(epochs), EPOCHS, *best_at)
        ],
        "columns": metric_names(epochs),
        "last_step": lines[-1]["step"] if lines else 0,
        "lr_finding": damaged.without(None, _read, folder.lr_finding, Finding),
        "recipe": annotated(recipe, record.get("recipe", {})) if recipe else [],
        "environment": damaged.without(None, _read, folder.environment, Environment),
        "results": results,
        "predictions": predictions,
        "left_out": left_out,
        "omissions": damaged.without({}, _read, folder.data_info, Data),
        "untested": without_images(predictions.targets, predictions.classes) if predictions else [],
        "galleries": {result["name"]: result["title"] for result in results if result["images"]},
        "data": {
            "charts": {figure["id"]: figure for figure in figures if figure["kind"] == "chart"},
            "images": images,
            "classes": predictions.classes if predictions else [],
        },
        "damaged": damaged,
    }
    return without_secrets(recipe, page) if recipe else page


def _read(path: Path, shape: Any) -> Any:
    return read_json(path, shape) if path.is_file() else None


def _results(folder: RunDir, damaged: Damaged) -> list[dict[str, Any]]:
    """Return the analyzers' results in their order, without those that are damaged."""
    paths = sorted(folder.analysis.glob("*/result.json"))
    found = [damaged.without(None, _result, path, damaged) for path in paths]
    return sorted((result for result in found if result), key=lambda result: result["order"])


def _result(path: Path, damaged: Damaged) -> dict[str, Any]:
    """Return an analyzer's result, its pictures inlined and its matrices with their rates."""
    name = path.parent.name
    defaults: dict[str, Any] = {"error": None, "notes": [], "scalars": {}, "figures": [], "tables": [], "images": []}
    result = defaults | dict(read_json(path, Result, RESULT_BYTES))
    for number, figure in enumerate(result["figures"]):
        figure["id"] = f"{name}-{number}"
        if figure["kind"] == "matrix" and len(figure["classes"]) > CLICKABLE:
            figure["kind"] = "picture"
        if figure["kind"] == "matrix":
            figure["rates"] = [[count / max(1, sum(row)) for count in row] for row in figure["counts"]]
        if figure["kind"] == "chart":
            _thin(figure)
        if figure["kind"] == "picture":
            damaged.without(None, inline_picture, figure, path.parent / figure["file"])
    result["figures"] = [figure for figure in result["figures"] if figure["kind"] != "picture" or "src" in figure]
    for table in result["tables"]:
        table["rows_in_all"] = max(table.get("rows_in_all", 0), len(table["rows"]))
        table["rows"] = table["rows"][:ROWS]
    return result | {"name": name}


def _thin(chart: dict[str, Any]) -> None:
    """Thin the long lines of a chart that was saved with all points, as earlier versions did."""
    points = [len(line["y"]) for line in chart["series"]]
    for line in chart["series"]:
        if line["kind"] == "line":
            places = thinned(line["y"])
            line["x"], line["y"] = [line["x"][place] for place in places], [line["y"][place] for place in places]
    chart["caption"] += thinning_note(sum(points), sum(len(line["y"]) for line in chart["series"]))
