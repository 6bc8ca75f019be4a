"""Augmentation of whole batches on the device: random crop, horizontal flip and cutout, drawn for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from frame import BatchTransform, Component, DataInfo, hookimpl

from .._pipeline import mean_pixel

if TYPE_CHECKING:
    from .ops import CutoutOp, RandomCropOp, RandomFlipOp


class RandomCrop(BatchTransform):
    """Pads each image and crops it back to its size at a random place: a shift by at most `padding` pixels."""

    padding: int = Field(4, gt=0)
    """Pixels added on each side before cropping."""
    mode: Literal["zero", "reflect"] = "zero"
    """What the padding shows: black, or the image mirrored at its edge."""

    def build(self, data: DataInfo) -> RandomCropOp:  # noqa: ARG002
        from .ops import RandomCropOp

        return RandomCropOp(self.padding, self.mode == "reflect")


class RandomFlip(BatchTransform):
    """Mirrors images left to right."""

    p: float = Field(0.5, ge=0, le=1)
    """The part of the images that is mirrored."""

    def build(self, data: DataInfo) -> RandomFlipOp:  # noqa: ARG002
        from .ops import RandomFlipOp

        return RandomFlipOp(self.p)


class Cutout(BatchTransform):
    """Covers a random square of each image, which lies fully inside it.

    Source: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017); there the
    square may reach over the edge, here it does not, as in David Page's CIFAR-10 training.
    """

    size: int = Field(8, gt=0)
    """Side of the square in pixels."""
    fill: Literal["mean", "zero"] = "mean"
    """Colour of the square: the dataset's mean or black."""
    p: float = Field(1.0, ge=0, le=1)
    """The part of the images that gets a square."""

    def build(self, data: DataInfo) -> CutoutOp:
        from .ops import CutoutOp

        return CutoutOp(self.size, mean_pixel(data) if self.fill == "mean" else (0,) * data.channels, self.p)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"random_crop": RandomCrop, "random_flip": RandomFlip, "cutout": Cutout}
