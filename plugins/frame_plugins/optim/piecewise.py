"""Learning rates that move on straight lines: through any points, or up to a peak and down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from frame import Component, Problem, SchedulerComponent, Steps, hookimpl

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

NotNegative = Annotated[float, Field(ge=0)]
Point = tuple[NotNegative, NotNegative]
EXAMPLE = [[0, 0], [5, 1], [24, 0]]


class PiecewiseLinear(SchedulerComponent):
    """Moves the optimizer's learning rate along straight lines, step by step.

    Each step takes the rate of the moment in which it begins. Source: D. Page, How to Train Your ResNet, 2018, whose
    ResNet-9 rises to a rate of 0.4 in 5 epochs and falls to 0 in 19.
    """

    points: Annotated[tuple[Point, ...], Field(min_length=2)] = Field(examples=[EXAMPLE])
    """Corners of the line: epoch (fractions are fine) and factor of the optimizer's `lr`. Before the first and after
    the last, their factors hold."""

    @field_validator("points")
    @classmethod
    def _make_a_line(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        for (before, _), (after, _) in pairwise(points):
            if after <= before:
                raise ValueError(f"epochs must rise from point to point, got {after:g} after {before:g}")
        if not any(factor for _, factor in points):
            raise ValueError("one factor must be above 0, else nothing would train")
        return points

    def review(self, epochs: float) -> Iterable[Problem]:
        missed = [epoch for epoch, _ in self.points if epoch > epochs]
        last, factor = self.points[-1]
        if missed:
            message = f"train.epochs is {epochs:g}: the points from epoch {missed[0]:g} on are not reached"
            yield Problem(message, "points", level="warning")
        elif last < epochs and not factor:
            message = f"train.epochs is {epochs:g}: after epoch {last:g} the rate is 0"
            yield Problem(message, "points", level="warning")

    def build(self, optimizer: Optimizer, steps: Steps) -> LambdaLR:
        from torch.optim.lr_scheduler import LambdaLR

        return LambdaLR(optimizer, LineFactor(tuple((epoch * steps.per_epoch, value) for epoch, value in self.points)))


class Triangular(SchedulerComponent):
    """A rise to the optimizer's learning rate and a fall, both on straight lines, over the whole run.

    Source: K. Jordan's airbench94 (https://arxiv.org/abs/2404.00498), which takes 0.2, 0.23 and 0.07.
    """

    start: float = Field(0.2, ge=0)
    """Factor of the first step."""
    peak: float = Field(0.25, ge=0, lt=1)
    """Part of the run after which the factor is 1."""
    end: float = Field(0.05, ge=0)
    """Factor that is reached when the run ends."""

    def build(self, optimizer: Optimizer, steps: Steps) -> LambdaLR:
        from torch.optim.lr_scheduler import LambdaLR

        peak = int(self.peak * steps.total)
        rise = ((0.0, self.start),) if peak else ()
        return LambdaLR(optimizer, LineFactor((*rise, (peak, 1.0), (steps.total, self.end))))


@dataclass(frozen=True)
class LineFactor:
    """Factor of the learning rate at optimizer step `step`, from 0: on the line through `corners`, (step, factor).

    An object, not a function: LambdaLR puts its plain attributes into the checkpoint.
    """

    corners: tuple[tuple[float, float], ...]

    def __call__(self, step: int) -> float:
        for (start, first), (end, second) in pairwise(self.corners):
            if step < end:
                return first + (second - first) * max(0.0, (step - start) / (end - start))
        return self.corners[-1][1]


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"piecewise_linear": PiecewiseLinear, "triangular": Triangular}
