"""Training samples as the dataset has them, and as the network gets them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Component,
    Image,
    Picture,
    Split,
    UserError,
    figures,
    hookimpl,
    shorten,
)

if TYPE_CHECKING:
    import numpy as np

    from frame import Targets


class Samples(AnalyzerComponent):
    """Training samples with their class names: each as the dataset has it, and beside it as augmented in one epoch."""

    count: int = Field(25, gt=0, le=400)
    """Number of samples, spread over the classes and drawn with the run's seed."""
    epoch: int = Field(0, ge=0)
    """The epoch (from 0) whose augmentation is shown."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        import numpy as np

        train = run.data.train
        indices, originals = readable(train, spread(train.targets, self.count, run.seed))
        augmented = run.training_pixels(indices, self.epoch)  # (N, H, W, C) uint8
        names = [shorten(run.data.classes[train.targets[index]], 20) for index in indices]
        wanted = min(self.count, len(train))
        notes = [] if wanted == self.count else [f"The training set has {wanted} images only."]
        if lost := wanted - len(indices):
            notes.append(f"{lost} of the samples that were drawn cannot be read and are left out.")
        if all(map(np.array_equal, originals, augmented)):
            title, pairs = "Training samples", originals
            caption = "Training samples with their classes. The recipe's transforms leave them as they are."
        else:
            title = "Training samples: original (left) and augmented (right)"
            pairs = [beside(*pair) for pair in zip(originals, augmented, strict=True)]
            caption = (
                "Training samples with their classes: left as the dataset has them, right as the network got them "
                f"in epoch {self.epoch + 1}."
            )
        captioned = [figures.Captioned(pair, name) for pair, name in zip(pairs, names, strict=True)]
        picture = Picture("samples", "Training samples", figures.image_grid(captioned, title=title), caption)
        return AnalyzerResult("Training samples", figures=(picture,), notes=tuple(notes))


def spread(targets: Targets, count: int, seed: int) -> list[int]:
    """Draw `count` samples so that the classes take turns; of more classes than `count`, some are drawn."""
    import numpy as np

    rng = np.random.default_rng(seed)
    classes = np.unique(targets)
    if len(classes) > count:
        classes = np.sort(rng.choice(classes, count, replace=False))
    queues = [rng.permutation(np.flatnonzero(targets == c)).tolist() for c in classes]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return turns[:count]


def readable(train: Split, indices: Sequence[int]) -> tuple[list[int], list[np.ndarray]]:
    """Return the numbers of those images that can be read, and them: with `data.unreadable: skip` there are others."""
    import numpy as np

    images = {}
    for index in indices:
        with suppress(UserError):
            images[index] = np.asarray(train.image(index))
    return list(images), list(images.values())


def beside(left: Image, right: Image) -> np.ndarray:
    """Put two images, (H, W, C) uint8, side by side on white, a gap between them; their sizes may differ."""
    import numpy as np

    height = max(left.shape[0], right.shape[0])
    gap = max(1, left.shape[1] // 16)
    canvas = np.full((height, left.shape[1] + gap + right.shape[1], left.shape[2]), 255, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] + gap :] = right
    return canvas


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"samples": Samples}
