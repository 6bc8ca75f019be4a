"""The learning-rate finder: runs on copies, leaves no trace, and fills in every `auto`."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import asdict

from torch import Tensor
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from .build import Parts
from .console import Console
from .contracts import LRProblem
from .culprit import blame
from .errors import UserError
from .jsonfile import numbers, read_json
from .randomness import rng_untouched
from .ranking import number
from .results import LRFinding
from .rundir import RunDir, write_json

TINY = 1e-8
"""What an optimizer whose rate is `auto` is built with for the finder, which sets rates of its own."""


def find_lr(parts: Parts, console: Console) -> LRFinding | None:
    """Run the recipe's LR finder, if it names one; model, optimizer and all generators stay as they were."""
    named = parts.recipe.lr_finder
    if named is None:
        return None
    with rng_untouched(), blame("lr_finder", named), console.bar("learning-rate finder") as bar:
        model = copy.deepcopy(parts.model).train()
        optimizers = parts.recipe.optimizer.component.build(model, lr=TINY)
        if len(optimizers) > 1:
            raise UserError(f"lr_finder: '{named.use}' tries one optimizer, and this recipe builds {len(optimizers)}")
        problem = LRProblem(
            model=model,
            optimizer=optimizers[0],
            loss=parts.loss,
            batches=_endless(parts),
            device=parts.backend.device,
            amp_dtype=parts.backend.amp_dtype,
            autocast=parts.backend.autocast,
            progress=bar.set,
        )
        return named.component.build(problem)


def _endless(parts: Parts) -> Iterator[tuple[Tensor, Tensor]]:
    for epoch in itertools.count():
        for batch in parts.training.training(epoch, parts.steps.batches_per_epoch):
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
