"""A model that comes back as it was, whatever is done with it in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[nn.Module]:
    """Give `model` out in eval mode, with gradients enabled, in fp32 arithmetic (no autocast), and not compiled.

    Afterwards, an exception included, each module's train or eval mode and hooks, and each parameter's requires_grad
    and gradient are as before.
    """
    import torch

    modes = [(module, module.training) for module in model.modules()]
    hooks = [(table, dict(table)) for module in model.modules() for table in _hook_tables(module)]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    device = next((parameter.device.type for parameter, _, _ in parameters), "cpu")
    model.eval()
    try:
        with torch.enable_grad(), torch.autocast(device, enabled=False), torch.compiler.set_stance("force_eager"):
            yield model
    finally:
        for module, training in modes:
            module.training = training
        for table, before in hooks:
            table.clear()
            table.update(before)
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


def withheld() -> nn.Module:
    """Return what an analyzer gets for the model, and to ask it, when it did not say that it needs one."""
    from torch import nn

    class Withheld(nn.Module):
        def forward(self, _images: Any) -> Tensor:
            raise RuntimeError(
                "this analyzer runs the model without declaring it: set `needs_model = True` on its class"
            )

    return Withheld()


def _hook_tables(module: nn.Module) -> list[Any]:
    return [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks]
