"""An exponential moving average of the weights, which is then evaluated and saved in place of the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import Callback, CallbackComponent, Component, TrainingRun, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

LONG = 0.1
"""Of an average, from where on the weights that it began with are said to be too much."""


class EMA(CallbackComponent):
    """Averages weights and buffers over the optimizer steps (torch's AveragedModel; Polyak and Juditsky, 1992)."""

    decay: float = Field(0.999, ge=0, lt=1)
    """Part of the average that each optimizer step keeps: 0.999 averages over about the last 1000 steps."""
    write_back: bool = False
    """Puts the average into the trained model after each epoch, so that the next one goes on from there."""
    warmup: bool | None = None
    """Keeps less at first, so that a short run's average is not one of its beginning: after n steps of the run at most
    (1 + n) / (10 + n), as TensorFlow's ExponentialMovingAverage does. On unless `write_back`."""

    def build(self, run: TrainingRun) -> MovingAverage:
        warmup = not self.write_back if self.warmup is None else self.warmup
        if not warmup and run.rank == 0:
            self._warn(run)
        return (WrittenBack if self.write_back else MovingAverage)(run, self.decay, warmup)

    def _warn(self, run: TrainingRun) -> None:
        """Say so where the decay is long against the run, or against the epochs whose ends are written back."""
        what, steps = ("an epoch", run.steps.per_epoch) if self.write_back else ("the run", run.steps.total)
        if (kept := self.decay**steps) > LONG:
            whose = "what it began with" if self.write_back else "its first step's weights"
            window = f"{self.decay:g} averages over about {1 / (1 - self.decay):,.0f} steps"
            found = f"{what} has {steps}: its average is to {kept:.0%} {whose}"
            run.warn(f"ema.decay: {window} and {found}; lower it, or set warmup: true")


class MovingAverage(Callback):
    """Keeps the average and puts it in place as the run's `eval_model`."""

    def __init__(self, run: TrainingRun, decay: float, warmup: bool) -> None:
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        self.run, self.decay, self.warmup, self.began = run, decay, warmup, False
        self.average_with: Any = lru_cache(1)(get_ema_multi_avg_fn)  # anew only where the decay has changed
        self.average = AveragedModel(run.model, use_buffers=True)
        self.groups: list[tuple[list[Tensor], list[Tensor]]] = []

    def on_run_start(self) -> None:
        self.run.eval_model = self.average.module
        pairs = list(zip(tensors(self.average.module), tensors(self.run.model), strict=True))
        for dtype in {own.dtype for own, _ in pairs}:
            same = [pair for pair in pairs if pair[0].dtype == dtype]
            self.groups.append(([own for own, _ in same], [new for _, new in same]))

    def on_step_end(self) -> None:
        """Do what AveragedModel.update_parameters does, which reads back at each step whether it is the first."""
        step = self.run.step
        update = self.average_with(min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay)
        for own, new in self.groups:
            if self.began:
                update(own, new, self.average.n_averaged)
            else:
                for average, value in zip(own, new, strict=True):
                    average.copy_(value)
        self.began = True
        self.average.n_averaged += 1

    def state_dict(self) -> dict[str, Any]:
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average.load_state_dict(state)
        self.began = bool(self.average.n_averaged)


def tensors(module: nn.Module) -> list[Tensor]:
    """Return a module's parameters and buffers, without gradients."""
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


class WrittenBack(MovingAverage):
    """Puts the average into the model at the end of an epoch, after its evaluation and before its checkpoint."""

    def on_epoch_end(self, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self.run.model.load_state_dict(self.average.module.state_dict())


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"ema": EMA}
