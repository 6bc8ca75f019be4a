"""torch.compile, with a warm-up before the training that is no part of its time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..compute.randomness import rng_untouched
from .build import Parts
from .culprit import blame


def compile_model(parts: Parts) -> float:
    """Compile the model for batches of each size that it will see; return the seconds that this took.

    It is compiled in place: the names of its weights stay, and a copy of it, such as EMA's, is not compiled. Weights,
    buffers and generators stay as they were. Raises RunFailed where the compiler does not work.
    """
    since = time.monotonic()
    model, training, watched, mode = parts.model, parts.training, parts.watched, parts.recipe.train.compile
    world = parts.backend.world
    model.compile(mode=None if mode is True else mode, dynamic=False)
    kept = {name: tensor.detach().clone() for name, tensor in _tensors(model)}
    with rng_untouched(), blame("train.compile"):
        model.train()
        for number in sorted({0, parts.steps.batches_per_epoch - 1}):  # the last batch may be smaller
            batch = next(iter(training.training(0, number + 1, start=number, world=world)))
            with parts.backend.autocast():
                loss = parts.loss(model(batch.images), batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
        model.eval()
        for size in {min(watched.batch_size, len(watched.split)), len(watched.split) % watched.batch_size} - {0}:
            with torch.inference_mode(), parts.backend.autocast():
                parts.forward(model, watched.inputs(range(size)))
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, tensor in _tensors(model):
            tensor.copy_(kept[name])
    return time.monotonic() - since


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers by name; unlike `state_dict`, those that are not saved too."""
    return itertools.chain(model.named_parameters(), model.named_buffers())
