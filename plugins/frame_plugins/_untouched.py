"""A model that comes back as it was, whatever is done with it in between. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[nn.Module]:
    """Give `model` out in eval mode and fp32 arithmetic (no autocast), gradients enabled.

    Afterwards, an exception included, each module's train/eval mode and each parameter's requires_grad and gradient
    are as before. Hooks are left to whoever adds them.
    """
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    device_type = next((p.device.type for p, _, _ in parameters), "cpu")
    model.eval()
    try:
        with torch.enable_grad(), torch.autocast(device_type, enabled=False):
            yield model
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
