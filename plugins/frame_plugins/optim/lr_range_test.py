"""The learning-rate range test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from frame import Component, LRFinderComponent, LRFinding, LRProblem, RunFailed, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

SKIP_START = 10
RULES = {
    "steepest": "steepest fall of the smoothed loss before its minimum",
    "minimum_tenth": "a tenth of the learning rate with the lowest smoothed loss",
}


class LRRangeTest(LRFinderComponent):
    """Trains a copy of the model while the learning rate grows exponentially, and picks a rate from the loss curve.

    Made by the library torch-lr-finder; the idea is Leslie Smith's (Cyclical Learning Rates, 2017).
    """

    start_lr: float = Field(1e-7, gt=0)
    """Learning rate of the first step."""
    end_lr: float = Field(1.0, gt=0)
    """Learning rate of the last step."""
    num_steps: int = Field(100, ge=SKIP_START + 2)
    """Optimizer steps of the test."""
    smoothing: float = Field(0.05, ge=0, lt=1)
    """Weight of each new loss in the smoothed loss; 0 turns smoothing off."""
    diverge_factor: float = Field(5.0, gt=1)
    """The test ends when the smoothed loss exceeds its lowest value by this factor."""
    rule: Literal["steepest", "minimum_tenth"] = "steepest"
    """What is suggested: the learning rate where the smoothed loss falls most steeply on its way to its minimum, the
    first 10 steps left out, or a tenth of the learning rate at that minimum. (The library's own rule looks beyond the
    minimum too, and there takes the fall from a divergence's peak for the steepest.)"""
    weight_decay: float | None = Field(None, ge=0)
    """Weight decay during the test, instead of the optimizer's."""

    @model_validator(mode="after")
    def _range_grows(self) -> LRRangeTest:
        if self.end_lr <= self.start_lr:
            raise ValueError(f"end_lr {self.end_lr:g} must be above start_lr {self.start_lr:g}")
        return self

    def build(self, problem: LRProblem) -> LRFinding:
        lrs, losses = self._curve(problem)
        if not lrs:
            raise RunFailed(
                f"LR finder: the very first loss, at a learning rate of {self.start_lr:g}, is not a finite number;"
                " check the model, the loss and the data, or try precision fp32"
            )
        return LRFinding(tuple(lrs), tuple(losses), self._suggest(lrs, losses), RULES[self.rule])

    def _curve(self, problem: LRProblem) -> tuple[list[float], list[float]]:
        """Run the test; return the learning rates and the smoothed losses, up to the first that is not finite."""
        problem.progress(0, self.num_steps)  # the import takes a while
        import torch
        from torch_lr_finder import LRFinder, TrainDataLoaderIter

        if self.weight_decay is not None:
            for group in problem.optimizer.param_groups:
                group["weight_decay"] = self.weight_decay
        amp = {}
        if problem.amp_dtype is not None:
            device_type = problem.device.type
            amp = {
                "amp_backend": "torch",
                "amp_config": {"device_type": device_type, "dtype": problem.amp_dtype},
                "grad_scaler": torch.amp.GradScaler(device_type, enabled=False),
            }
        finder = LRFinder(problem.model, problem.optimizer, partial(finite_loss, problem.loss), problem.device, **amp)
        # At a NaN the library would go on to the end: no comparison with it is ever true.
        with reported(problem.progress), suppress(NotFiniteError):
            finder.range_test(
                TrainDataLoaderIter(problem.batches),
                start_lr=self.start_lr,
                end_lr=self.end_lr,
                num_iter=self.num_steps,
                smooth_f=self.smoothing,
                diverge_th=self.diverge_factor,
                accumulation_steps=problem.accumulate,
            )
        return finder.history["lr"], finder.history["loss"]

    def _suggest(self, lrs: Sequence[float], losses: Sequence[float]) -> float:
        import numpy as np

        lowest = int(np.argmin(losses))
        if self.rule == "minimum_tenth":
            return lrs[lowest] / 10
        fall = losses[SKIP_START : lowest + 1]
        if len(fall) < 2:
            raise RunFailed(
                f"LR finder: the smoothed loss is lowest at step {lowest + 1} of {len(lrs)}, too early to suggest a"
                f" rate: the first {SKIP_START} do not count. Lower start_lr or raise num_steps"
            )
        return lrs[SKIP_START + int(np.gradient(fall).argmin())]


class NotFiniteError(Exception):
    """The loss of a step was infinite or not a number."""


def finite_loss(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss. Raises NotFiniteError if it is none that a curve can show."""
    value = loss(logits, targets)
    if not value.isfinite():
        raise NotFiniteError
    return value


@contextmanager
def reported(progress: Callable[[int, int], None]) -> Iterator[None]:
    """Report steps to `progress`. The library has no switch for its own bar, its prints and a needless warning."""
    from unittest.mock import patch

    from torch_lr_finder import lr_finder

    def bar(steps: range) -> Iterator[int]:
        for step in steps:
            progress(step, len(steps))
            yield step
        progress(len(steps), len(steps))

    def silent(*_: Any) -> None: ...

    with patch.multiple(lr_finder, create=True, tqdm=bar, print=silent), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="To get the last learning rate", category=UserWarning)
        yield


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"lr_range_test": LRRangeTest}
