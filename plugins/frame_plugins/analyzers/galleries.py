"""Galleries of test images that the model got right, and of those it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Component,
    LabelledImage,
    Picture,
    Thumbnail,
    figures,
    hookimpl,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDERS: dict[figures.Order, str] = {
    "confidence": "the most confident",
    "least_confident": "the least confident",
    "loss": "the highest losses",
    "first": "the first of the test set",
    "random": "drawn at random",
}
HINTS: dict[tuple[bool, figures.Order], str] = {
    (True, "confidence"): "What the model takes for typical.",
    (True, "least_confident"): "Right by little: what the model finds hard. More training images like these help most.",
    (True, "loss"): "Right by little: what the model finds hard. More training images like these help most.",
    (True, "random"): "A fair sample of what the model gets right.",
    (False, "confidence"): (
        "Look here first for wrong labels and for classes that overlap; if neither, the model follows a wrong cue, "
        "which Grad-CAM may show."
    ),
    (False, "least_confident"): "Close to the border between classes: the mistakes that longer training may mend.",
    (False, "loss"): "They weigh most in the test loss; wrong and doubtful labels gather here.",
    (False, "random"): "A fair sample of the mistakes.",
}
"""What to make of (right ones or not, in this order)."""


class Correct(AnalyzerComponent):
    """Test images that the model classified rightly, each with its class, the confidence, its number and its file."""

    count: int | None = Field(None, gt=0, le=400)
    """Number of images; by default 25, or 8 of each class with `per_class`."""
    order: figures.Order = "random"
    """Which ones: the most (`confidence`) or `least_confident`, the highest `loss`, the `first` of the test set, or
    `random` (drawn with the run's seed)."""
    per_class: bool = False
    """Whether to choose `count` images of each true class, a row for each, instead of `count` in all."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        return gallery(run, self, correct=True)


class Misclassified(AnalyzerComponent):
    """Test images that the model classified wrongly: true and predicted class, confidence, number and file of each."""

    count: int | None = Field(None, gt=0, le=400)
    """Number of images; by default 25, or 8 of each class with `per_class`."""
    order: figures.Order = "confidence"
    """Which ones: the most (`confidence`) or `least_confident`, the highest `loss`, the `first` of the test set, or
    `random` (drawn with the run's seed)."""
    per_class: bool = False
    """Whether to choose `count` images of each true class, a row for each, instead of `count` in all."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        return gallery(run, self, correct=False)


def gallery(run: AnalysisRun, settings: Correct | Misclassified, *, correct: bool) -> AnalyzerResult:
    """Return the picture, the images themselves and a table of them."""
    order, targets = settings.order, run.predictions.targets
    wanted = settings.count or (figures.IMAGES_PER_ROW if settings.per_class else 25)
    name, each = "correct" if correct else "misclassified", ", for each class" if settings.per_class else ""
    title = f"{name.title()}: {ORDERS[order]}{each}"
    candidates = figures.choose(run.predictions, correct=correct, order=order, count=len(targets), seed=run.seed)
    scalars = {"images": float(len(candidates)), "share": len(candidates) / len(targets)}
    if not len(candidates):
        return AnalyzerResult(title, scalars=scalars, notes=figures.shortage(0, wanted, correct=correct))
    if settings.per_class:
        groups = [candidates[targets[candidates] == c][:wanted] for c in range(run.data.info.num_classes)]
        images = figures.labelled_images(run, [index for group in groups for index in group])
        notes = without(run, images, correct=correct)
        figure, above = rows_picture(run, images, title, correct=correct, losses=order == "loss")
    else:
        images = figures.labelled_images(run, candidates[:wanted].tolist())
        notes = figures.shortage(len(images), wanted, correct=correct)
        figure, above = grid_picture(run, images, title, correct=correct, losses=order == "loss")
    caption = f"{len(images)} of {len(candidates):,} {name} test images: {ORDERS[order]}{each}. With each: {above}."
    thumbnails = [
        Thumbnail(image.index, loss(image, order == "loss"), group=image.target if settings.per_class else "")
        for image in images
    ]
    caption = f"{caption} {HINTS.get((correct, order), '')}".strip()
    return AnalyzerResult(
        title,
        figures=(Picture(name, title, figure, caption, thumbnails),),
        tables=(figures.image_table(name, title, images),),
        images=tuple(images),
        scalars=scalars,
        notes=notes,
    )


def without(run: AnalysisRun, images: Sequence[LabelledImage], *, correct: bool) -> tuple[str, ...]:
    """Return the note that names the classes without an image; none if all have one."""
    found = {image.target for image in images}
    missing = [name for name in run.data.classes if name not in found]
    if not missing:
        return ()
    kind = "rightly classified image" if correct else "mistake"
    return (f"No {kind} among the test images of: {shorten(', '.join(missing), 200)}.",)


def grid_picture(
    run: AnalysisRun, images: Sequence[LabelledImage], title: str, *, correct: bool, losses: bool
) -> tuple[Figure, str]:
    """Return the images in a grid, and what is said of each."""
    above = f"{'class' if correct else 'true class → predicted class'}, confidence, number{', loss' if losses else ''}"
    captioned = [
        figures.Captioned(image.image, f"{figures.verdict(run, image.index)} · #{image.index}{below(image, losses)}")
        for image in images
    ]
    return figures.image_grid(captioned, title=title, color=figures.RIGHT if correct else figures.WRONG), above


def rows_picture(
    run: AnalysisRun, images: Sequence[LabelledImage], title: str, *, correct: bool, losses: bool
) -> tuple[Figure, str]:
    """Return the images in rows, one for each true class, and what is said of each."""
    above = f"{'' if correct else 'predicted class, '}confidence, number{', loss' if losses else ''}"
    rows = []
    for name in run.data.classes:
        group = [image for image in images if image.target == name][: figures.IMAGES_PER_ROW]
        predicted = ["" if correct else f"→ {shorten(image.predicted, 11)}\n" for image in group]
        captioned = [
            figures.Captioned(
                image.image, f"{first}{100 * image.confidence:.1f} %\n#{image.index}{below(image, losses)}"
            )
            for first, image in zip(predicted, group, strict=True)
        ]
        if group:
            rows.append(figures.ImageRow(shorten(name, 18), captioned))
    if len(rows) > figures.MOST_ROWS:
        above += f". The picture has the first {figures.MOST_ROWS} of {len(rows)} classes, the table all"
    color = figures.RIGHT if correct else figures.WRONG
    return figures.image_rows(rows[: figures.MOST_ROWS], title=title, color=color), above


def below(image: LabelledImage, losses: bool) -> str:
    """Return the line that says an image's loss, if it is to be shown."""
    return f"\n{loss(image, losses)}" if losses else ""


def loss(image: LabelledImage, shown: bool) -> str:
    """Return an image's loss in words, if it is to be shown."""
    return f"loss {image.loss:.2f}" if shown else ""


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"correct": Correct, "misclassified": Misclassified}
