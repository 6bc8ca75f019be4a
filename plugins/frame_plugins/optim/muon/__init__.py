"""Muon for convolutions and matrices, another optimizer for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from frame import (
    Component,
    OptimizerComponent,
    ParameterGroup,
    WeightDecay,
    hookimpl,
    parameter_groups,
    torch_form,
    trainable_parameters,
)

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Muon(OptimizerComponent):
    """Momentum whose steps are orthogonalised (torch.optim.Muon), for weights of two dimensions and more.

    The filters of a convolution are the rows of a matrix, (C_out, C_in * H * W). Biases, norms and what `exclude` names
    are left to SGD with Nesterov momentum or to AdamW. Those are two optimizers: schedules move each from its own rate,
    and `one_cycle`, which sets rates of its own, gives both the same, as an LR finder tries them.

    The recipe `cifar10_muon` uses it as airbench94_muon does.
    Source: K. Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024,
    https://kellerjordan.github.io/posts/muon/
    """

    lr: float = Field(0.02, gt=0)
    """Learning rate of the orthogonalised steps; those of tall matrices are longer by the root of rows / columns."""
    momentum: float = Field(0.95, ge=0, lt=1)
    """Part of the gradients' running mean that each step keeps."""
    nesterov: bool = True
    """Looks ahead along the momentum (Nesterov)."""
    weight_decay: WeightDecay = 0.0
    """Part of each of these weights, times the learning rate, that is taken away at each step."""
    ns_steps: int = Field(5, gt=0, lt=100)
    """Newton-Schulz iterations of the orthogonalisation."""
    normalize: bool = False
    """Scales each matrix to a norm of the root of its rows before each step, as airbench94_muon does: only its
    direction is learnt. Meant for convolutions that a norm follows."""
    exclude: tuple[str, ...] = ()
    """Patterns of names that are left to the other optimizer; the classifier's should be."""
    others: Literal["sgd", "adamw"] = "adamw"
    """The optimizer of all other parameters."""
    others_lr: float = Field(1e-3, gt=0)
    """Its learning rate."""
    others_momentum: float = Field(0.9, gt=0, lt=1)
    """Its Nesterov momentum (SGD), or the decay of the gradients' running mean (AdamW)."""
    others_weight_decay: WeightDecay = 0.0
    """Its weight decay."""
    groups: tuple[ParameterGroup, ...] = ()
    """Another rate or weight decay for some parameters, by a pattern of their names:
    `{match: "*.bias", lr_scale: 2, weight_decay: 0}`. The first that matches counts."""

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:  # noqa: ARG002
        from .filters import FilterMuon

        named = trainable_parameters(model, [*(group.match for group in self.groups), *self.exclude])
        wide = {name for name, parameter in named.items() if parameter.ndim > 1 and not self._excludes(name)}
        matrices = {name: parameter for name, parameter in named.items() if name in wide}
        others = {name: parameter for name, parameter in named.items() if name not in wide}
        built: list[Optimizer] = []
        if matrices:
            groups = parameter_groups(matrices, self.groups, self.lr, self.weight_decay)
            built.append(FilterMuon(groups, self.momentum, self.nesterov, self.ns_steps, self.normalize))
        if others:
            built.append(
                self._other(parameter_groups(others, self.groups, self.others_lr, self.others_weight_decay), model)
            )
        return built

    def _excludes(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.exclude)

    def _other(self, groups: list[dict[str, Any]], model: nn.Module) -> Optimizer:
        from torch.optim import SGD, AdamW

        form = torch_form(model)
        if self.others == "sgd":
            return SGD(groups, lr=self.others_lr, momentum=self.others_momentum, nesterov=True, **form)
        return AdamW(groups, lr=self.others_lr, betas=(self.others_momentum, 0.999), **form)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"muon": Muon}
