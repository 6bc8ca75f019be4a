"""Simple learning-rate schedules: cosine, in steps, constant. Each moves the optimizer's own learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

from pydantic import Field

from frame import Component, Problem, SchedulerComponent, Steps, UserError, hookimpl

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR, StepLR


class Cosine(SchedulerComponent):
    """A linear warm-up, then half a cosine from the optimizer's learning rate down to `final_lr` at the last step.

    Source: Loshchilov and Hutter, SGDR, 2017, without its restarts.
    """

    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs of warm-up, from one step's share of the learning rate to all of it."""
    final_lr: float = Field(0.0, ge=0)
    """Learning rate of the last optimizer step: of the first parameter group, to which the others keep their ratio."""

    def review(self, epochs: float) -> Iterable[Problem]:
        yield from review_warmup(self.warmup_epochs, epochs)

    def build(self, optimizer: Optimizer, steps: Steps) -> LambdaLR:
        from torch.optim.lr_scheduler import LambdaLR

        warmup = warmup_steps(self.warmup_epochs, steps)
        rate = optimizer.param_groups[0]["lr"]
        return LambdaLR(optimizer, CosineFactor(warmup, steps.total, self.final_lr / rate))


class Step(SchedulerComponent):
    """Multiplies the learning rate by `gamma` every few epochs (torch's StepLR)."""

    every_epochs: float = Field(10.0, gt=0)
    """Epochs between two changes; rounded to whole optimizer steps, at least one."""
    gamma: float = Field(0.1, gt=0, le=1)
    """Factor of each change."""

    def review(self, epochs: float) -> Iterable[Problem]:
        if self.every_epochs >= epochs:
            yield Problem(f"train.epochs is {epochs}: the rate never changes", "every_epochs", level="warning")

    def build(self, optimizer: Optimizer, steps: Steps) -> StepLR:
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, step_size=max(1, steps.at_epoch(self.every_epochs)), gamma=self.gamma)


class Constant(SchedulerComponent):
    """The optimizer's learning rate throughout, after a linear warm-up if one is wanted."""

    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs of warm-up, from one step's share of the learning rate to all of it."""

    def review(self, epochs: float) -> Iterable[Problem]:
        yield from review_warmup(self.warmup_epochs, epochs)

    def build(self, optimizer: Optimizer, steps: Steps) -> LambdaLR:
        from torch.optim.lr_scheduler import LambdaLR

        return LambdaLR(optimizer, WarmupFactor(warmup_steps(self.warmup_epochs, steps)))


@dataclass(frozen=True)
class WarmupFactor:
    """Factor of the learning rate at optimizer step `step`, from 0: up to 1 in `warmup` steps, then 1.

    An object, not a function: LambdaLR puts its plain attributes into the checkpoint.
    """

    warmup: int

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / (self.warmup + 1))


@dataclass(frozen=True)
class CosineFactor:
    """Factor at optimizer step `step`: up to 1 in `warmup` steps, then a cosine to `final` at step `total - 1`."""

    warmup: int
    total: int
    final: float

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return WarmupFactor(self.warmup)(step)
        done = min(1.0, (step - self.warmup) / max(1, self.total - 1 - self.warmup))
        return self.final + (1 - self.final) * (1 + cos(pi * done)) / 2


def review_warmup(warmup: float, epochs: float) -> Iterator[Problem]:
    """Yield the problem of a warm-up that takes the whole run."""
    if warmup and warmup >= epochs:
        yield Problem(f"must be less than train.epochs, which is {epochs}, got {warmup:g}", "warmup_epochs")


def warmup_steps(epochs: float, steps: Steps) -> int:
    """Return the optimizer steps of a warm-up of `epochs`. Raises UserError if it takes the whole run."""
    if epochs and epochs >= steps.epochs:
        raise UserError(f"scheduler.warmup_epochs: {epochs:g} leave nothing of a run of {steps.epochs} epochs")
    return steps.at_epoch(epochs)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"cosine": Cosine, "step": Step, "constant": Constant}
