"""Parameter groups by pattern: the one way in which every optimizer treats some parameters differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from frame import UserError, suggest

if TYPE_CHECKING:
    from torch import nn

Decay = Annotated[float, Field(ge=0)]


class ParameterGroup(BaseModel):
    """What holds for the parameters whose names match a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    match: str
    """Pattern of their names, such as `"*.bias"` or `"*.norm?.*"`."""
    lr_scale: float = Field(1.0, gt=0)
    """Factor of the learning rate, throughout the schedule."""
    weight_decay: Decay | None = None
    """Their weight decay; that of the optimizer when not given."""


def parameter_groups(
    model: nn.Module, groups: Sequence[ParameterGroup], lr: float, decay: float
) -> list[dict[str, Any]]:
    """Return torch's parameter groups for all trainable parameters of a model. Raises UserError as `trainable` does."""
    return grouped(trainable(model, [group.match for group in groups]), groups, lr, decay)


def trainable(model: nn.Module, patterns: Iterable[str]) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name. Raises UserError if there is none, or if a pattern matches none."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise UserError("the model has no trainable parameter")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            near = suggest(pattern, named, list_all=False)
            raise UserError(f"optimizer: no trainable parameter matches '{pattern}'{near}")
    return named


def grouped(
    named: Mapping[str, nn.Parameter], groups: Sequence[ParameterGroup], lr: float, decay: float
) -> list[dict[str, Any]]:
    """Return torch's parameter groups: first of those that no pattern matches, since plots show the first one's rate.

    The first pattern that matches a name counts.
    """
    rest = ParameterGroup(match="*")
    members: dict[ParameterGroup, list[nn.Parameter]] = {rule: [] for rule in (rest, *groups)}
    for name, parameter in named.items():
        members[next((rule for rule in groups if fnmatchcase(name, rule.match)), rest)].append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * rule.lr_scale,
            "weight_decay": decay if rule.weight_decay is None else rule.weight_decay,
        }
        for rule, parameters in members.items()
        if parameters
    ]
