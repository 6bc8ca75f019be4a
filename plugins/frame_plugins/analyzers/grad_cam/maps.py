"""Computes class activation maps with pytorch-grad-cam, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_grad_cam as cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from frame import AnalysisRun, UserError, suggest, untouched

from .layouts import Call, Layout, Place, Shape, channels_first, layout_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Heat = npt.NDArray[np.float32]

Maps = dict[tuple[int, int], dict[str, "Heat"]]
"""(image number, class) -> layer name -> heat, (H, W) in [0, 1] at the input's resolution."""

BATCH = 16


class EigenCAM(cam.EigenCAM):  # type: ignore[misc]
    """The library's EigenCAM, with `main_pattern` in place of its projection."""

    def get_cam_image(self, _input: Any, _layer: Any, _targets: Any, activations: Heat, *_: Any) -> Heat:
        return main_pattern(activations)


METHODS: dict[str, type[cam.BaseCAM]] = {
    "gradcam": cam.GradCAM,
    "gradcam++": cam.GradCAMPlusPlus,
    "xgradcam": cam.XGradCAM,
    "hirescam": cam.HiResCAM,
    "layercam": cam.LayerCAM,
    "elementwise": cam.GradCAMElementWise,
    "eigencam": EigenCAM,
    "fem": cam.FEM,
    "scorecam": cam.ScoreCAM,
}
"""Those of the library that give each layer a map, and in whose map only what speaks for the class is hot.

Not so: FullGrad (knows no layers); AblationCAM (its map turns over where the class's logit is negative, as the true
class's often is); EigenGradCAM and SegEigenCAM (evidence against the class is as hot); ShapleyCAM (one layer at a time,
no in-place activation); KPCA_CAM (memory grows with the square of a map's pixels); RandomCAM.
"""


def main_pattern(maps: Heat) -> Heat:
    """Return the first principal component of each image's maps, (N, C, H, W) -> (N, H, W).

    A component has no sign of its own: it takes that of the channels' sum. (The library leaves it to chance, and takes
    an SVD whose memory grows with the square of a map's pixels.)
    """
    found = []
    for channels in np.nan_to_num(maps):
        pixels = channels.reshape(len(channels), -1).T  # (H * W, C)
        centred = pixels - pixels.mean(axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        pattern = u[:, 0] * s[0]
        sign = -1 if pattern @ centred.sum(axis=1) < 0 else 1
        found.append(sign * pattern.reshape(channels.shape[1:]))
    return np.stack(found)


def convolutions(model: nn.Module) -> list[str]:
    """Return the names of the model's 2-d convolutions."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def offered(model: nn.Module, cam_layers: Iterable[str]) -> list[str]:
    """Return the layers that a user may be pointed to: those that the model's component names, and its convolutions."""
    known = dict(model.named_modules())
    return [*(name for name in cam_layers if name in known), *convolutions(model)]


def find_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return layers by name; a name that the model doesn't have is the user's error, with the nearest right one."""
    modules = {name: module for name, module in model.named_modules() if name}
    unknown = [name for name in dict.fromkeys(names) if name not in modules]
    if unknown:
        hints = "; ".join(f"'{name}'{suggest(name, modules, list_all=False)}" for name in unknown)
        raise UserError(
            f"grad_cam: the model has no layer {hints}; its convolutions: {', '.join(convolutions(model)) or 'none'}"
        )
    return {name: modules[name] for name in names}


@dataclass(frozen=True)
class Surveyed:
    """Why a layer has no map to show, or, where `flaw` is empty, how its output becomes maps."""

    flaw: str
    layout: Layout = channels_first


def survey(model: nn.Module, inputs: Tensor, names: Sequence[str]) -> dict[str, Surveyed]:
    """Say of each layer whether it has a map to show, in the order of their calls. inputs: (1, C, H, W).

    pytorch-grad-cam needs that order: it pairs activations with gradients by it.
    """
    with untouched(model), torch.no_grad():
        return look(model, inputs, names)


def look(model: nn.Module, inputs: Tensor, names: Sequence[str]) -> dict[str, Surveyed]:
    """Do what `survey` does, by hooks that stay."""
    layers = find_layers(model, names)
    wanted = {layer: name for name, layer in layers.items()}
    places: dict[str, list[Place]] = {}
    calls: list[Call] = []

    def record(module: nn.Module, given: Any, output: Any) -> None:
        shape = tuple(getattr(output, "shape", ()))
        if not any(module.children()):
            calls.append(Call(module, tuple(getattr(given[0], "shape", ())) if given else (), shape))
        if module in wanted:
            places.setdefault(wanted[module], []).append(Place(module, shape, len(calls)))

    for module in model.modules():
        module.register_forward_hook(record)
    model(inputs)
    order = [*places, *(name for name in layers if name not in places)]
    return {name: judge(places.get(name, []), calls, tuple(inputs.shape[2:])) for name in order}


def judge(places: Sequence[Place], calls: Sequence[Call], image: Shape) -> Surveyed:
    """Say of a layer with these outputs, one a call, whether it has a map to show. image: (H, W) of the model's."""
    if not places:
        return Surveyed("the model does not call it")
    if len(places) > 1:
        return Surveyed(f"the model calls it {len(places)} times for one image; name a layer that it calls once")
    found = layout_of(places[0], calls, image)
    if isinstance(found, str):
        return Surveyed(found)
    layout, size = found
    if size == (1, 1):
        text = "its map is 1x1: one number for the whole image, so it has no place to show; name an earlier layer"
        return Surveyed(text)
    return Surveyed("", layout)


def activation_maps(
    run: AnalysisRun, pairs: Sequence[tuple[int, int]], layers: Mapping[str, Layout], method: str
) -> Maps:
    """Return the map at each layer for each pair of an image and a class; `layers` in the order of their calls."""
    maps: Maps = {}
    for first in range(0, len(pairs), BATCH):
        part = pairs[first : first + BATCH]
        inputs = run.evaluation_inputs([index for index, _ in part])
        heat = layer_maps(run.model, inputs, [number for _, number in part], layers, method)
        for pair, each in zip(part, heat, strict=True):
            maps[pair] = dict(zip(layers, each, strict=True))
    return maps


def layer_maps(
    model: nn.Module, inputs: Tensor, classes: Sequence[int], layers: Mapping[str, Layout], method: str
) -> Heat:
    """Return the maps of each image's class, (N, layers, H, W); `layers` in the order of their calls.

    All layers come from one backward pass. The parameters are frozen meanwhile: the gradient runs through the input.
    """
    found = []
    targets = list(find_layers(model, layers).values())
    size = 1 if method == "scorecam" else BATCH  # it makes as many masked images of each as a layer has channels
    with untouched(model):
        model.requires_grad_(requires_grad=False)
        for first in range(0, len(classes), size):
            images = inputs[first : first + size].float().requires_grad_().clone()
            wanted = [ClassifierOutputTarget(number) for number in classes[first : first + size]]
            # A copy of each activation: an in-place ReLU after the layer would change what was recorded.
            maker = per_layer(METHODS[method], list(layers.values()))(model, targets, reshape_transform=torch.clone)
            try:
                with redirect_stderr(StringIO()):  # ScoreCAM draws a progress bar for each image and layer
                    found.append(np.nan_to_num(maker(images, wanted)))
            finally:
                maker.activations_and_grads.release()  # not `with maker`: that swallows IndexErrors
    return np.concatenate(found)


def per_layer(method: type[cam.BaseCAM], layouts: Sequence[Layout]) -> type[cam.BaseCAM]:
    """Return a method that hands out each layer's maps, (N, layers, H, W), where the library averages them.

    layouts: one a layer, in the order of their calls. The library takes every output for (N, C, H, W).
    """

    class PerLayer(method):  # type: ignore[misc]
        def compute_cam_per_layer(self, *arguments: Any) -> list[Heat]:
            recorded = self.activations_and_grads
            for handle in recorded.handles:  # all is recorded: ScoreCAM's passes would pile up
                handle.remove()
            for kind in ("activations", "gradients"):  # some methods need no gradients
                pairs = zip(layouts, getattr(recorded, kind), strict=False)
                setattr(recorded, kind, [layout(output) for layout, output in pairs])
            maps: list[Heat] = super().compute_cam_per_layer(*arguments)
            return maps

        def aggregate_multi_layers(self, maps: list[Heat]) -> Heat:
            return np.concatenate(maps, axis=1)

    return PerLayer
