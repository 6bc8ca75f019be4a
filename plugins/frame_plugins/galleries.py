"""Galleries of test images that the model got right, and of those it got wrong."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, LabelledImage, Picture, Table, hookimpl

from ._choice import Order, choose, shortage, verdict
from ._figures import RIGHT, WRONG, image_grid

ORDERS = {"confidence": "the most confident first", "first": "the first of the test set", "random": "drawn at random"}


class Correct(AnalyzerComponent):
    """Test images that the model classified rightly, each with its class and the confidence."""

    count: int = Field(25, gt=0, le=400)
    """Number of images."""
    order: Order = "random"
    """Which ones: the most `confidence`, the `first` of the test set, or `random` (drawn with the run's seed)."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        return gallery(run, correct=True, order=self.order, count=self.count)


class Misclassified(AnalyzerComponent):
    """Test images that the model classified wrongly, each with the true and the predicted class and the confidence."""

    count: int = Field(25, gt=0, le=400)
    """Number of images."""
    order: Order = "confidence"
    """Which ones: the most `confidence`, the `first` of the test set, or `random` (drawn with the run's seed)."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        return gallery(run, correct=False, order=self.order, count=self.count)


def gallery(run: AnalysisRun, *, correct: bool, order: Order, count: int) -> AnalyzerResult:
    """Return the picture grid, the images themselves and a table of them."""
    chosen = choose(run.predictions, correct=correct, order=order, count=count, seed=run.seed)
    name, title = ("correct", "Correctly classified") if correct else ("misclassified", "Misclassified")
    total = int((run.predictions.correct == correct).sum())
    scalars = {"images": float(total), "share": total / len(run.predictions.targets)}
    notes = shortage(len(chosen), count, correct=correct)
    if not len(chosen):
        return AnalyzerResult(title, scalars=scalars, notes=notes)
    indices = [int(index) for index in chosen]
    images = labelled(run, indices)
    heading = "class" if correct else "true class → predicted class"
    figure = image_grid(
        [image.image for image in images],
        [verdict(run, index) for index in indices],
        title=f"{title}: {heading}, and confidence",
        color=RIGHT if correct else WRONG,
    )
    caption = (
        f"{len(images)} of {total:,} {title.lower()} test images, {ORDERS[order]}. Above each: {heading}, confidence."
    )
    return AnalyzerResult(
        title,
        pictures=(Picture(name, title, figure, caption),),
        tables=(table(name, title, images),),
        images=tuple(images),
        scalars=scalars,
        notes=notes,
    )


def labelled(run: AnalysisRun, indices: Sequence[int]) -> list[LabelledImage]:
    """Return test images with what the model made of them."""
    predictions, classes = run.predictions, run.data.classes
    pixels = run.evaluation_pixels(indices)  # (N, H, W, C) uint8
    return [
        LabelledImage(
            image=image,
            index=index,
            target=classes[predictions.targets[index]],
            predicted=classes[predictions.predicted[index]],
            confidence=float(predictions.confidence[index]),
            loss=float(predictions.losses[index]),
            source=run.data.test.source(index),
        )
        for image, index in zip(pixels, indices, strict=True)
    ]


def table(name: str, title: str, images: Sequence[LabelledImage]) -> Table:
    """Return the images' facts, a row each."""
    rows = [(i.index, i.target, i.predicted, round(i.confidence, 6), round(i.loss, 6), i.source) for i in images]
    columns = ("index", "true", "predicted", "confidence", "loss", "source")
    return Table(name, title, columns, rows, "index: the image's number in the test set. loss: its cross-entropy.")


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"correct": Correct, "misclassified": Misclassified}
