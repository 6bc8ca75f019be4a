"""Which classes the model takes for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Component,
    Matrix,
    Picture,
    Table,
    Thumbnail,
    figures,
    hookimpl,
    shorten,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Cells = list[tuple[int, int]]

TITLE = "Confusion matrix"
PAIRS = "Most confused pairs"
MOST_IMAGES = 600
"""Images of all cells together; with many classes, those of the fullest cells."""


class Confusion(AnalyzerComponent):
    """Confusion matrix of the test set, precision, recall and F1 of each class, and the pairs most often confused."""

    pairs: int = Field(10, ge=0)
    """Number of confused pairs in their table, and in their picture, which has 20 rows at most."""
    images_per_cell: int = Field(8, ge=0, le=50)
    """Number of images to browse for each cell of the matrix, the most confident ones; 600 in all at most."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from sklearn.metrics import confusion_matrix

        classes, predictions = run.data.classes, run.predictions
        matrix = confusion_matrix(predictions.targets, predictions.predicted, labels=range(len(classes)))
        caption = (
            "Test images of each true class (row) by predicted class (column), in numbers and as shares of the row, "
            "which the colour shows on a scale that tells small ones apart; right answers lie on the diagonal. Look "
            "for cells that stand out: two classes that look alike, or labels that mix them up."
        )
        mistakes = confused_cells(matrix)
        cells = mistakes + [(c, c) for c in range(len(classes)) if matrix[c, c]]
        pairs = mistakes[: self.pairs]
        picture = [pairs_picture(run, matrix, pairs[: figures.MOST_ROWS], self.images_per_cell)] if pairs else []
        return AnalyzerResult(
            TITLE,
            figures=(Matrix("confusion", TITLE, classes, matrix, caption), *picture),
            tables=(per_class(run), confused_pairs(matrix, classes, pairs)),
            images=tuple(figures.labelled_images(run, cell_images(run, cells, self.images_per_cell))),
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
    columns = ("class", "precision", "recall", "F1", "images")
    return Table("per_class", "Scores of each class", columns, rows, caption, percent=columns[1:4])


def confused_cells(matrix: npt.NDArray[Any]) -> Cells:
    """Return the cells of mistakes that have any, (true, predicted), the fullest first."""
    import numpy as np

    mistakes = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-mistakes, axis=None, kind="stable")[: np.count_nonzero(mistakes)]
    return [(int(true), int(predicted)) for true, predicted in zip(*np.unravel_index(order, matrix.shape), strict=True)]


def confused_pairs(matrix: npt.NDArray[Any], classes: tuple[str, ...], cells: Cells) -> Table:
    """The most frequent mistakes: true class, predicted class, how often, and the share of the true class."""
    rows = [
        (classes[true], classes[predicted], int(count), round(float(count / matrix[true].sum()), 4))
        for true, predicted in cells
        for count in [matrix[true, predicted]]
    ]
    columns = ("true", "predicted", "images", "share of true class")
    caption = "The most frequent mistakes." if rows else "The model made no mistake on the test images."
    return Table("confused_pairs", PAIRS, columns, rows, caption, percent=columns[-1:])


def pairs_picture(run: AnalysisRun, matrix: npt.NDArray[Any], cells: Cells, browsable: int) -> Picture:
    """Return the images of the most frequent mistakes, a row for each pair. browsable: how many of a cell are."""
    classes, rows = run.data.classes, []
    thumbnails: list[Thumbnail] = []
    shown = min(browsable, figures.IMAGES_PER_ROW) or figures.IMAGES_PER_ROW
    for true, predicted in cells:
        images = figures.labelled_images(run, cell_images(run, [(true, predicted)], shown))
        count = int(matrix[true, predicted])
        names = f"{shorten(classes[true], 16)}\n→ {shorten(classes[predicted], 16)}"
        captioned = [
            figures.Captioned(image.image, f"{100 * image.confidence:.1f} %\n#{image.index}") for image in images
        ]
        rows.append(figures.ImageRow(f"{names}\n{count:,} image{'s' if count > 1 else ''}", captioned))
        group = f"{classes[true]} → {classes[predicted]}"
        thumbnails += [Thumbnail(image.index, group=group) for image in images if browsable]
    caption = (
        f"The most frequent mistakes, a row for each pair (true class → predicted class, number of images), with up to "
        f"{shown} images, the most confident first. With each: confidence, and its number in the "
        "test set. If the images of a pair look alike to you too, more of them, larger images or better labels help; "
        "if not, the model misses what tells them apart."
    )
    return Picture(
        "confused_pairs", PAIRS, figures.image_rows(rows, title=PAIRS, color=figures.WRONG), caption, thumbnails
    )


def cell_images(run: AnalysisRun, cells: Cells, count: int) -> list[int]:
    """Return the numbers of up to `count` images of each cell, the most confident first."""
    import numpy as np

    order = np.argsort(-run.predictions.confidence, kind="stable")
    place = run.predictions.targets[order] * run.data.info.num_classes + run.predictions.predicted[order]
    chosen: list[int] = []
    for true, predicted in cells:
        if len(chosen) >= MOST_IMAGES:
            break
        chosen += order[place == true * run.data.info.num_classes + predicted][:count].tolist()
    return chosen[:MOST_IMAGES]


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"confusion": Confusion}
