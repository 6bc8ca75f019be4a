"""The one place that counts: samples and batches of an epoch, accumulation, optimizer steps in all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ..errors import UserError


@dataclass(frozen=True)
class Steps:
    """How often the optimizer steps. Schedulers, progress, checkpoints and the loop ask this and nothing else.

    An accumulation group never crosses an epoch's end: the last group of an epoch may hold fewer batches, and the last
    batch fewer samples. Where `epochs` has a fraction, the last epoch ends early, after a whole optimizer step.
    """

    samples: int
    batch_size: int
    epochs: float
    accumulate: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        if self.batches_per_epoch == 0:
            raise UserError(
                f"an epoch has no batch: {self.samples} training images, batches of {self.batch_size}"
                + (", the incomplete one dropped (data.drop_last)" if self.drop_last else "")
            )

    @cached_property
    def batches_per_epoch(self) -> int:
        """Forward and backward passes of a whole epoch."""
        return self.samples // self.batch_size if self.drop_last else ceil(self.samples / self.batch_size)

    @cached_property
    def per_epoch(self) -> int:
        """Optimizer steps of a whole epoch."""
        return ceil(self.batches_per_epoch / self.accumulate)

    @cached_property
    def total(self) -> int:
        """Optimizer steps of the whole run, at least one."""
        return max(1, self.at_epoch(self.epochs))

    @property
    def passes(self) -> int:
        """Epochs that begin: all are whole but perhaps the last."""
        return ceil(self.total / self.per_epoch)

    def steps_in(self, epoch: int) -> int:
        """Optimizer steps of epoch number `epoch` (from 0)."""
        return min(self.per_epoch, self.total - epoch * self.per_epoch)

    def batches_in(self, epoch: int) -> int:
        """Forward and backward passes of epoch number `epoch` (from 0)."""
        return min(self.batches_per_epoch, self.steps_in(epoch) * self.accumulate)

    @cached_property
    def samples_per_epoch(self) -> int:
        """Samples that a whole epoch really uses."""
        return min(self.samples, self.batches_per_epoch * self.batch_size)

    def batch_samples(self, batch: int) -> int:
        """Samples in batch number `batch` (from 0) of an epoch."""
        return min(self.batch_size, self.samples_per_epoch - batch * self.batch_size)

    @cached_property
    def smallest_batch(self) -> int:
        """Samples in the smallest batch of all epochs: the first epoch's last, since later ones are not longer."""
        return self.batch_samples(self.batches_in(0) - 1)

    def group_samples(self, batch: int) -> int:
        """Samples of the accumulation group that batch number `batch` belongs to: its loss weighs batch / group."""
        first = batch // self.accumulate * self.accumulate * self.batch_size
        return min(self.accumulate * self.batch_size, self.samples_per_epoch - first)

    def ends_group(self, batch: int) -> bool:
        """Whether the optimizer steps after batch number `batch`."""
        return (batch + 1) % self.accumulate == 0 or batch + 1 == self.batches_per_epoch

    def at_epoch(self, epoch: float) -> int:
        """The number of optimizer steps taken when `epoch` epochs are done; fractions are rounded."""
        return round(self.per_epoch * epoch)
