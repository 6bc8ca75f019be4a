"""torch's OneCycleLR with a defined end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import OneCycleLR

if TYPE_CHECKING:
    from torch.optim import Optimizer


class OneCycleSchedule(OneCycleLR):
    """OneCycleLR that stays at its final rate when it is stepped after the run's last optimizer step.

    torch goes on along its line then and leaves a rate below the cycle's lowest behind, often one below 0. A step more
    than that still raises ValueError: somebody miscounted.
    """

    def get_lr(self) -> list[Any]:
        if self.last_epoch == self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def has_momentum(optimizer: Optimizer) -> bool:
    """Whether the optimizer has a momentum to cycle, be it Adam's first beta."""
    return "betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum"))
