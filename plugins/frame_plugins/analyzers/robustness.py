"""Accuracy on corrupted test images: noise, blur, light, contrast, JPEG."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean as mean
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Chart,
    Color,
    Component,
    Picture,
    Series,
    Table,
    figures,
    hookimpl,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from frame import Image

Corruption = Literal[
    "gaussian_noise", "impulse_noise", "gaussian_blur", "motion_blur", "brighter", "darker", "low_contrast", "jpeg"
]
Accuracies = dict[Corruption, dict[int, float]]
"""Corruption -> severity -> share of the images that are classified rightly."""
TITLE = "Robustness to corruptions"
BATCH = 250
"""Images that are held at once, with all that is made of them."""


@dataclass(frozen=True)
class Kind:
    """A kind of corruption: its line in the chart, and its strengths at the severities 1 to 5 by the images' size."""

    color: Color
    dashed: bool
    small: tuple[float, ...]
    large: tuple[float, ...]


LARGE = 64
"""Pixels: images with both sides above it take the strengths of ImageNet-C (224 x 224), others those of CIFAR-10-C."""

KINDS: dict[Corruption, Kind] = {
    "gaussian_noise": Kind("blue", False, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "impulse_noise": Kind("blue", True, (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": Kind("vermillion", False, (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)),
    "motion_blur": Kind("vermillion", True, (3, 3, 5, 5, 7), (7, 11, 15, 19, 23)),
    "brighter": Kind("orange", False, (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "darker": Kind("orange", True, (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "low_contrast": Kind("green", False, (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "jpeg": Kind("purple", False, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
}
"""Noise: standard deviation, share of the pixels. Blur: sigma, length of the line, in pixels. Light: what is added to
or taken from all pixels, as a share of white. Contrast: what is left of it. JPEG: quality."""


def ascending(severities: tuple[int, ...]) -> tuple[int, ...]:
    """Return each severity once, from weak to strong."""
    return tuple(sorted(set(severities)))


class Robustness(AnalyzerComponent):
    """Accuracy on test images with noise, blur, other light, low contrast and JPEG artefacts, by severity.

    Kinds and strengths follow CIFAR-10-C and ImageNet-C, but albumentations makes them: compare runs with each other,
    not with published numbers. (The line of a motion blur and the darker images are frame's own.) Runs the model on
    `images` x (corruptions x severities + 1) images: 25,000 at the defaults, 2.5 evaluations of a test set of 10,000.

    Source: Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261
    """

    needs_model: ClassVar[bool] = True

    images: int = Field(1000, ge=1)
    """Number of test images, drawn with the run's seed; all of them if there are fewer."""
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], AfterValidator(ascending)] = Field(
        (1, 3, 5), min_length=1
    )
    """Which of the severities 1 (weak) to 5 (strong)."""
    corruptions: tuple[Corruption, ...] = Field(tuple(KINDS), min_length=1)
    """Which kinds of corruption."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        chosen = subset(len(run.data.test), self.images, run.seed)
        height, width, _ = run.evaluation_pixels([int(chosen[0])])[0].shape
        corrupters = [
            Corrupter(name, severity, transform(name, severity, large=min(height, width) > LARGE), run.seed)
            for name in dict.fromkeys(self.corruptions)
            for severity in self.severities
        ]
        clean, accuracies = measure(run, chosen, corrupters)
        chance = (
            f"On {len(chosen):,} test images, differences below {100 / len(chosen) ** 0.5:.1f} points may be chance."
        )
        example = int(chosen[0])
        figure = examples(run.evaluation_pixels([example])[0], example, corrupters)
        looks = "A test image as it is, and with each corruption at each of the severities measured."
        return AnalyzerResult(
            TITLE,
            figures=(chart(clean, accuracies, chance), Picture("corruptions", "The corruptions", figure, looks)),
            tables=(table(clean, accuracies, chance),),
            scalars={
                "clean accuracy": clean,
                "mean corruption accuracy": mean([mean(row.values()) for row in accuracies.values()]),
                "images": float(len(chosen)),
            },
        )


def title(name: Corruption) -> str:
    """Return a corruption's name as it is written: `Gaussian noise`."""
    return name.replace("_", " ").replace("gaussian", "Gaussian").replace("jpeg", "JPEG")


def subset(total: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw `count` of `total` images, in their order; all if there are fewer."""
    import numpy as np

    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def transform(name: Corruption, severity: int, *, large: bool) -> Any:
    """Return albumentations' transform for a corruption; it works on grey and on colour images."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks its server for news
    import albumentations as lib

    kind = KINDS[name]
    by = (kind.large if large else kind.small)[severity - 1]
    makers: dict[Corruption, Callable[[], Any]] = {
        "gaussian_noise": lambda: lib.GaussNoise(std_range=(by, by), p=1),
        "impulse_noise": lambda: lib.SaltAndPepper(amount=(by, by), salt_vs_pepper=(0.5, 0.5), p=1),
        "gaussian_blur": lambda: lib.GaussianBlur(sigma_limit=(by, by), blur_limit=0, p=1),
        "motion_blur": lambda: lib.MotionBlur((int(by), int(by)), allow_shifted=False, direction_range=(0, 0), p=1),
        "brighter": lambda: lib.RandomBrightnessContrast((by, by), (0, 0), p=1),
        "darker": lambda: lib.RandomBrightnessContrast((-by, -by), (0, 0), p=1),
        "low_contrast": lambda: lib.ColorJitter((1, 1), contrast=(by, by), saturation=(1, 1), hue=(0, 0), p=1),
        "jpeg": lambda: lib.ImageCompression("jpeg", quality_range=(int(by), int(by)), p=1),
    }
    return makers[name]()


@dataclass(frozen=True)
class Corrupter:
    """Corrupts images. Its draws depend on seed, corruption and image; of each, they are one for all severities."""

    name: Corruption
    severity: int
    transform: Any
    seed: int

    def __call__(self, image: Image, index: int) -> Image:
        """Return the test image number `index`, (H, W, C) uint8, corrupted."""
        import numpy as np

        rng = np.random.default_rng([self.seed, list(KINDS).index(self.name), index])
        self.transform.set_random_state(rng, Random(int(rng.integers(2**63))))  # noqa: S311
        corrupted: Image = self.transform(image=image)["image"]
        return corrupted


def measure(
    run: AnalysisRun, chosen: npt.NDArray[np.int64], corrupters: Sequence[Corrupter]
) -> tuple[float, Accuracies]:
    """Return the accuracy on the images as they are, and for each corruption that at each severity."""
    import numpy as np
    from sklearn.metrics import accuracy_score

    predicted: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(1 + len(corrupters))]
    for part in np.split(chosen, range(BATCH, len(chosen), BATCH)):
        indices = part.tolist()
        pixels = np.ascontiguousarray(run.evaluation_pixels(indices))  # (N, H, W, C) uint8
        predicted[0].append(run.logits(pixels).argmax(axis=1))
        for corrupt, found in zip(corrupters, predicted[1:], strict=True):
            images = np.stack([corrupt(image, index) for image, index in zip(pixels, indices, strict=True)])
            found.append(run.logits(images).argmax(axis=1))
    targets = run.data.test.targets[chosen]
    clean, *rest = (float(accuracy_score(targets, np.concatenate(found))) for found in predicted)
    accuracies: Accuracies = {corrupt.name: {} for corrupt in corrupters}
    for corrupt, accuracy in zip(corrupters, rest, strict=True):
        accuracies[corrupt.name][corrupt.severity] = accuracy
    return clean, accuracies


def chart(clean: float, accuracies: Accuracies, chance: str) -> Chart:
    """Return accuracy against severity, a line for each corruption, all from the accuracy on the images as they are."""
    series = [
        Series(title(name), (0, *row), (clean, *row.values()), KINDS[name].color, dashed=KINDS[name].dashed)
        for name, row in accuracies.items()
    ]
    worst = min(accuracies, key=lambda name: mean(accuracies[name].values()))
    caption = (
        f"Accuracy as the images get worse; severity 0 is the images as they are ({100 * clean:.1f} %). It falls most "
        f"for {title(worst)}: if such images are to be expected, put it among the training's transforms. {chance}"
    )
    return Chart("robustness", TITLE, "severity", "accuracy (%)", series, caption, percent=True)


def table(clean: float, accuracies: Accuracies, chance: str) -> Table:
    """Return the accuracies, a row for each corruption, that which costs most first."""
    means = {name: mean(row.values()) for name, row in accuracies.items()}
    ranked = sorted(accuracies, key=lambda name: means[name])
    severities = list(accuracies[ranked[0]])
    columns = ("corruption", *(f"severity {severity}" for severity in severities), "mean", "drop")
    rows = [("none", *[None] * len(severities), round(clean, 4), 0.0)] + [
        (
            title(name),
            *(round(v, 4) for v in accuracies[name].values()),
            round(means[name], 4),
            round(clean - means[name], 4),
        )
        for name in ranked
    ]
    caption = f"Accuracy at each severity, their mean, and how far that is below the images as they are. {chance}"
    return Table("robustness", "Accuracy by corruption and severity", columns, rows, caption, percent=columns[1:])


def examples(image: Image, index: int, corrupters: Sequence[Corrupter]) -> Figure:
    """Return a picture of one image, as it is and with a column for each corruption, a row for each severity."""
    names = list(dict.fromkeys(corrupt.name for corrupt in corrupters))
    severities = list(dict.fromkeys(corrupt.severity for corrupt in corrupters))
    cell = 0.92  # inches
    with figures.house_style():
        ratio = min(image.shape[0] / image.shape[1], 2.0)
        figure = figures.new_figure(0.75 + len(severities) * (cell * ratio + 0.06), 0.6 + cell * (len(names) + 1))
        figure.suptitle("A test image with each corruption")
        grid = figure.subplots(len(severities), len(names) + 1, squeeze=False)
        figures.show_image(grid[0, 0], image)
        grid[0, 0].set_title("as it is", fontsize=9)
        for axes in grid[1:, 0]:
            axes.set_axis_off()
        for corrupt in corrupters:
            row, column = severities.index(corrupt.severity), 1 + names.index(corrupt.name)
            figures.show_image(grid[row, column], corrupt(image, index))
            if row == 0:
                grid[row, column].set_title(title(corrupt.name).replace(" ", "\n"), fontsize=9)
            if column == 1:
                grid[row, column].set_ylabel(f"severity {corrupt.severity}", fontsize=8.5)
    return figure


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"robustness": Robustness}
