"""Test-time augmentation: the mean answer to an image and to its mirror image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frame import Component, DataInfo, EvaluatorComponent, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


class Mirror(EvaluatorComponent):
    """The mean of the logits of each image and of its horizontal flip; evaluation takes twice as long."""

    def build(self, data: DataInfo) -> Callable[[nn.Module, Tensor], Tensor]:  # noqa: ARG002
        return mirrored_logits


def mirrored_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the mean logits (N, classes) of `images` (N, C, H, W) and their mirror images."""
    mean: Tensor = (model(images) + model(images.flip(3))) / 2
    return mean


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"mirror": Mirror}
