"""The network of the S10 assignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from frame import Component, DataInfo, ModelComponent, UserError, hookimpl

if TYPE_CHECKING:
    from .network import CustomResNetModule

Width = Annotated[int, Field(gt=0)]


class CustomResNet(ModelComponent):
    """ResNet-9-like network of the S10 assignment: 6,573,120 parameters at the default widths, 3 channels, 10 classes.

    Made for 32x32 images and fit for any of at least 8x8. The shape goes back to David Page's ResNet-9 (How to Train
    Your ResNet, 2018); here the first layer of each block pools before its normalisation.
    """

    widths: tuple[Width, Width, Width, Width] = (64, 128, 256, 512)
    """Channels after the preparation layer and after layers 1, 2 and 3."""
    scale: float = Field(1.0, gt=0)
    """Factor of the logits. Page's ResNet-9 has 0.125, without which his learning rates are too high."""
    softmax: bool = False
    """Ends the network in a softmax, on which cross-entropy then applies its own. A mistake, kept for one purpose: the
    original notebook was run that way (its loss cannot fall below 1.4612), and its run can be repeated exactly."""

    def build(self, data: DataInfo) -> CustomResNetModule:
        if min(data.shape[:2]) < 8:
            raise UserError(
                f"custom_resnet halves its images three times and needs at least 8x8 pixels,"
                f" got {data.shape[0]}x{data.shape[1]}"
            )
        from .network import CustomResNetModule

        return CustomResNetModule(self.widths, data.channels, data.num_classes, self.softmax, self.scale)

    def cam_layers(self) -> Sequence[str]:
        return ("layer1", "res1", "layer2", "res2")


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"custom_resnet": CustomResNet}
