"""Test images with what the model made of them: which ones to show, what to say of them, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..results import LabelledImage, Table
from ..text import shorten

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..contracts import AnalysisRun
    from ..data import Predictions

Order: TypeAlias = Literal["confidence", "least_confident", "loss", "first", "random"]
"""Which test images come first: the most or the least confident ones, the highest losses, the first of the test set, or
some drawn at random."""


def choose(predictions: Predictions, *, correct: bool, order: Order, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return up to `count` numbers of test images that the model got right (or wrong), in the order to show them."""
    import numpy as np

    candidates = np.flatnonzero(predictions.correct == correct)
    if order == "random":
        return np.random.default_rng(seed).permutation(candidates)[:count]
    confidence, losses = predictions.confidence, predictions.losses
    ranks = {"confidence": -confidence, "least_confident": confidence, "loss": -losses, "first": 0 * losses}
    return candidates[np.argsort(ranks[order][candidates], kind="stable")][:count]


def verdict(run: AnalysisRun, index: int, width: int = 22) -> str:
    """Say what the model made of a test image, in lines of about `width` characters.

    `cat` and its confidence if it was right, `cat → dog` (true → predicted) if it was wrong.
    """
    predictions, classes = run.predictions, run.data.classes
    target, predicted = classes[predictions.targets[index]], classes[predictions.predicted[index]]
    confidence = f"{100 * predictions.confidence[index]:.1f} %"
    if target == predicted:
        return f"{shorten(target, width - 1)}\n{confidence}"
    if len(target) + len(predicted) + 3 > width:
        return f"{shorten(target, width - 3)}\n→ {shorten(predicted, width - 3)}\n{confidence}"
    return f"{target} → {predicted}\n{confidence}"


def shortage(found: int, wanted: int, *, correct: bool) -> tuple[str, ...]:
    """Return the note for a choice with fewer images than asked for; none if there are enough."""
    if found >= wanted:
        return ()
    if not found:
        what = "got no test image right" if correct else "made no mistake on the test images"
        return (f"The model {what}: there is none to show.",)
    what = "got no more test images right" if correct else "made no more mistakes on the test images"
    return (f"Only {found} of the {wanted} images asked for: the model {what}.",)


def labelled_images(run: AnalysisRun, indices: Sequence[int]) -> list[LabelledImage]:
    """Return test images with what the model made of them."""
    if not len(indices):
        return []
    predictions, classes = run.predictions, run.data.classes
    pixels = run.evaluation_pixels(indices)  # (N, H, W, C) uint8
    return [
        LabelledImage(
            image=image,
            index=int(index),
            target=classes[predictions.targets[index]],
            predicted=classes[predictions.predicted[index]],
            confidence=float(predictions.confidence[index]),
            loss=float(predictions.losses[index]),
            source=run.data.test.source(index),
        )
        for image, index in zip(pixels, indices, strict=True)
    ]


def image_table(name: str, title: str, images: Sequence[LabelledImage]) -> Table:
    """Return the images' facts, a row each."""
    rows = [(i.index, i.target, i.predicted, round(i.confidence, 6), round(i.loss, 6), i.source) for i in images]
    columns = ("index", "true", "predicted", "confidence", "loss", "source")
    caption = "index: the image's number in the test set. loss: its cross-entropy."
    return Table(name, title, columns, rows, caption, percent=("confidence",))
