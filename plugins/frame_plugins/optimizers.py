"""torch's SGD, Adam and AdamW, in their fused form: the others read back from the device at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from frame import Component, LearningRate, OptimizerComponent, UserError, hookimpl, suggest

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Decay = Annotated[float, Field(ge=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class SGD(OptimizerComponent):
    """Stochastic gradient descent with momentum (torch.optim.SGD)."""

    lr: LearningRate = 0.1
    """Learning rate; a schedule may replace it."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Part of the last step that is taken again."""
    nesterov: bool = False
    """Looks ahead along the momentum (Nesterov); needs a momentum above 0."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""
    weight_decay_of: dict[str, Decay] = Field(default_factory=dict)
    """Another weight decay for some parameters, by a pattern of their names (`"*.norm.*": 0`); the first that matches
    counts."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> SGD:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import SGD

        groups = parameter_groups(model, self.weight_decay, self.weight_decay_of)
        rate = learning_rate(self.lr, lr)
        return [SGD(groups, lr=rate, momentum=self.momentum, nesterov=self.nesterov, **implementation(model))]


class Adam(OptimizerComponent):
    """Adam with an L2 penalty added to the gradient (torch.optim.Adam; Kingma and Ba, 2015)."""

    lr: LearningRate = 1e-3
    """Learning rate; a schedule may replace it."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator, for numerical stability."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""
    weight_decay_of: dict[str, Decay] = Field(default_factory=dict)
    """Another weight decay for some parameters, by a pattern of their names (`"*.norm.*": 0`); the first that matches
    counts."""

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import Adam

        groups = parameter_groups(model, self.weight_decay, self.weight_decay_of)
        return [Adam(groups, lr=learning_rate(self.lr, lr), betas=self.betas, eps=self.eps, **implementation(model))]


class AdamW(OptimizerComponent):
    """Adam with decoupled weight decay (torch.optim.AdamW; Loshchilov and Hutter, 2019)."""

    lr: LearningRate = 1e-3
    """Learning rate; a schedule may replace it."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator, for numerical stability."""
    weight_decay: Decay = 1e-2
    """Part of each weight, times the learning rate, that is taken away at each step."""
    weight_decay_of: dict[str, Decay] = Field(default_factory=dict)
    """Another weight decay for some parameters, by a pattern of their names (`"*.norm.*": 0`); the first that matches
    counts."""

    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        from torch.optim import AdamW

        groups = parameter_groups(model, self.weight_decay, self.weight_decay_of)
        return [AdamW(groups, lr=learning_rate(self.lr, lr), betas=self.betas, eps=self.eps, **implementation(model))]


def learning_rate(setting: LearningRate, found: float | None) -> float:
    """Return the setting, or what was found for it where it is `auto`."""
    if not isinstance(setting, str):
        return setting
    if found is None:
        raise ValueError("the optimizer's lr is `auto` and none was found yet: pass `lr`")
    return found


def parameter_groups(model: nn.Module, decay: float, decay_of: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the model's trainable parameters, grouped by weight decay. Raises UserError if a pattern matches none."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise UserError("the model has no trainable parameter")
    for pattern in decay_of:
        if not any(fnmatchcase(name, pattern) for name in named):
            near = suggest(pattern, named, list_all=False)
            raise UserError(f"optimizer.weight_decay_of: no trainable parameter matches '{pattern}'{near}")
    groups: dict[float, list[Any]] = {}
    for name, parameter in named.items():
        own = next((value for pattern, value in decay_of.items() if fnmatchcase(name, pattern)), decay)
        groups.setdefault(own, []).append(parameter)
    return [{"params": parameters, "weight_decay": own} for own, parameters in groups.items()]


def implementation(model: nn.Module) -> dict[str, bool]:
    """Return which of torch's forms of an optimizer to take: fused where there is one, foreach never."""
    fused = all(
        parameter.is_floating_point() and parameter.device.type in {"cpu", "cuda"} for parameter in model.parameters()
    )
    return {"fused": fused, "foreach": False}


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"sgd": SGD, "adam": Adam, "adamw": AdamW}
