"""Augmentation of whole batches on the device: random crop, horizontal flip, cutout, mixup and CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from frame import BatchTransform, Component, DataInfo, hookimpl

if TYPE_CHECKING:
    from .mixing import CutMixOp, MixupOp
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
    alternate: bool = False
    """Draw once for the whole run which half of the images is mirrored, and mirror the other half in every second
    epoch: each pair of epochs shows every image both ways. Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single
    GPU (2024), which calls it alternating flip."""

    @model_validator(mode="after")
    def _alternates_by_halves(self) -> RandomFlip:
        if self.alternate and self.p != 0.5:
            raise ValueError("alternate mirrors half of the images: leave p out")
        return self

    def build(self, data: DataInfo) -> RandomFlipOp:  # noqa: ARG002
        from .ops import RandomFlipOp

        return RandomFlipOp(self.p, self.alternate)


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

        return CutoutOp(self.size, data.mean_pixel if self.fill == "mean" else (0,) * data.channels, self.p)


class Mixup(BatchTransform):
    """Blends each image with its neighbour in the batch, which is a random other one, and their targets likewise.

    Targets become class probabilities (N, classes). Source: Zhang et al., mixup: Beyond Empirical Risk Minimization
    (2018); there the partner is drawn, here it is the neighbour, as in torchvision.
    """

    alpha: float = Field(0.2, gt=0)
    """Both parameters of the Beta distribution that the batch's share is drawn from; 1 is uniform."""
    p: float = Field(1.0, ge=0, le=1)
    """The part of the batches that is mixed."""

    def build(self, data: DataInfo) -> MixupOp:
        from .mixing import MixupOp

        return MixupOp(self.alpha, self.p, data.num_classes)


class CutMix(BatchTransform):
    """Shows in a random box of each image its neighbour in the batch; the targets are mixed by the box's area.

    Targets become class probabilities (N, classes). Source: Yun et al., CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features (2019); the partner is the neighbour, as in torchvision.
    """

    alpha: float = Field(1.0, gt=0)
    """Both parameters of the Beta distribution that the share left to the image is drawn from; 1 is uniform."""
    p: float = Field(1.0, ge=0, le=1)
    """The part of the batches that is mixed."""

    def build(self, data: DataInfo) -> CutMixOp:
        from .mixing import CutMixOp

        return CutMixOp(self.alpha, self.p, data.num_classes)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {
        "random_crop": RandomCrop,
        "random_flip": RandomFlip,
        "cutout": Cutout,
        "mixup": Mixup,
        "cutmix": CutMix,
    }
