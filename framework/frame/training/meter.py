"""Running loss and accuracy, without making the device wait.

Each batch leaves two numbers on the device. They are read together every N steps, which is also when a loss that is no
number is found, with the step that it came from.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..compute.distributed import ALONE, World
from ..errors import FrameError

Sums = list[float]  # summed loss, correct, samples
Rates = tuple[float, float | None]  # learning rate and momentum


class NotFinite(FrameError):
    """A training loss that is no finite number: at optimizer step `step` (from 1), taken with learning rate `lr`."""

    code = "diverged"

    def __init__(self, loss: float, step: int, lr: float) -> None:
        super().__init__(f"the training loss became {loss} at step {step}, at a learning rate of {lr:.3g}")
        self.step = step


class Meter:
    """Loss and accuracy of the epoch so far, and of the steps since the last line was written.

    skipped: the numbers of the training images that the run has left out so far, because they could not be read.
    """

    def __init__(self, world: World = ALONE) -> None:
        self.world = world
        self.unread: list[tuple[Tensor, Tensor, int, int, float]] = []  # loss, correct, samples, step, lr
        self.window: list[Sums] = []
        self.totals: Sums = [0.0, 0.0, 0.0]
        self.lr = 0.0  # of the last optimizer step
        self.momentum: float | None = None
        self.grad_norm: Tensor | None = None
        self.skipped: set[int] = set()

    def add(
        self, loss: Tensor, logits: Tensor, targets: Tensor, step: int, rates: Rates, *, counts: bool = True
    ) -> None:
        """Take a batch's mean loss, logits (N, classes) and targets, of optimizer step `step` with `rates`.

        Targets are classes (N,), or probabilities (N, classes), as mixup makes them: then the likeliest class counts.
        counts: whether these samples are to be counted at all.
        """
        self.lr, self.momentum = rates
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        correct = (logits.detach().argmax(1) == labels).sum()
        self.unread.append((loss.detach(), correct, len(targets) * counts, step, self.lr))

    def read(self) -> None:
        """Bring what the device holds over, in one transfer, for the whole world. Raises NotFinite."""
        if not self.unread:
            return
        losses, corrects, samples, steps, rates = zip(*self.unread, strict=True)
        self.unread = []
        values = torch.stack([torch.stack(losses).float(), torch.stack(corrects).float()]).tolist()
        rows = [
            [loss * count, correct if count else 0.0, float(count)]
            for loss, correct, count in zip(*values, samples, strict=True)
        ]
        for row, step, lr in zip(self._of_all(rows), steps, rates, strict=True):
            if not math.isfinite(row[0]):
                raise NotFinite(row[0], step, lr)
            self.window.append(row)
            self.totals = [total + new for total, new in zip(self.totals, self.window[-1], strict=True)]

    def _of_all(self, rows: list[Sums]) -> list[Sums]:
        """Add sums up over the processes, each of which has those of the same batches."""
        if self.world.size == 1:
            return rows
        summed: list[Sums] = self.world.sum(torch.tensor(rows, dtype=torch.float64)).tolist()
        return summed

    def take_window(self) -> dict[str, float]:
        """Return the means since the last call, and the gradient's norm if the last step left it; begin anew."""
        sums = [sum(column) for column in zip(*self.window, strict=True)]
        self.window = []
        norm, self.grad_norm = self.grad_norm, None
        gradient = {} if norm is None or not math.isfinite(norm) else {"grad_norm": float(norm)}
        return means(sums) | gradient

    def take_epoch(self) -> dict[str, float]:
        """Return the epoch's means, and begin the next epoch."""
        totals, self.totals = self.totals, [0.0, 0.0, 0.0]
        return means(totals)

    def state_dict(self) -> dict[str, Any]:
        sums = {"window": self.window, "totals": self.totals}
        return {**sums, "lr": self.lr, "momentum": self.momentum, "skipped": sorted(self.skipped)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.window, self.totals = state["window"], state["totals"]
        self.lr, self.momentum, self.skipped = state["lr"], state["momentum"], set(state["skipped"])


def means(sums: Sums) -> dict[str, float]:
    """Return mean loss and accuracy in [0, 1] from summed loss, correct and samples."""
    loss, correct, samples = sums
    return {"loss": loss / samples, "acc": correct / samples}
