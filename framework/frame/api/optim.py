"""What optimizers share: parameter groups by pattern of names, and which of torch's forms to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ..errors import UserError, suggest

if TYPE_CHECKING:
    from torch import nn

WeightDecay: TypeAlias = Annotated[float, Field(ge=0)]
"""Part of a weight, times the learning rate, that each step takes away; or, as an L2 penalty, adds to its gradient."""


class ParameterGroup(BaseModel):
    """What holds for the parameters whose names match a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    match: str
    """Pattern of their names, such as `"*.bias"` or `"*.norm?.*"`."""
    lr_scale: float = Field(1.0, gt=0)
    """Factor of the learning rate, throughout the schedule."""
    weight_decay: WeightDecay | None = None
    """Their weight decay; that of the optimizer when not given."""


def parameter_groups(
    parameters: nn.Module | Mapping[str, nn.Parameter], groups: Sequence[ParameterGroup], lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return torch's parameter groups: first of those that no pattern matches, since plots show the first one's rate.

    parameters: by name, or a model for all that it trains. The first pattern that matches a name counts. lr,
    weight_decay: the optimizer's. Raises UserError as `trainable_parameters` does, for a model.
    """
    if not isinstance(parameters, Mapping):
        parameters = trainable_parameters(parameters, [group.match for group in groups])
    rest = ParameterGroup(match="*")
    members: dict[ParameterGroup, list[nn.Parameter]] = {rule: [] for rule in (rest, *groups)}
    for name, parameter in parameters.items():
        members[next((rule for rule in groups if fnmatchcase(name, rule.match)), rest)].append(parameter)
    return [
        {
            "params": matched,
            "lr": lr * rule.lr_scale,
            "weight_decay": weight_decay if rule.weight_decay is None else rule.weight_decay,
        }
        for rule, matched in members.items()
        if matched
    ]


def trainable_parameters(
    model: nn.Module, patterns: Iterable[str] = (), key: str = "optimizer"
) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name. Raises UserError if there is none, or if a pattern matches none.

    key: the setting that has the patterns, for the error.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise UserError("the model has no trainable parameter")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            near = suggest(pattern, named, list_all=False)
            raise UserError(f"{key}: no trainable parameter matches '{pattern}'{near}")
    return named


def torch_form(model: nn.Module) -> dict[str, Any]:
    """Return which of its forms an optimizer of torch's is to take, as keyword arguments: fused where there is one.

    The others read back from the device at each step (foreach, on a CPU too).
    """
    fused = all(
        parameter.is_floating_point() and parameter.device.type in {"cpu", "cuda"} for parameter in model.parameters()
    )
    return {"fused": fused, "foreach": False}
