"""What the host gives to components, and what it asks of the objects that they build. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from .data import DataInfo, DataSplits, Predictions
    from .results import AnalyzerResult, LRFinding
    from .steps import Steps


class Scheduler(Protocol):
    """A learning-rate schedule; every `torch.optim.lr_scheduler` is one."""

    def step(self) -> None:
        """Set what the next optimizer step takes; called after each step."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` goes on from: tensors and plain values, saved in every checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Go on from a checkpoint."""


class Callback:
    """Base of callbacks: override any of these. A method that is not overridden is never called.

    `state_dict` returns tensors and plain values only; it is saved in every checkpoint and comes back on resume.
    """

    def on_run_start(self) -> None:
        """Runs before the training begins, and before it goes on after an interruption; `load_state_dict` follows."""

    def on_epoch_start(self) -> None:
        """Runs once before each epoch; not again where a run goes on in the middle of one."""

    def on_step_end(self) -> None:
        """Runs after each optimizer step. Read no tensor's value here: that stalls the device."""

    def on_epoch_end(self, metrics: Mapping[str, float]) -> None:
        """Runs after the epoch's evaluation and before its checkpoint. `metrics`: `train/loss`, `test/acc`, ..."""

    def on_run_end(self) -> None:
        """Runs once after the last epoch; not where the run is interrupted or fails."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, where a run goes on."""


class Tracker(Protocol):
    """Where metrics and results go besides the run's own files."""

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        """Take the metrics at `epoch` epochs and `step` optimizer steps.

        A name has one statistic: `train/loss` is an epoch's mean, beside `test/loss`; `train/loss_step` that of the
        optimizer steps since the last call. Calls of both kinds may come at one step.
        """

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Take what analyzer `name` found."""

    def finish(self, status: str) -> None:
        """End tracking; `status` is finished, interrupted or failed."""


@dataclass
class TrainingRun:
    """A run in training, as callbacks and trackers see it.

    recipe is every value that was used, without secrets: `(hidden)` or `${oc.env:NAME}` stands for each.
    eval_model is what evaluation, the best checkpoint and the saved model use: `model`, unless a callback such as EMA
    puts its own there. epoch counts finished epochs, step finished optimizer steps. group is what the runs of one sweep
    (its name) or of one `--repeat` have in common. Where several processes train, each has callbacks of its own; rank
    is the process's number, and 0 the one that may write.
    """

    name: str
    run_id: str
    folder: Path
    recipe: Mapping[str, Any]
    data: DataInfo
    steps: Steps
    model: nn.Module
    eval_model: nn.Module
    optimizers: Sequence[Optimizer]
    schedulers: Sequence[Scheduler]
    device: torch.device
    warn: Callable[[str], None]
    epoch: int = 0
    step: int = 0
    resumed: bool = False
    stop_reason: str | None = None
    rank: int = 0
    group: str | None = None

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group: the one that the next optimizer step takes."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    @property
    def momentum(self) -> float | None:
        """The momentum (Adam's first beta) of that step and group; None if the optimizer has none."""
        return momentum(self.optimizers[0].param_groups[0])

    def stop(self, reason: str) -> None:
        """End the training after this epoch (or step, when called from `on_step_end`), as finished."""
        self.stop_reason = reason


def momentum(group: Mapping[str, Any]) -> float | None:
    """Return a parameter group's momentum (Adam's first beta), None if its optimizer has none."""
    value = group["betas"][0] if "betas" in group else group.get("momentum")
    return None if value is None else float(value)


class BatchDraws(Protocol):
    """The randomness of one batch. It depends on (seed, epoch, sample) or (seed, epoch, step) and on nothing else."""

    epoch: int
    """The epoch that the batch belongs to, from 0."""

    def per_sample(self, columns: int, epoch: int | None = None) -> Tensor:
        """Return (N, columns) float32 in [0, 1) on the images' device, a row per sample of the batch.

        epoch: whose draws, if not those of this epoch; a fixed one gives a sample the same numbers in every epoch.
        """

    def per_batch(self) -> np.random.Generator:
        """Return a generator for draws that belong to the batch as a whole, such as mixup's."""


@dataclass(frozen=True)
class LRProblem:
    """What an LR finder tries learning rates on: copies, which it may change, trained as the run will be.

    optimizer: all of the recipe's as one; before each of its steps it clips the gradients as the run does. Parameters
    that are frozen from the start take none. batches yields (images (N, C, H, W) float, targets (N,)) on the device
    without an end. autocast() is the context of the forward pass; amp_dtype its dtype, None in fp32.
    """

    model: nn.Module
    optimizer: Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: Iterator[tuple[Tensor, Tensor]]
    device: torch.device
    amp_dtype: torch.dtype | None
    autocast: Callable[[], AbstractContextManager[Any]]
    progress: Callable[[int, int], None]
    """Called with (steps done, steps in all)."""
    accumulate: int = 1
    """Batches whose mean gradient an optimizer step takes: each one's loss is divided by it."""


@dataclass(frozen=True)
class SchedulePlan:
    """The schedule as it was planned before the first step: at `epochs`, the `lrs` and (if any) the `momenta`.

    Learning rate and momentum are those of the first optimizer's first parameter group.
    """

    epochs: tuple[float, ...]
    lrs: tuple[float, ...]
    momenta: tuple[float, ...] = ()


def is_epoch(line: Mapping[str, Any]) -> bool:
    """Tell whether a line of metrics.jsonl is an epoch's; the others are of steps."""
    return line.get("kind") == "epoch"


@dataclass(frozen=True)
class RunHistory:
    """What is known of a run while it trains.

    folder: the run's folder, to read from. metrics, timing: the lines of metrics.jsonl and timing.jsonl.
    """

    folder: Path
    metrics: Sequence[Mapping[str, Any]]
    timing: Sequence[Mapping[str, Any]]
    plan: SchedulePlan | None
    lr_finding: LRFinding | None

    @property
    def epochs(self) -> list[Mapping[str, Any]]:
        """The lines of `metrics` that tell of a whole epoch."""
        return [line for line in self.metrics if is_epoch(line)]


@dataclass(frozen=True)
class AnalysisRun(RunHistory):
    """A trained model and everything known of its run, as analyzers see it.

    model: in eval mode, on the device, its weights those of `eval_model`; it answers only those analyzers that declare
    `needs_model`.
    """

    data: DataSplits
    predictions: Predictions
    model: nn.Module
    cam_layers: Sequence[str]
    device: torch.device
    seed: int
    evaluation_inputs: Callable[[Sequence[int]], Tensor]
    """Test images by number -> (N, C, H, W) float, exactly what the model was given."""
    evaluation_pixels: Callable[[Sequence[int]], np.ndarray]
    """Test images by number -> (N, H, W, C) uint8: those inputs before they were normalised, to draw on."""
    training_pixels: Callable[[Sequence[int], int], np.ndarray]
    """(training images by number, epoch) -> (N, H, W, C) uint8: as augmented in that epoch."""
    logits: Callable[[np.ndarray], np.ndarray]
    """(N, H, W, C) uint8 pixels, as of `evaluation_pixels` -> logits (N, classes) float32, as the run evaluates: for
    analyzers that declare `needs_model`."""

    @property
    def info(self) -> DataInfo:
        return self.data.info
