"""The one-cycle learning-rate policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from frame import Component, LearningRate, Problem, SchedulerComponent, Steps, hookimpl

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from .cycle import OneCycleSchedule


class OneCycle(SchedulerComponent):
    """One rise of the learning rate to its maximum and one fall, over the whole run, without a third phase.

    torch's OneCycleLR (Smith and Topin, Super-Convergence, 2018). The maximum is reached at the last optimizer step of
    epoch `peak_epoch`, the lowest rate at the last step of the run.
    """

    replaces_lr = True

    max_lr: LearningRate = "auto"
    """The highest learning rate: of the first parameter group, to which the others keep their ratio."""
    peak_epoch: float | None = Field(None, gt=0)
    """Epochs until the maximum; without it, 30 % of the run. A shorter run is the beginning of the rise."""
    div_factor: float = Field(25.0, ge=1)
    """The run starts at max_lr / div_factor."""
    final_div_factor: float = Field(1e4, ge=1)
    """The run ends at its starting rate / final_div_factor."""
    anneal: Literal["linear", "cos"] = "cos"
    """The shape of the rise and of the fall."""
    cycle_momentum: bool = True
    """Moves the momentum (Adam: the first beta) from 0.95 down to 0.85 and back, against the learning rate. It does
    nothing for an optimizer without momentum."""

    def review(self, epochs: float) -> Iterable[Problem]:
        if self.peak_epoch is not None and self.peak_epoch >= epochs:
            message = f"the peak is at epoch {self.peak_epoch:g} and train.epochs is {epochs}: the rate only rises"
            yield Problem(message, "peak_epoch", level="warning")

    def build(self, optimizer: Optimizer, steps: Steps) -> OneCycleSchedule:
        from .cycle import OneCycleSchedule, has_momentum

        if isinstance(self.max_lr, str):
            raise ValueError("max_lr is `auto`: the LR finder must find it before the schedule is built")
        peak_epoch = 0.3 * steps.epochs if self.peak_epoch is None else self.peak_epoch
        peak = steps.at_epoch(peak_epoch)
        total = steps.total if peak_epoch < steps.epochs else peak + 1
        rates = [group["lr"] for group in optimizer.param_groups]
        return OneCycleSchedule(
            optimizer,
            max_lr=[self.max_lr * (rate / rates[0]) for rate in rates],
            total_steps=total,
            pct_start=peak / total if peak > 1 else 0.0,  # in less than two steps nothing rises
            anneal_strategy=self.anneal,
            cycle_momentum=self.cycle_momentum and has_momentum(optimizer),
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
        )


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"one_cycle": OneCycle}
