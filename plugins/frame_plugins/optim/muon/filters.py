"""torch's Muon, which takes matrices only, for the filters of convolutions."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon


class FilterMuon(Muon):
    """Hands each weight to torch's Muon as the matrix that it is: (C_out, C_in, H, W) -> (C_out, C_in * H * W).

    groups: torch's parameter groups, each with its `lr` and `weight_decay`. normalize: scale each matrix to a norm of
    the root of its rows before the step.
    """

    def __init__(
        self, groups: list[dict[str, Any]], momentum: float, nesterov: bool, ns_steps: int, normalize: bool
    ) -> None:
        # torch refuses filters in its constructor, and there only
        super().__init__([torch.empty(0, 0)], momentum=momentum, nesterov=nesterov, ns_steps=ns_steps)
        self.param_groups.clear()
        self.defaults["normalize"] = normalize  # a copy of an optimizer has its groups, and no attribute of ours
        for group in groups:
            self.add_param_group(group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            if group["normalize"]:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.mul_(len(weight) ** 0.5 / weight.norm())
        return super().step(closure)  # type: ignore[no-untyped-call]

    def _init_group(
        self, group: MutableMapping[str, Any], weights: list[Tensor], gradients: list[Tensor], momenta: list[Tensor]
    ) -> bool:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            gradient = matrix(weight.grad, like=weight)
            if not state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            weights.append(matrix(weight, like=weight))
            gradients.append(gradient)
            momenta.append(state["momentum_buffer"])
        return False


def matrix(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a weight's filters as rows, their values in the memory order of `like`: for itself, a view of it.

    The order of the columns is of no account: orthogonalising knows none.
    """
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(len(tensor), -1)
