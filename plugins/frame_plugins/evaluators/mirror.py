"""Test-time augmentation: the mean answer to an image and to its mirror image, and to shifted copies of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frame import Component, DataInfo, EvaluatorComponent, UserError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


class Mirror(EvaluatorComponent):
    """The mean of the logits of each image and of its horizontal flip; evaluation takes twice as long."""

    def build(self, data: DataInfo) -> Callable[[nn.Module, Tensor], Tensor]:  # noqa: ARG002
        return mirrored_logits


class MirrorTranslate(EvaluatorComponent):
    """The mean of the logits of each image and of its flip, half as they are, half shifted by a pixel along a diagonal.

    Up to the left and down to the right weigh a quarter each; the edge shows the image mirrored. Evaluation takes six
    times as long. Source: K. Jordan's airbench94, https://arxiv.org/abs/2404.00498
    """

    def build(self, data: DataInfo) -> Callable[[nn.Module, Tensor], Tensor]:
        if min(data.shape[:2]) < 2:
            raise UserError("mirror_translate shifts images by a pixel and needs at least 2x2 pixels")
        return mirrored_and_shifted_logits


def mirrored_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the mean logits (N, classes) of `images` (N, C, H, W) and their mirror images."""
    mean: Tensor = (model(images) + model(images.flip(3))) / 2
    return mean


def mirrored_and_shifted_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the mean logits (N, classes) of `images` (N, C, H, W), of their mirror images and of both, shifted."""
    from torch.nn.functional import pad

    height, width = images.shape[2:]
    padded = pad(images, (1, 1, 1, 1), mode="reflect")  # (N, C, H + 2, W + 2)
    shifted = mirrored_logits(model, padded[:, :, :height, :width]) + mirrored_logits(model, padded[:, :, 2:, 2:])
    return mirrored_logits(model, images) / 2 + shifted / 4


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"mirror": Mirror, "mirror_translate": MirrorTranslate}
