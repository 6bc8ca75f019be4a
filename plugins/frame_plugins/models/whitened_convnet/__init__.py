"""A small fast network whose first layer whitens the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from frame import Component, DataInfo, ModelComponent, UserError, hookimpl

if TYPE_CHECKING:
    from .network import WhitenedConvNetModule

Width = Annotated[int, Field(gt=0)]


class WhitenedConvNet(ModelComponent):
    """The network of airbench94: 1,971,352 trainable parameters at the default widths, 3 channels, 10 classes.

    A 2x2 convolution that whitens the image, then three blocks of two 3x3 convolutions, each with batch norm and GELU.
    The whitening filters are the eigenvectors of the training images' patches, each with both signs, and stay as they
    are; their bias (`whiten.bias`) is trained, in the original for three epochs only (callback `freeze`). The other
    convolutions begin as the identity as far as they go. Made for 32x32 images and fit for any of at least 9x9.

    Source: K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024, https://arxiv.org/abs/2404.00498
    """

    widths: tuple[Width, Width, Width] = (64, 256, 256)
    """Channels after blocks 1, 2 and 3."""
    norm_momentum: float = Field(0.6, ge=0, lt=1)
    """Part of a batch norm's running mean and variance that each batch keeps."""
    scale: float = Field(1 / 9, gt=0)
    """Factor of the logits."""
    whiten_eps: float = Field(5e-4, gt=0)
    """Added to the variances that the whitening divides by: what varies less is amplified less."""

    def build(self, data: DataInfo) -> WhitenedConvNetModule:
        if min(data.shape[:2]) < 9:
            raise UserError(
                f"whitened_convnet halves its images three times and needs at least 9x9 pixels,"
                f" got {data.shape[0]}x{data.shape[1]}"
            )
        from .network import WhitenedConvNetModule

        return WhitenedConvNetModule(
            self.widths, data.channels, data.num_classes, self.norm_momentum, self.scale, self.whiten_eps
        )

    def cam_layers(self) -> Sequence[str]:
        return ("whiten", "block1", "block2", "block3")


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"whitened_convnet": WhitenedConvNet}
