"""What W&B draws itself: confusion matrices, precision over recall, and the receiver operating characteristic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import wandb

from frame import Chart, Figure, Matrix

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CLASSES = 100
"""A matrix of more classes, squared, is more rows than a table of W&B's takes (10,000): it stays a picture."""
POINTS = 100
"""Points of a class's curve: 100 classes of them are a table's rows."""


def own_curves(recipe: Mapping[str, Any]) -> set[str]:
    """Return the names of the results whose charts show the metrics' history: W&B draws that from the metrics."""
    analyzers = recipe.get("analyzers", ())
    return {each.get("name") or each["use"] for each in analyzers if each["use"] == "curves"}


def is_native(figure: Figure) -> TypeGuard[Matrix]:
    """Whether W&B draws a figure better than a picture shows it."""
    return isinstance(figure, Matrix) and len(figure.classes) <= CLASSES


def is_picture(figure: Figure, *, of_curves: bool) -> bool:
    """Whether a figure is sent as a picture. of_curves: whether its charts show what was logged as metrics."""
    return not is_native(figure) and not (of_curves and isinstance(figure, Chart))


def matrix(given: Matrix) -> Any:
    """Return a confusion matrix as W&B's own chart."""
    rows = [
        [actual, predicted, int(count)]
        for actual, counts in zip(given.classes, given.counts, strict=True)
        for predicted, count in zip(given.classes, counts, strict=True)
    ]
    columns = ("Actual", "Predicted", "nPredictions")
    return wandb.plot_table(
        vega_spec_name="wandb/confusion_matrix/v1",
        data_table=wandb.Table(columns=[*columns], data=rows),
        fields={column: column for column in columns},
        string_fields={"title": given.title},
    )


def curves(predictions: Path, classes: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield two charts with a curve for each class against all others; none for more than `CLASSES` classes.

    predictions: predictions.safetensors of the run. A class that the test set lacks, or has only, has no curve.
    """
    if not predictions.is_file() or len(classes) > CLASSES:
        return
    import numpy as np
    from safetensors.numpy import load_file
    from scipy.special import softmax
    from sklearn.metrics import precision_recall_curve, roc_curve

    arrays = load_file(predictions)
    probabilities, targets = softmax(arrays["logits"], axis=1), arrays["targets"]  # (N, classes), (N,)
    grid = np.linspace(0, 1, POINTS)
    roc, tradeoff = [], []
    for number, name in enumerate(classes):
        if not 0 < (targets == number).sum() < len(targets):
            continue
        false, true, _ = roc_curve(targets == number, probabilities[:, number])
        roc += _rows(name, grid, np.interp(grid, false, true))
        precision, recall, _ = precision_recall_curve(targets == number, probabilities[:, number])
        reached = np.maximum.accumulate(precision)  # recall falls: the highest precision at this recall or a higher one
        tradeoff += _rows(name, grid, reached[len(recall) - np.searchsorted(recall[::-1], grid, side="left") - 1])
    if roc:
        yield "roc", _area("ROC, each class against the others", "False positive rate", "True positive rate", roc)
        yield "precision_recall", _area("Precision over recall", "Recall", "Precision", tradeoff)


def _rows(name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> list[list[Any]]:
    return [[name, round(float(one), 3), round(float(other), 3)] for one, other in zip(x, y, strict=True)]


def _area(title: str, x: str, y: str, rows: list[list[Any]]) -> Any:
    return wandb.plot_table(
        vega_spec_name="wandb/area-under-curve/v0",
        data_table=wandb.Table(columns=["class", "x", "y"], data=rows),
        fields={"x": "x", "y": "y", "class": "class"},
        string_fields={"title": title, "x-axis-title": x, "y-axis-title": y},
    )
