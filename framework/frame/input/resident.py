"""Images that stay on the device: they go there once, as uint8, and each batch is gathered where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..api.data import Split
from ..compute.randomness import Indices
from ..errors import UserError
from .fetch import Fetched, without_unread

SHARE = 0.5
"""Of the device's free memory that images may take; the rest is for the model and its activations."""
GIB = 2**30


@dataclass(frozen=True)
class Resident:
    """A split on the device. images: (N, H, W, C) uint8. targets: (N,) int64. Indexed by the numbers of a batch.

    unread: as of `Split`.
    """

    images: Tensor
    targets: Tensor
    unread: Mapping[int, str] = field(default_factory=dict)

    def __getitem__(self, indices: Indices) -> Fetched:
        indices, lost = without_unread(indices, self.unread)
        at = torch.from_numpy(indices).to(self.images.device, non_blocking=True)
        return Fetched(self.images.index_select(0, at), self.targets.index_select(0, at), indices, lost)


def to_device_if_it_fits(split: Split, device: torch.device, *, must: bool) -> Resident | None:
    """Move a split, whose images are one array, to an accelerator that has room. None on the CPU: it is there already.

    Raises UserError if it `must` go there and there is no room.
    """
    if device.type == "cpu":
        return None
    size, free = np.asarray(split.images).nbytes, free_memory(device)
    if size <= SHARE * free:
        return to_device(split, device)
    if must:
        message = f"the images take {size / GIB:.2f} GiB, more than half of the {free / GIB:.2f} GiB free on {device}"
        raise UserError(f"data.pipeline: device: {message}; take auto")
    return None


def to_device(split: Split, device: torch.device) -> Resident:
    """Move a split to a device."""
    images = torch.from_numpy(np.asarray(split.images))
    return Resident(images.to(device), torch.from_numpy(split.targets).to(device), split.unread)


def free_memory(device: torch.device) -> int:
    """Return the bytes that an accelerator has left."""
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return torch.cuda.mem_get_info(device)[0]
