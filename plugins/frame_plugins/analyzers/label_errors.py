"""Test images whose label is likely wrong, found by confident learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Component,
    Picture,
    Table,
    Thumbnail,
    figures,
    hookimpl,
    shorten,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from frame import Predictions

TITLE = "Likely label errors"
DOUBT = (
    "These are suggestions to check by eye, no verdicts: the model did not train on the test images, but it makes "
    "confident mistakes of its own, and they are counted as well: the true share is probably below the estimate."
)
WEAK = 0.7
"""A model that gets a smaller share of the test images right doubts right labels more often than wrong ones."""


class LabelErrors(AnalyzerComponent):
    """Test images whose label is likely wrong, by confident learning: the least believable label first.

    Source: Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70,
    https://arxiv.org/abs/1911.00068
    """

    count: int = Field(25, gt=0, le=400)
    """Number of images in the picture and to browse; the table has all."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        predictions, classes = run.predictions, run.data.classes
        guessed = confident_classes(predictions)
        suspects = rank_suspects(predictions, guessed)
        share = estimated_share(predictions.targets, guessed, len(classes))
        scalars = {"suspected images": float(len(suspects)), "estimated share of label errors": share}
        if not len(suspects):
            note = "No test image has a label that the model confidently contradicts."
            return AnalyzerResult(TITLE, scalars=scalars, notes=(note,))
        images = figures.labelled_images(run, suspects[: self.count].tolist())
        suggested = [classes[guessed[image.index]] for image in images]
        trust = [f"margin {margin:.2f}" for margin in margins(predictions, suspects[: self.count])]
        captioned = [
            figures.Captioned(
                image.image,
                f"label: {shorten(image.target, 15)}\nsuggested: {shorten(name, 11)}\n{margin} · #{image.index}",
            )
            for image, name, margin in zip(images, suggested, trust, strict=True)
        ]
        thumbnails = [
            Thumbnail(image.index, f"suggested: {name}, {margin}")
            for image, name, margin in zip(images, suggested, trust, strict=True)
        ]
        figure = figures.image_grid(captioned, title=TITLE, color=figures.WRONG)
        caption = (
            f"The {len(images)} least believable labels of {len(suspects):,} suspected ones. With each: its label, "
            "the class suggested instead, the margin (probability of the label less that of the likeliest other "
            f"class), and its number in the test set. {DOUBT}"
        )
        return AnalyzerResult(
            TITLE,
            figures=(Picture("label_errors", TITLE, figure, caption, thumbnails),),
            tables=(suspect_table(run, suspects, guessed),),
            images=tuple(images),
            scalars=scalars,
            notes=weakness(predictions.accuracy),
        )


def weakness(accuracy: float) -> tuple[str, ...]:
    """Return the note for a model that is too weak to judge labels; none for others."""
    if accuracy >= WEAK:
        return ()
    return (
        f"The model gets {100 * accuracy:.1f} % of the test images right: it is too weak to judge their labels, and "
        "most of what it suspects will be right.",
    )


def confident_classes(predictions: Predictions) -> npt.NDArray[np.int64]:
    """Return the class that each image is confidently counted under, (N,); -1 for those under none.

    An image counts for class j if its probability of j is at least t_j, the mean probability of j among the images
    labelled j; if that holds for several classes, for the likeliest of them.
    """
    import numpy as np

    probabilities, targets = predictions.probabilities.astype(float), predictions.targets
    thresholds = np.full(probabilities.shape[1], np.inf)  # a class that no image is labelled with is never guessed
    for c in np.unique(targets):
        thresholds[c] = probabilities[targets == c, c].mean()
    confident = probabilities >= thresholds - 1e-12  # equal ones, not undone by the mean's rounding
    guessed = np.where(confident, probabilities, -1.0).argmax(axis=1)
    return np.where(confident.any(axis=1), guessed, -1)


def rank_suspects(predictions: Predictions, guessed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the images off the diagonal of the confident joint, the smallest margin first."""
    import numpy as np

    suspects = np.flatnonzero((guessed >= 0) & (guessed != predictions.targets))
    return suspects[np.argsort(margins(predictions, suspects), kind="stable")]


def margins(predictions: Predictions, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each image's probability of its label less that of the likeliest other class, in [-1, 1]."""
    import numpy as np

    others = predictions.probabilities[indices].astype(float)  # (n, classes)
    place = (np.arange(len(indices)), predictions.targets[indices])
    own = others[place]
    others[place] = -1.0
    return own - others.max(axis=1)


def estimated_share(targets: npt.NDArray[np.int64], guessed: npt.NDArray[np.int64], classes: int) -> float:
    """Return the share of label errors: what lies off the diagonal of the estimated joint of labels and true classes.

    The joint is the counts of confident images, (labels, guesses), each row scaled to all images with that label.
    """
    import numpy as np
    from sklearn.metrics import confusion_matrix

    sure = guessed >= 0
    counts = confusion_matrix(targets[sure], guessed[sure], labels=range(classes))
    share_wrong = 1 - counts.diagonal() / counts.sum(axis=1).clip(1)
    share_wrong[counts.sum(axis=1) == 0] = 0.0
    return float(np.average(share_wrong, weights=np.bincount(targets, minlength=classes)))


def suspect_table(run: AnalysisRun, suspects: npt.NDArray[np.int64], guessed: npt.NDArray[np.int64]) -> Table:
    """Return the suspected images, a row each."""
    predictions, classes = run.predictions, run.data.classes
    rows = [
        (
            int(index),
            classes[target := predictions.targets[index]],
            classes[guess := guessed[index]],
            round(float(predictions.probabilities[index, target]), 4),
            round(float(predictions.probabilities[index, guess]), 4),
            round(float(margin), 4),
            run.data.test.source(int(index)),
        )
        for index, margin in zip(suspects, margins(predictions, suspects), strict=True)
    ]
    columns = ("index", "label", "suggested", "p(label)", "p(suggested)", "margin", "source")
    caption = "All suspected images, the least believable label first. index: the image's number in the test set."
    return Table("label_errors", TITLE, columns, rows, f"{caption} {DOUBT}", percent=("p(label)", "p(suggested)"))


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"label_errors": LabelErrors}
