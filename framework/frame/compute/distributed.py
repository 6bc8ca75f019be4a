"""The processes that train one run together, as torchrun started them; one process alone pays for none of this.

The first process (rank 0) writes, says and decides. The others compute their share of each batch.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from inspect import signature
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ..errors import FrameError, RunFailed, UserError, causes
from .interrupts import Interrupted
from .relaunch import meet

T = TypeVar("T")
TIMEOUT = timedelta(minutes=10)
"""How long a process waits for another one in training, such as one whose machine is gone, before it fails."""
PATIENCE = timedelta(days=2)
"""How long the others wait while the first one downloads, looks for a learning rate or runs the analyzers."""
LOST = re.compile(r"gloo|NCCL|[Cc]onnection (closed|reset|refused)|Broken pipe|recvValue failed")
FAILURE = "frame/failure"
GONE = "another process of the run ended without saying why; this one cannot go on"
SYNC_BUFFERS = "forward_sync_buffers"
"""Whether each forward pass sends the buffers round: before an evaluation is enough (`World.sync_buffers`)."""
if SYNC_BUFFERS not in signature(DistributedDataParallel).parameters:
    SYNC_BUFFERS = "broadcast_buffers"  # its name before torch 2.15


@dataclass(frozen=True)
class World:
    """This process among `size`: its number `rank`, and its number and company on its machine, `local_*`.

    store, patient: torch's key-value store, and a group of all processes that may wait for long.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    store: Any = None
    patient: Any = None

    @property
    def first(self) -> bool:
        """Whether it is this process that writes, says and decides."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return this process's share of `count` things in a row; shares differ by one at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def weight(self, count: int) -> float:
        """Return what a share's mean loss weighs, so that the mean gradient is that of all `count` samples together."""
        mine = self.part(count)
        return self.size * (mine.stop - mine.start) / count

    def sum(self, values: Tensor) -> Tensor:
        """Add a tensor up over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Return which of the flags is set in any process: what one is asked to do, all do, after the same step."""
        if self.size == 1:
            return list(flags)
        return [bool(count) for count in self.sum(torch.tensor(flags, dtype=torch.int32)).tolist()]

    def gather(self, value: T) -> list[T]:
        """Return every process's value, in order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.patient)
        return values

    def broadcast(self, value: T | None) -> T:
        """Return the first process's value; the others pass None, and wait for it for as long as that takes."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0, group=self.patient)
        return cast(T, box[0])

    def in_turn(self, function: Callable[[], T]) -> T:
        """Call a function in the first process, then in the first of each other machine, then in all others.

        What it leaves on the disk, such as a download, the later ones find there.
        """
        turn = 0 if self.first else 1 if self.local_rank == 0 else 2
        for now in range(3):
            if now == turn:
                value = function()
            self.gather(None)
        return value

    def sync_buffers(self, model: nn.Module) -> None:
        """Give each process the first one's buffers, such as BatchNorm's statistics: all evaluate one model."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def replicate(self, model: nn.Module) -> nn.Module:
        """Return the module to train with: it averages gradients over the processes in its backward pass."""
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        ids = [device.index] if device.type == "cuda" else None
        options: dict[str, Any] = {SYNC_BUFFERS: False}
        return DistributedDataParallel(model, device_ids=ids, **options)

    def report(self, error: BaseException) -> None:
        """Leave what broke this process for the first one to say."""
        if self.store and not self.first and not isinstance(error, Interrupted):
            with suppress(Exception):
                self.store.set(FAILURE, str(error))

    def failure(self) -> str:
        """Return what ended another process, as far as that is known; from here on the launcher's signal is ignored.

        The launcher asks all others to end where one fails: this process is about to, and says why first.
        """
        if not self.store:
            return ""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(Exception):
            if self.store.check([FAILURE]):
                return str(self.store.get(FAILURE).decode())
        return ""


ALONE = World()


def place(environment: Mapping[str, str] = os.environ) -> World:
    """Return this process's place as torchrun says it, not yet connected."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if not all(environment.get(name, "").isdecimal() for name in names):
        return ALONE
    return World(*(int(environment[name]) for name in names))


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Connect with the other processes while the block runs. device: the recipe's `train.device`.

    Raises UserError where the machine has not a device for each.
    """
    here = place()
    if here.size == 1:
        yield ALONE
        return
    check_devices(device, here.local_size)
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        torch.cuda.set_device(here.local_rank)
    try:
        world = _connected(here, "cpu:gloo,cuda:nccl" if cuda else "gloo")
    except RuntimeError as error:
        message = f"the run's {here.size} processes do not connect: {str(error).partition(chr(10))[0]}"
        raise RunFailed(message, "process-lost") from error
    try:
        yield world
    except Exception as error:
        world.report(error)
        if isinstance(error, FrameError | Interrupted) or not peer_lost(error):
            raise
        if world.first:
            raise RunFailed(world.failure() or GONE, "process-lost") from error
        raise Interrupted from error  # the first process says why
    else:
        dist.destroy_process_group()


def _connected(here: World, backend: str) -> World:
    """Return this process's place, connected with the other processes. Raises RuntimeError."""
    store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
    store = PrefixStore(meet(store, rank, size, TIMEOUT.total_seconds()), store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    return replace(here, store=store, patient=dist.new_group(backend="gloo", timeout=PATIENCE))


def check_devices(device: str, count: int) -> None:
    """Raise UserError unless each of `count` processes of this machine can have a device of its own."""
    if device.startswith("cuda:") or device == "mps":
        message = f"train.device: {device} is one device, for {count} processes; take auto, cuda or cpu"
        raise UserError(message, "no-such-device")
    there = torch.cuda.device_count()
    if there < count and (device == "cuda" or (device == "auto" and there)):
        message = f"train.device: {count} processes need a CUDA device each, and torch sees {there}; start fewer"
        raise UserError(message, "no-such-device")


def synchronized(model: nn.Module, world: World, device: torch.device) -> nn.Module:
    """Return the model with its BatchNorm layers counting over all processes. Raises UserError without CUDA."""
    if world.size == 1:
        return model
    if device.type != "cuda":
        message = f"train.sync_batchnorm: it needs CUDA devices, and this run is on {device.type}; leave it out"
        raise UserError(message, "no-such-device")
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


def no_sync(network: nn.Module, when: bool) -> AbstractContextManager[None]:
    """Return the context of a forward pass; `when`: its gradients stay here, until those of a later batch join them."""
    return network.no_sync() if when and isinstance(network, DistributedDataParallel) else nullcontext()


def peer_lost(error: BaseException) -> bool:
    """Whether an error only says that another process is gone."""
    return any(
        isinstance(cause, dist.DistError) or (isinstance(cause, RuntimeError) and LOST.search(str(cause)))
        for cause in causes(error)
    )
