"""A model's layers in the order in which they are done, each parameter counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model_guard import untouched
from .text import table

if TYPE_CHECKING:
    from torch import Tensor, nn

CHAINS = ("Sequential", "ModuleList", "ModuleDict")
"""Containers that only chain their layers."""


@dataclass(frozen=True)
class Layer:
    """One call of a layer.

    name: as `named_modules` has it. output: the shape of its (first) output, without the batch. parameters: those that
    are its own, at its first call; a layer that is called again, or weights that two layers share, count once.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int


def layers_of(model: nn.Module, inputs: Tensor) -> list[Layer]:
    """Ask the model for `inputs` (N, C, H, W), in eval mode, and return the layers that compute something.

    Left out are containers that only chain their layers, and the model itself unless it has parameters of its own. The
    parameters of a module that is never called count for the block that uses them: all add up to the model's.
    """
    import torch

    calls: list[tuple[nn.Module, tuple[int, ...]]] = []
    with untouched(model), torch.no_grad():
        for module in model.modules():
            module.register_forward_hook(lambda module, _, output: calls.append((module, _shape(output)[1:])))
        model(inputs)
    names = {id(module): name for name, module in model.named_modules()}
    own = _own_parameters(model, {id(module) for module, _ in calls})
    found = []
    for module, shape in calls:
        kind, chained = type(module).__name__, module is model or type(module).__name__ in CHAINS
        if not any(module.children()) or own[id(module)] or not chained:
            found.append(Layer(names[id(module)], kind, shape, own.pop(id(module), 0)))
    return found


def layer_table(layers: Sequence[Layer]) -> str:
    """Return the layers and their sum as text."""
    rows = [(each.name, each.kind, ", ".join(map(str, each.output)), f"{each.parameters:,}") for each in layers]
    rows.append(("Total params", "", "", f"{sum(each.parameters for each in layers):,}"))
    return "\n".join(table(("layer", "type", "output (C, H, W)", "parameters"), rows))


def _own_parameters(model: nn.Module, called: set[int]) -> Counter[int]:
    """Return how many parameters each called module has, by its id, those of modules in it that nobody calls too."""
    own: Counter[int] = Counter()
    for name, parameter in model.named_parameters():
        place = name.rpartition(".")[0]
        while id(model.get_submodule(place)) not in called:
            place = place.rpartition(".")[0]
        own[id(model.get_submodule(place))] += parameter.numel()
    return own


def _shape(output: Any) -> tuple[int, ...]:
    """Return the shape of a layer's output; of several tensors, that of the first."""
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return _shape(output[0]) if output else ()
    return tuple(getattr(output, "shape", ()))
