"""A plugin for the benchmarks: random uint8 images as many and as large as wanted, and a model with no work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import frame

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import nn


class Synthetic(frame.DatasetComponent):
    """Random images in ten classes."""

    train: int
    """Training images."""
    test: int = 10
    """Test images."""
    size: int = 32
    """Height and width."""
    lazy: bool = False
    """Make each image when it is asked for, as a folder of files does, instead of holding an array."""

    def build(self, root: Path) -> frame.DataSplits:  # noqa: ARG002
        train, test = (split(count, self.size, self.lazy) for count in (self.train, self.test))
        classes = tuple("abcdefghij")
        return frame.DataSplits(train, test, classes, (self.size, self.size, 3), (0.5,) * 3, (0.25,) * 3)


def split(count: int, size: int, lazy: bool = False) -> frame.Split:
    """Return `count` random images (size, size, 3) with random targets."""
    import numpy as np

    rng = np.random.default_rng(count)
    targets = rng.integers(0, 10, count)
    images = Lazy(count, size) if lazy else rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return frame.Split(images, targets)


class Lazy:
    """Images that are made when they are asked for."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        import numpy as np

        return np.random.default_rng(index).integers(0, 256, (self.size, self.size, 3), dtype=np.uint8)


class Null(frame.ModelComponent):
    """The mean of each channel and a linear layer: next to no work."""

    def build(self, data: frame.DataInfo) -> nn.Module:
        return null_model(data.num_classes)


def null_model(classes: int = 10) -> nn.Module:
    """Return the model with no work."""
    from torch import nn

    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))


@frame.hookimpl
def frame_components() -> dict[str, type[frame.Component]]:
    """Offer this module's components by name."""
    return {"synthetic": Synthetic, "null": Null}
