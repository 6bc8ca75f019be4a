"""Computes class activation maps with pytorch-grad-cam, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_grad_cam as cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from frame import AnalysisRun, UserError, suggest, untouched

if TYPE_CHECKING:
    import numpy.typing as npt

Maps = dict[int, dict[str, "npt.NDArray[np.float32]"]]
"""Image number -> layer name -> heat, (H, W) in [0, 1] at the input's resolution."""

METHODS: dict[str, type[cam.BaseCAM]] = {
    "gradcam": cam.GradCAM,
    "gradcam++": cam.GradCAMPlusPlus,
    "xgradcam": cam.XGradCAM,
    "hirescam": cam.HiResCAM,
    "layercam": cam.LayerCAM,
    "elementwise": cam.GradCAMElementWise,
    "eigencam": cam.EigenCAM,
    "eigengradcam": cam.EigenGradCAM,
}
BATCH = 16


def convolutions(model: nn.Module) -> list[str]:
    """Return the names of the model's 2-d convolutions."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def find_layers(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return layers by name; a name that the model doesn't have is the user's error, with the nearest right one."""
    modules = {name: module for name, module in model.named_modules() if name}
    unknown = [name for name in names if name not in modules]
    if unknown:
        hints = "; ".join(f"'{name}'{suggest(name, modules, list_all=False)}" for name in unknown)
        raise UserError(
            f"grad_cam: the model has no layer {hints}; its convolutions: {', '.join(convolutions(model)) or 'none'}"
        )
    return {name: modules[name] for name in names}


def heat_layers(model: nn.Module, inputs: Tensor, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of the layers that have heat to show, in the order of their calls, and notes about the others.

    pytorch-grad-cam needs that order: it pairs activations with gradients by it.
    """
    outputs: dict[str, list[tuple[int, ...]]] = {}

    def record(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _inputs, output: outputs.setdefault(name, []).append(tuple(getattr(output, "shape", ())))

    layers = find_layers(model, names)
    handles = [layer.register_forward_hook(record(name)) for name, layer in layers.items()]
    try:
        with untouched(model), torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    reasons = {name: flaw(outputs.get(name, [])) for name in [*outputs, *layers]}
    notes = [f"Layer '{name}' is left out: {reason}." for name, reason in reasons.items() if reason]
    return [name for name, reason in reasons.items() if not reason], notes


def flaw(shapes: Sequence[tuple[int, ...]]) -> str:
    """Say why a layer with outputs of these shapes, one a call, has no map to show; an empty text if it has one."""
    if not shapes:
        return "the model does not call it"
    if len(shapes) > 1:
        return f"the model calls it {len(shapes)} times for one image; name a layer that it calls once"
    if len(shapes[0]) != 4:
        return f"its output of shape {shapes[0]} is not a map, (N, C, H, W)"
    if shapes[0][2:] == (1, 1):
        return "its map is 1x1, which has no heat to show; name an earlier layer"
    return ""


def activation_maps(
    run: AnalysisRun, indices: Sequence[int], classes: Sequence[int], layers: Sequence[str], method: str
) -> Maps:
    """Return the map of each image for its class at each layer; `layers` in the order of their calls.

    All layers come from one backward pass. The parameters are frozen meanwhile: the gradient runs through the input.
    """
    maps: Maps = {}
    with untouched(run.model) as model:
        model.requires_grad_(requires_grad=False)
        targets = list(find_layers(model, layers).values())
        # A copy of each activation: an in-place ReLU after the layer would change what was recorded.
        maker = per_layer(METHODS[method])(model, targets, reshape_transform=torch.clone)
        try:
            for first in range(0, len(indices), BATCH):
                numbers = indices[first : first + BATCH]
                evidence = [ClassifierOutputTarget(target) for target in classes[first : first + BATCH]]
                inputs = run.evaluation_inputs(numbers).float().requires_grad_().clone()  # (N, C, H, W)
                heat = maker(inputs, evidence)  # (N, layers, H, W)
                maps |= {n: dict(zip(layers, each, strict=True)) for n, each in zip(numbers, heat, strict=True)}
        finally:
            maker.activations_and_grads.release()  # not `with maker`: that swallows IndexErrors
    return maps


def per_layer(method: type[cam.BaseCAM]) -> type[cam.BaseCAM]:
    """Return a method that hands out each layer's maps, (N, layers, H, W), where the library averages them."""

    class PerLayer(method):  # type: ignore[misc]
        def aggregate_multi_layers(self, maps: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
            return np.concatenate(maps, axis=1)

    return PerLayer
