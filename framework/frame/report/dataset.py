"""The data of a run: how many images of each class each part has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..rundir.results import SavedTable
from .images import SavedPredictions
from .shapes import Data
from .thinning import ROWS


def data_name(values: Mapping[str, Any]) -> str:
    """Return the dataset that a resolved recipe names, empty where it names none."""
    section = values.get("data")
    return str(section.get("use", "")) if isinstance(section, Mapping) else ""


def described(info: Data, predictions: SavedPredictions | None) -> dict[str, Any] | None:
    """Return the images of each part and a table of its classes, None where too little was written.

    Earlier versions wrote no counts; the test set's are then those of the answers.
    """
    classes, counts = info.get("classes", []), dict(info.get("class_counts", {}))
    if not counts and predictions:
        counts["test"] = [int((predictions.targets == number).sum()) for number in range(len(classes))]
    counts = {part: each for part, each in counts.items() if len(each) == len(classes)}
    if not classes or not counts:
        return None
    rows = [[name, *row] for name, *row in zip(classes, *counts.values(), strict=True)]
    parts = {part: sum(each) for part, each in counts.items()}
    parts |= {} if "training" in parts or "train_size" not in info else {"training": info["train_size"]}
    table = SavedTable(title="Images of each class", columns=("class", *counts), rows=rows, file="", caption="")
    return {
        "parts": parts,
        "classes": len(classes),
        "shape": info.get("shape"),
        "table": asdict(table) | {"rows": rows[:ROWS], "rows_in_all": len(rows)},
        "balance": _balance(classes, counts),
    }


def _balance(classes: list[str], counts: dict[str, list[int]]) -> str:
    """Say how evenly the images are spread over the classes."""
    part, each = next(iter(counts.items()))
    if min(each) == max(each):
        return f"Each class has {min(each):,} {part} images."
    few, many = each.index(min(each)), each.index(max(each))
    return (
        f"Of {part} images, '{classes[many]}' has the most ({each[many]:,}) and '{classes[few]}' the fewest "
        f"({each[few]:,})."
    )
