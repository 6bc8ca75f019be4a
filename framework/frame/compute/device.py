"""Where and in what arithmetic a run computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..recipe.settings import TrainSettings
from .allocator import keep_freed_memory
from .distributed import ALONE, World

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


@dataclass(frozen=True)
class Backend:
    """A device with the precision and the memory order chosen for it. amp_dtype is None in fp32.

    world: the processes that compute together, each with a device of its own.
    """

    device: torch.device
    precision: str
    channels_last: bool
    world: World = ALONE

    @property
    def amp_dtype(self) -> torch.dtype | None:
        return DTYPES[self.precision]

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        return torch.autocast(self.device.type, self.amp_dtype) if self.amp_dtype else nullcontext()

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module to the device, in the chosen memory order."""
        module = module.to(self.device)
        return module.to(memory_format=torch.channels_last) if self.channels_last else module

    def order(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in the chosen memory order."""
        return images.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        count = torch.get_num_threads()
        threads = f", {count} thread{'s' * (count != 1)}" if self.device.type == "cpu" else ""
        processes = f"{self.world.size} processes, each on " if self.world.size > 1 else ""
        return f"{processes}{name}{threads}, {self.precision}{', channels_last' if self.channels_last else ''}"


def choose_backend(settings: TrainSettings, world: World = ALONE) -> Backend:
    """Choose what `train.device` and `train.precision` ask for. Raises UserError when the machine does not have it."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    if world.size > 1 and device.type == "cuda":
        device = torch.device("cuda", world.local_rank)
    if device.type == "cpu":
        keep_freed_memory()
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if computes_bf16(device) else "fp32"
    return Backend(device, precision, settings.channels_last, world)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        message = f"train.device: {name} is not there: torch sees {torch.cuda.device_count()} CUDA devices"
        raise UserError(message, "no-such-device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("train.device: mps is not there: torch sees no Apple GPU", "no-such-device")
    return device


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware itself computes in bf16, so that it is faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False
