"""torchvision's image classifiers, any of them by name."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame import Component, DataInfo, ModelComponent, Problem, UserError, hookimpl

from .._catalogue import Library, Unread

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

# In training these return a second output beside the logits, unless told not to. Their own initial weights take
# seconds to draw; torchvision is about to leave them to torch's default, too.
WITHOUT_SECOND_OUTPUT = {"aux_logits": False, "init_weights": False}
BUILD_ARGUMENTS = {"googlenet": WITHOUT_SECOND_OUTPUT, "inception_v3": WITHOUT_SECOND_OUTPUT}

CAM_LAYERS = {
    "alexnet": ("features.1", "features.4", "features.9", "features.11"),
    "convnext": ("features.1", "features.3", "features.5", "features.7"),
    "densenet": tuple(f"features.denseblock{block}" for block in (1, 2, 3, 4)),
    "efficientnet": ("features.2", "features.3", "features.5", "features.7"),
    "googlenet": ("conv3", "inception3b", "inception4e", "inception5b"),
    "inception_v3": ("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    "maxvit": ("blocks.0", "blocks.1", "blocks.2", "blocks.3"),
    "mnasnet": ("layers.8", "layers.9", "layers.11", "layers.13"),
    "mobilenet_v2": ("features.3", "features.6", "features.13", "features.18"),
    "mobilenet_v3_large": ("features.3", "features.6", "features.12", "features.16"),
    "mobilenet_v3_small": ("features.1", "features.3", "features.8", "features.12"),
    "regnet": tuple(f"trunk_output.block{block}" for block in (1, 2, 3, 4)),
    **dict.fromkeys(("resnet", "resnext", "wide_resnet"), ("layer1", "layer2", "layer3", "layer4")),
    "shufflenet": ("stage2", "stage3", "stage4", "conv5"),
    "squeezenet1_0": ("features.1", "features.5", "features.10", "features.12"),
    "squeezenet1_1": ("features.1", "features.4", "features.7", "features.12"),
    "swin": ("features.1", "features.3", "features.5", "features.7"),
}
"""By the beginning of a network's name: the layers worth an activation map, one at each of its sizes."""


def _classifiers() -> dict[str, Callable[..., Any]]:
    """Return the functions that make torchvision's classifiers, by name."""
    from torchvision import models

    return {name: models.get_model_builder(name) for name in models.list_models(module=models)}


CLASSIFIERS = Library("torchvision", "classifier", _classifiers)


class TorchvisionModel(ModelComponent):
    """A classifier of torchvision.models, its last layer sized for the dataset's classes. Takes 3-channel images.

    Most are made for images of 224x224; vit_* take no other size.
    """

    name: str = "resnet18"
    """Name of the network, as torchvision.models.list_models() has it."""
    weights: Path | None = None
    """A local file of weights (`~` is the home folder), .safetensors or a state dict in .pt or .pth; without it the
    weights are random. A last layer made for another number of classes is left out, and starts at random."""

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> Iterable[Problem]:
        if not isinstance(name := settings.get("name"), str):
            return
        try:
            lacking = CLASSIFIERS.catalogue().lacks(name)
        except Unread as reason:
            yield CLASSIFIERS.unchecked("name", reason)
        else:
            yield from [Problem(lacking, "name")] * bool(lacking)

    def build(self, data: DataInfo) -> nn.Module:
        if lacking := CLASSIFIERS.imported().lacks(self.name):
            raise UserError(lacking)
        from torchvision import models

        if data.channels != 3:
            raise UserError(f"torchvision's {self.name} takes images of 3 channels, the dataset's have {data.channels}")
        model: nn.Module = models.get_model(
            self.name, num_classes=data.num_classes, **BUILD_ARGUMENTS.get(self.name, {})
        )
        if self.weights:
            path = Path(os.path.expanduser(self.weights))  # noqa: PTH111 - a `~` that names nobody stays
            load_weights(model, read_weights(path), path)
        return model

    def cam_layers(self) -> Sequence[str]:
        if self.name.startswith("vgg"):
            return vgg_layers(self.name)
        if self.name.startswith("vit"):
            return vit_layers(self.name)
        return next((layers for start, layers in CAM_LAYERS.items() if self.name.startswith(start)), ())


def vgg_layers(name: str) -> list[str]:
    """Return the last activation before each halving but the first, of a VGG's `features`."""
    convolutions = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
    each = 3 if name.endswith("_bn") else 2  # modules: convolution, perhaps a norm, activation
    ends, end = [], -1
    for count in convolutions.get(name[3:5], ()):
        end += each * count
        ends.append(f"features.{end}")
        end += 1  # the pooling
    return ends[1:]


def vit_layers(name: str) -> list[str]:
    """Return the first norm of four of a ViT's blocks. After the last block's attention only the class token counts."""
    blocks = {"vit_b": 12, "vit_l": 24, "vit_h": 32}.get(name[:5], 0)
    return [f"encoder.layers.encoder_layer_{blocks * part // 4 - 1}.ln_1" for part in (1, 2, 3, 4) if blocks]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict: tensors by name. No code of the file is run."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"the weights file {path} cannot be read: {error}") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"the weights file {path} cannot be read: it is broken or holds more than tensors") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"the weights file {path} holds no state dict: it must map names to tensors and nothing else")
    return state


def load_weights(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load `state` into `model`. The model's last layer may differ in its number of classes, nothing else may."""
    own = model.state_dict()
    last_layer = [name for name, _ in model.named_parameters()][-1].rpartition(".")[0]
    differing = [name for name, value in state.items() if name in own and value.shape != own[name].shape]
    problems = [f"missing: {name}" for name in own if name not in state]
    problems += [f"unexpected: {name}" for name in state if name not in own]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in differing
        if name.rpartition(".")[0] != last_layer
    ]
    if problems:
        shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise UserError(f"the weights file {path} does not fit the model: {shown}")
    if differing:
        logger.warning("%s: %s made for another number of classes, left out", path, ", ".join(differing))
    model.load_state_dict({name: own[name] if name in differing else value for name, value in state.items()})


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"torchvision": TorchvisionModel}
