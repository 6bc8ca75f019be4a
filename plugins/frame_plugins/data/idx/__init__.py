"""Plugin `idx`: images in MNIST's file format."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from frame import Component, DatasetComponent, DataSplits, hookimpl


class Idx(DatasetComponent):
    """Images in MNIST's file format, as MNIST, Fashion-MNIST, KMNIST and EMNIST come: two files each for training and
    test.

    They lie in the data root, gzipped (`.gz`) or not; `train-images.idx3-ubyte` is found as `train-images-idx3-ubyte`
    too. Images are one array (N, H, W), grey, or (N, H, W, C). Mean and standard deviation are those of up to 2,000
    training images.

    Source of the format: Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits, 1998.
    """

    train_images: str = "train-images-idx3-ubyte"
    """The file of the training images, without `.gz`."""
    train_labels: str = "train-labels-idx1-ubyte"
    """The file of the training images' class numbers."""
    test_images: str = "t10k-images-idx3-ubyte"
    """The file of the test images."""
    test_labels: str = "t10k-labels-idx1-ubyte"
    """The file of the test images' class numbers."""
    classes: tuple[str, ...] = Field(default=(), examples=[["T-shirt", "Trouser"]])
    """The classes' names in the order of their numbers, from 0; the numbers themselves when not given."""

    def build(self, root: Path) -> DataSplits:
        from .reading import read_idx

        parts = (self.train_images, self.train_labels), (self.test_images, self.test_labels)
        return read_idx(root, parts, self.classes)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the dataset."""
    return {"idx": Idx}
