"""An exponential moving average of the weights, which is then evaluated and saved in place of the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from frame import Callback, CallbackComponent, Component, TrainingRun, hookimpl


class EMA(CallbackComponent):
    """Averages weights and buffers over the optimizer steps (torch's AveragedModel; Polyak and Juditsky, 1992)."""

    decay: float = Field(0.999, ge=0, lt=1)
    """Part of the average that each optimizer step keeps: 0.999 averages over about the last 1000 steps."""
    write_back: bool = False
    """Puts the average into the trained model after each epoch, so that the next one goes on from there."""

    def build(self, run: TrainingRun) -> MovingAverage:
        return (WrittenBack if self.write_back else MovingAverage)(run, self.decay)


class MovingAverage(Callback):
    """Keeps the average and puts it in place as the run's `eval_model`."""

    def __init__(self, run: TrainingRun, decay: float) -> None:
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        self.run = run
        self.average = AveragedModel(run.model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]

    def on_run_start(self) -> None:
        self.run.eval_model = self.average.module

    def on_step_end(self) -> None:
        self.average.update_parameters(self.run.model)

    def state_dict(self) -> dict[str, Any]:
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average.load_state_dict(state)


class WrittenBack(MovingAverage):
    """Puts the average into the model at the end of an epoch, after its evaluation and before its checkpoint."""

    def on_epoch_end(self, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self.run.model.load_state_dict(self.average.module.state_dict())


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"ema": EMA}
