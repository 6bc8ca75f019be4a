"""The learning-rate finder: runs on copies, leaves no trace, and fills in every `auto`."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.contracts import LRProblem
from ..api.ranking import number
from ..api.results import LRFinding
from ..compute.randomness import rng_untouched
from ..console import Console
from ..errors import UserError
from ..recipe.recipe import Recipe
from ..rundir.folder import RunDir, write_json
from ..rundir.jsonfile import numbers, read_json
from .build import Parts
from .culprit import blame
from .engine import parameters_of

TINY = 1e-8
"""What an optimizer whose rate is `auto` is built with for the finder, which sets rates of its own."""


def find_lr(parts: Parts, console: Console) -> LRFinding | None:
    """Run the recipe's LR finder, if it names one; model, optimizer and all generators stay as they were."""
    named = parts.recipe.lr_finder
    if named is None:
        return None
    with rng_untouched():
        problem = lr_problem(parts)  # before the bar is shown: it takes a while, and has no steps
        with console.bar("learning-rate finder") as bar, blame("lr_finder", named):
            return named.component.build(replace(problem, progress=bar.set))


def lr_problem(parts: Parts) -> LRProblem:
    """Return copies that train as the run will: its accumulation, clipping, optimizers and frozen parameters."""
    recipe, steps = parts.recipe, parts.steps
    model = copy.deepcopy(parts.model).train()
    with blame("optimizer", recipe.optimizer):
        optimizers = recipe.optimizer.component.build(model, lr=TINY)
    _freeze(model, recipe)
    if limit := recipe.train.clip_grad_norm:
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(partial(_clip, limit))
    accumulate = min(steps.accumulate, steps.batches_per_epoch)
    return LRProblem(
        model=model,
        optimizer=optimizers[0] if len(optimizers) == 1 else Together(optimizers),
        loss=parts.loss,
        batches=_endless(parts, accumulate),
        device=parts.backend.device,
        amp_dtype=parts.backend.amp_dtype,
        autocast=parts.backend.autocast,
        progress=lambda done, total: None,  # noqa: ARG005 - nobody watches
        accumulate=accumulate,
    )


class Together(Optimizer):
    """Several optimizers as one, which has all their parameter groups: what is set in these is set in theirs."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts

    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]  # they have new ones now


def _freeze(model: nn.Module, recipe: Recipe) -> None:
    """Freeze what the recipe's callbacks freeze from the start on: none of them runs on a copy."""
    parameters = dict(model.named_parameters())
    for named in recipe.callbacks:
        with blame("callback", named):
            for name in named.component.frozen_from_start(list(parameters)):
                parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise UserError("lr_finder: every parameter is frozen from the start on, so that no rate can be tried")


def _clip(limit: float, optimizer: Optimizer, *_: Any) -> None:
    nn.utils.clip_grad_norm_(parameters_of(optimizer), limit)


def _endless(parts: Parts, accumulate: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches, of each epoch whole groups of whole batches where they are accumulated."""
    steps = parts.steps
    whole = steps.samples // steps.batch_size // accumulate * accumulate
    count = steps.batches_per_epoch if accumulate == 1 else max(accumulate, whole)
    for epoch in itertools.count():
        for batch in parts.training.training(epoch, count):
            yield batch.images, batch.targets


def save_finding(folder: RunDir, finding: LRFinding) -> None:
    """Write the finding into the run's folder."""
    write_json(folder.lr_finding, asdict(finding))


def read_finding(folder: RunDir) -> LRFinding | None:
    """Return what `save_finding` wrote, None if the run had no LR finder. Raises UserError where it is damaged."""
    if not folder.lr_finding.is_file():
        return None
    saved: _Saved = read_json(folder.lr_finding, _Saved)
    return LRFinding(saved["lrs"], numbers(saved["losses"]), saved["suggestion"], saved["rule"])


class _Saved(TypedDict):
    """lr_finder.json: null for a loss that was not finite."""

    lrs: tuple[float, ...]
    losses: tuple[float | None, ...]
    suggestion: float
    rule: str


def curve(finding: LRFinding, lines: int = 24, width: int = 50) -> list[str]:
    """Return the loss against the learning rate as text, a bar for each of about `lines` points."""
    every = max(1, len(finding.lrs) // lines)
    every_point = list(zip(finding.lrs, finding.losses, strict=True))[::every]
    points = [(lr, loss) for lr, loss in every_point if number(loss) is not None]
    low = min((loss for _, loss in points), default=0.0)
    span = max((loss for _, loss in points), default=low) - low or 1.0
    bars = [f"{lr:9.2e}  {loss:8.4f}  {'#' * round(width * (loss - low) / span)}" for lr, loss in points]
    return ["       lr      loss", *bars]
