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
from ..rundir.results import Result, SavedChart, SavedFigure, SavedMatrix, SavedTable
from .images import Answers, browsable, inline_picture
from .recipe import annotated
from .shapes import Damaged, Data, Environment, Finding, metric_names
from .thinning import ROWS, evenly, thinned

RESULT_BYTES = 2**25
"""32 MiB: a larger result is left out of the page."""
EPOCHS = 500
"""Up to this many epochs, the table has a row for each; of more, for so many and the best."""
CLICKABLE = 30
"""Up to this many classes, a confusion matrix is a table whose cells lead to their images; above, a picture."""


def gather(folder: RunDir, state: str | None = None) -> dict[str, Any]:
    """Return everything that the page shows. A file that is missing is left out; so is a damaged one, and named.

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
    answers = damaged.without(None, Answers.read, folder)
    images, left_out = browsable(folder, results, answers, damaged)
    figures = [figure for result in results for figure in result["figures"]]
    return {
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
        "recipe": damaged.without([], annotated, folder.recipe, record.get("recipe", {})),
        "environment": damaged.without(None, _read, folder.environment, Environment),
        "results": results,
        "answers": answers,
        "left_out": left_out,
        "omissions": damaged.without({}, _read, folder.data_info, Data),
        "untested": without_images(answers.targets, answers.classes) if answers else [],
        "galleries": {result["name"]: result["title"] for result in results if result["images"]},
        "data": {
            "charts": {figure["id"]: figure for figure in figures if figure["kind"] == "chart"},
            "images": images,
            "classes": answers.classes if answers else [],
        },
        "damaged": damaged,
    }


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
    """Return a figure as the page shows it: a picture inlined, a matrix with its rates; None for a damaged picture.

    Earlier versions saved charts with all points.
    """
    if isinstance(figure, SavedChart):
        return asdict(thinned(figure))
    if isinstance(figure, SavedMatrix) and len(figure.classes) <= CLICKABLE:
        counts = figure.counts.tolist()
        return asdict(figure) | {"counts": counts, "rates": [[n / max(1, sum(row)) for n in row] for row in counts]}
    picture = {"kind": "picture", "title": figure.title, "caption": figure.caption}
    damaged.without(None, inline_picture, picture, place / figure.file)
    return picture if "src" in picture else None


def _table(table: SavedTable) -> dict[str, Any]:
    rows_in_all = max(table.rows_in_all, len(table.rows))
    return asdict(replace(table, rows=table.rows[:ROWS], rows_in_all=rows_in_all))
