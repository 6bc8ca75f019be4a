"""What the page shows, read from a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..rundir import RunDir, read_lines
from .images import Answers, browsable, inline_picture
from .recipe import annotated

CLICKABLE = 30
"""Up to this many classes, a confusion matrix is a table whose cells lead to their images; above, a picture."""


def gather(folder: RunDir) -> dict[str, Any]:
    """Return everything that the page shows. A file that is missing or that an older run wrote is left out."""
    record = folder.read_record()
    lines = read_lines(folder.metrics)
    epochs = [line for line in lines if line["kind"] == "epoch"]
    seconds = {line["epoch"]: line["seconds"] for line in read_lines(folder.timing) if "seconds" in line}
    results = [_result(path) for path in sorted(folder.analysis.glob("*/result.json"), key=_order)]
    answers = Answers.read(folder)
    images, left_out = browsable(folder, results, answers)
    figures = [figure for result in results for figure in result["figures"]]
    return {
        "record": record,
        "folder": str(folder.path.resolve()),
        "epochs": [line | {"seconds": seconds.get(line["epoch"])} for line in epochs],
        "columns": [name for name in (epochs[0] if epochs else {}) if "/" in name],
        "last_step": lines[-1]["step"] if lines else 0,
        "lr_finding": _read(folder.lr_finding),
        "recipe": annotated(folder.recipe, record.get("recipe", {})),
        "environment": _read(folder.environment),
        "results": results,
        "answers": answers,
        "left_out": left_out,
        "galleries": {result["name"]: result["title"] for result in results if result["images"]},
        "data": {
            "charts": {figure["id"]: figure for figure in figures if figure["kind"] == "chart"},
            "images": images,
            "classes": answers.classes if answers else [],
        },
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None


def _order(path: Path) -> tuple[int, str]:
    return json.loads(path.read_text())["order"], path.parent.name


def _result(path: Path) -> dict[str, Any]:
    """Return an analyzer's result, its pictures inlined and its matrices with their rates."""
    name = path.parent.name
    defaults: dict[str, Any] = {"error": None, "notes": [], "scalars": {}, "figures": [], "tables": [], "images": []}
    result = defaults | _read(path)
    for number, figure in enumerate(result["figures"]):
        figure["id"] = f"{name}-{number}"
        if figure["kind"] == "matrix" and len(figure["classes"]) > CLICKABLE:
            figure["kind"] = "picture"
        if figure["kind"] == "matrix":
            figure["rates"] = [[count / max(1, sum(row)) for count in row] for row in figure["counts"]]
        if figure["kind"] == "picture":
            inline_picture(figure, path.parent / figure["file"])
    return result | {"name": name}
