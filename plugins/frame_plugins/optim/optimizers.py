"""torch's SGD, Adam and AdamW, in their fused form: the others read back from the device at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from frame import (
    Component,
    LearningRate,
    OptimizerComponent,
    ParameterGroup,
    WeightDecay,
    hookimpl,
    parameter_groups,
    torch_form,
)

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Beta = Annotated[float, Field(ge=0, lt=1)]


class SGD(OptimizerComponent):
    """Stochastic gradient descent with momentum (torch.optim.SGD)."""

    lr: LearningRate = 0.1
    """Learning rate; a schedule may replace it."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Part of the last step that is taken again."""
    nesterov: bool = False
    """Looks ahead along the momentum (Nesterov); needs a momentum above 0."""
    weight_decay: WeightDecay = 0.0
    """L2 penalty, added to the gradient."""
    groups: tuple[ParameterGroup, ...] = ()
    """Another rate or weight decay for some parameters, by a pattern of their names:
    `{match: "*.bias", lr_scale: 2, weight_decay: 0}`. The first that matches counts."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> SGD:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import SGD

        rate = learning_rate(self.lr, lr)
        groups = parameter_groups(model, self.groups, rate, self.weight_decay)
        return [SGD(groups, lr=rate, momentum=self.momentum, nesterov=self.nesterov, **torch_form(model))]


class Adam(OptimizerComponent):
    """Adam with an L2 penalty added to the gradient (torch.optim.Adam; Kingma and Ba, 2015)."""

    lr: LearningRate = 1e-3
    """Learning rate; a schedule may replace it."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator, for numerical stability."""
    weight_decay: WeightDecay = 0.0
    """L2 penalty, added to the gradient."""
    groups: tuple[ParameterGroup, ...] = ()
    """Another rate or weight decay for some parameters, by a pattern of their names:
    `{match: "*.bias", lr_scale: 2, weight_decay: 0}`. The first that matches counts."""

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import Adam

        rate = learning_rate(self.lr, lr)
        groups = parameter_groups(model, self.groups, rate, self.weight_decay)
        return [Adam(groups, lr=rate, betas=self.betas, eps=self.eps, **torch_form(model))]


class AdamW(OptimizerComponent):
    """Adam with decoupled weight decay (torch.optim.AdamW; Loshchilov and Hutter, 2019)."""

    lr: LearningRate = 1e-3
    """Learning rate; a schedule may replace it."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator, for numerical stability."""
    weight_decay: WeightDecay = 1e-2
    """Part of each weight, times the learning rate, that is taken away at each step."""
    groups: tuple[ParameterGroup, ...] = ()
    """Another rate or weight decay for some parameters, by a pattern of their names:
    `{match: "*.bias", lr_scale: 2, weight_decay: 0}`. The first that matches counts."""

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import AdamW

        rate = learning_rate(self.lr, lr)
        groups = parameter_groups(model, self.groups, rate, self.weight_decay)
        return [AdamW(groups, lr=rate, betas=self.betas, eps=self.eps, **torch_form(model))]


def learning_rate(setting: LearningRate, found: float | None) -> float:
    """Return the setting, or what was found for it where it is `auto`."""
    if not isinstance(setting, str):
        return setting
    if found is None:
        raise ValueError("the optimizer's lr is `auto` and none was found yet: pass `lr`")
    return found


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"sgd": SGD, "adam": Adam, "adamw": AdamW}
