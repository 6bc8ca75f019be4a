"""An exponential moving average of the weights, which is then evaluated and saved in place of the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import Callback, CallbackComponent, Component, TrainingRun, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


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

        self.run, self.began = run, False
        self.update: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(run.model, multi_avg_fn=self.update, use_buffers=True)
        self.groups: list[tuple[list[Tensor], list[Tensor]]] = []

    def on_run_start(self) -> None:
        self.run.eval_model = self.average.module
        pairs = list(zip(tensors(self.average.module), tensors(self.run.model), strict=True))
        for dtype in {own.dtype for own, _ in pairs}:
            same = [pair for pair in pairs if pair[0].dtype == dtype]
            self.groups.append(([own for own, _ in same], [new for _, new in same]))

    def on_step_end(self) -> None:
        """Do what AveragedModel.update_parameters does, which reads back at each step whether it is the first."""
        for own, new in self.groups:
            if self.began:
                self.update(own, new, self.average.n_averaged)
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
