"""Plugin `digits`: a small dataset that needs no download."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from frame import Component, DatasetComponent, DataSplits, Split, hookimpl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SPLIT_SEED = 0


class Digits(DatasetComponent):
    """Handwritten digits: 1,797 grey images in ten classes, 8x8 pixels enlarged to 32x32 (bicubic).

    They come with scikit-learn and need no download; the data root is not looked at. The test part is split off with
    the share of each digit kept, always in the same way. Mean and standard deviation are those of the training part.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
    (its test part).
    """

    test_fraction: float = Field(0.2, ge=0.01, le=0.9)
    """Share of the images that is kept for testing."""

    def build(self, root: Path) -> DataSplits:  # noqa: ARG002 - nothing is read from there
        import numpy as np
        from sklearn.model_selection import train_test_split

        from frame import images

        pixels, targets = _digits()
        classes = tuple(str(digit) for digit in range(10))

        parts = train_test_split(
            np.arange(len(targets)), test_size=self.test_fraction, stratify=targets, random_state=SPLIT_SEED
        )
        train, test = (
            Split(pixels[part], targets[part], [f"digits[{number}]" for number in part]) for part in map(np.sort, parts)
        )
        mean, std = images.mean_and_std(train.images)
        return DataSplits(train, test, classes, (32, 32, 1), mean, std, images.checksum(classes, train, test))


@cache
def _digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return images (N, 32, 32, 1) and targets (N,), made once a process: a third of the time of a short run."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (N, 8, 8), from 0..16
    large = [Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC) for image in small]
    return np.stack([np.asarray(image) for image in large])[..., None], digits.target.astype(np.int64)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the dataset."""
    return {"digits": Digits}
