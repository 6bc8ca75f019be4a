"""Which classes the model takes for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Picture, Table, hookimpl

from ._figures import INK, house_style, new_figure, shorten

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Confusion matrix"
ANNOTATED = 20
"""Up to this many classes, each cell says its count."""
NAMED = 50
"""Up to this many classes, each row says its class; above, some of them do."""


class Confusion(AnalyzerComponent):
    """Confusion matrix of the test set, precision, recall and F1 of each class, and the pairs most often confused."""

    pairs: int = Field(10, ge=0)
    """Number of confused pairs in their table."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from sklearn.metrics import confusion_matrix

        classes, predictions = run.data.classes, run.predictions
        matrix = confusion_matrix(predictions.targets, predictions.predicted, labels=range(len(classes)))
        caption = (
            "Test images of each true class (row) by predicted class (column), in numbers. The colour is the share of "
            "the row, on a scale that shows small shares too; right answers lie on the diagonal."
        )
        return AnalyzerResult(
            TITLE,
            pictures=(Picture("confusion", TITLE, draw(matrix, classes), caption),),
            tables=(per_class(run), confused_pairs(matrix, classes, self.pairs)),
        )


def per_class(run: AnalysisRun) -> Table:
    """Precision, recall and F1 of each class; empty where a class was never predicted or never there."""
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    classes = run.data.classes
    scores = precision_recall_fscore_support(
        run.predictions.targets, run.predictions.predicted, labels=range(len(classes)), zero_division=np.nan
    )
    rows = [
        (name, *(None if np.isnan(value) else round(float(value), 4) for value in values), int(support))
        for name, *values, support in zip(classes, *scores, strict=True)
    ]
    caption = (
        "Precision: the share of right ones among the images given this class. Recall: the share of this class that "
        "was found. F1: their harmonic mean. Images: of this class in the test set."
    )
    return Table("per_class", "Scores of each class", ("class", "precision", "recall", "F1", "images"), rows, caption)


def confused_pairs(matrix: npt.NDArray[Any], classes: tuple[str, ...], count: int) -> Table:
    """The most frequent mistakes: true class, predicted class, how often, and the share of the true class."""
    import numpy as np

    mistakes = matrix * (1 - np.eye(len(classes), dtype=matrix.dtype))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    rows = [
        (classes[true], classes[predicted], int(mistakes[true, predicted]), round(float(share), 4))
        for true, predicted in zip(*np.unravel_index(order, mistakes.shape), strict=True)
        if mistakes[true, predicted]
        for share in [mistakes[true, predicted] / matrix[true].sum()]
    ]
    columns = ("true", "predicted", "images", "share of true class")
    return Table("confused_pairs", "Most confused pairs", columns, rows, "The most frequent mistakes.")


def draw(matrix: npt.NDArray[Any], classes: tuple[str, ...]) -> Figure:
    """Draw the matrix; its cells are annotated and its rows named as far as there is room."""
    from matplotlib.colors import PowerNorm

    share = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    with house_style():
        figure = new_figure(8.0)
        axes = figure.add_subplot()
        image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
        axes.set(title=TITLE, xlabel="predicted class", ylabel="true class")
        axes.spines[:].set_visible(False)
        name_classes(axes, classes)
        if len(classes) <= ANNOTATED:
            annotate(axes, matrix, share)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="{x:.0%}")
        bar.set_label("share of the true class")
        bar.ax.tick_params(labelsize=8)
    return figure


def name_classes(axes: Axes, classes: tuple[str, ...]) -> None:
    """Name the rows and columns: all of them, or every n-th where there are many."""
    shown = range(0, len(classes), -(-len(classes) // NAMED))
    names = [shorten(classes[i], 18) for i in shown]
    size = 9 if len(classes) <= ANNOTATED else 6.5
    axes.set_xticks(list(shown), names, rotation=45 if len(classes) <= ANNOTATED else 90, fontsize=size)
    axes.set_yticks(list(shown), names, fontsize=size)
    if len(classes) <= ANNOTATED:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)


def annotate(axes: Axes, matrix: npt.NDArray[Any], share: npt.NDArray[Any]) -> None:
    """Write each count into its cell, in the colour that reads on it; zeros stay empty."""
    size = 9 if len(matrix) <= 12 else 6.5
    for (row, column), count in ((place, matrix[place]) for place in zip(*matrix.nonzero(), strict=True)):
        color = "white" if share[row, column] > 0.35 else INK
        axes.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=size)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"confusion": Confusion}
