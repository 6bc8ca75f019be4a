"""torchvision's image classifiers, any of them by name."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame import Component, DataInfo, ModelComponent, UserError, hookimpl, suggest

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

# In training these return a second output beside the logits, unless told not to. Their own initial weights take
# seconds to draw; torchvision is about to leave them to torch's default, too.
WITHOUT_SECOND_OUTPUT = {"aux_logits": False, "init_weights": False}
BUILD_ARGUMENTS = {"googlenet": WITHOUT_SECOND_OUTPUT, "inception_v3": WITHOUT_SECOND_OUTPUT}


class TorchvisionModel(ModelComponent):
    """A classifier of torchvision.models, its last layer sized for the dataset's classes. Takes 3-channel images.

    Most are made for images of 224x224; vit_* take no other size.
    """

    name: str = "resnet18"
    """Name of the network, as torchvision.models.list_models() has it."""
    weights: Path | None = None
    """A local file of weights, .safetensors or a state dict in .pt or .pth; without it the weights are random. A last
    layer made for another number of classes is left out, and starts at random."""

    def build(self, data: DataInfo) -> nn.Module:
        from torchvision import models

        names = models.list_models(module=models)
        if self.name not in names:
            raise UserError(f"torchvision has no classifier '{self.name}'{suggest(self.name, names, list_all=False)}")
        if data.channels != 3:
            raise UserError(f"torchvision's {self.name} takes images of 3 channels, the dataset's have {data.channels}")
        model: nn.Module = models.get_model(
            self.name, num_classes=data.num_classes, **BUILD_ARGUMENTS.get(self.name, {})
        )
        if self.weights:
            load_weights(model, read_weights(self.weights), self.weights)
        return model

    def cam_layers(self) -> Sequence[str]:
        if self.name.startswith(("resnet", "resnext", "wide_resnet")):
            return ("layer1", "layer2", "layer3", "layer4")
        return ()


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
