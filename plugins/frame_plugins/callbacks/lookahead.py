"""Lookahead: slow weights that follow the trained ones and take their place every few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import Callback, CallbackComponent, Component, TrainingRun, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class Lookahead(CallbackComponent):
    """Every few steps moves slow weights towards the model's and goes on from there; the run ends on the slow weights.

    Running means and variances of norms are averaged too. The slow weights keep `decay ** every` of themselves at the
    end of the run, and less before it: that times (step / steps of the run) ** `ramp`. The defaults are airbench94's;
    the original is `decay: 0.87, ramp: 0`, which keeps half.
    Source: Zhang et al., Lookahead Optimizer, 2019, https://arxiv.org/abs/1907.08610
    """

    every: int = Field(5, gt=0)
    """Optimizer steps between two moves of the slow weights."""
    decay: float = Field(0.95, ge=0, lt=1)
    """Part of the slow weights that is kept, for each optimizer step."""
    ramp: float = Field(3.0, ge=0)
    """Power of the run's progress with which that part grows; 0 keeps it the same throughout."""

    def build(self, run: TrainingRun) -> SlowWeights:
        return SlowWeights(run, self.every, self.decay, self.ramp)


class SlowWeights(Callback):
    """Keeps the slow weights, and writes them back into the model."""

    def __init__(self, run: TrainingRun, every: int, decay: float, ramp: float) -> None:
        self.run, self.every, self.ramp = run, every, ramp
        self.most = decay**every
        self.slow: dict[str, Tensor] = {name: value.clone() for name, value in self._fast().items()}

    def on_step_end(self) -> None:
        step, total = self.run.step, self.run.steps.total
        if step % self.every == 0:
            self._synchronize(keep=self.most * (step / total) ** self.ramp)
        if step == total:
            self._synchronize(keep=1.0)

    def state_dict(self) -> dict[str, Any]:
        return self.slow

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in self.slow.items():
            value.copy_(state[name])

    def _fast(self) -> dict[str, Tensor]:
        """The model's own weights and running statistics; counters are none of its business."""
        return {name: value for name, value in self.run.model.state_dict().items() if value.is_floating_point()}

    def _synchronize(self, keep: float) -> None:
        for slow, fast in zip(self.slow.values(), self._fast().values(), strict=True):
            slow.lerp_(fast, 1 - keep)
            fast.copy_(slow)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"lookahead": Lookahead}
