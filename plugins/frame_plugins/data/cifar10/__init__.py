"""Plugin `cifar10`: the CIFAR-10 dataset."""

from __future__ import annotations

from pathlib import Path

from frame import Component, DatasetComponent, DataSplits, hookimpl

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cifar10(DatasetComponent):
    """CIFAR-10: 60,000 colour images of 32x32 pixels in ten classes, 10,000 of them for testing.

    It is used as it lies in the data root or in its folder `cifar10`: a tree `train|test/<class>/` of images, the
    folder `cifar-10-batches-py`, or `cifar-10-python.tar.gz`; else the original is downloaded (170 MB) and verified.

    Mean (0.4914, 0.4822, 0.4465) and standard deviation (0.2023, 0.1994, 0.2010) are the customary ones, and those of
    the S10 assignment. That deviation is the mean over images of each image's own; over all pixels it is
    (0.2470, 0.2435, 0.2616).

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    def build(self, root: Path) -> DataSplits:
        from frame import images

        from .reading import read_cifar10

        train, test, left_out = read_cifar10(root)
        return DataSplits(
            train=train,
            test=test,
            classes=CLASSES,
            shape=(32, 32, 3),
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2023, 0.1994, 0.2010),
            checksum=images.checksum(CLASSES, train, test),
            left_out=left_out,
        )


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the dataset."""
    return {"cifar10": Cifar10}
