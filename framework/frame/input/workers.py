"""Processes that read batches ahead. They live as long as the run: each batch is asked for with its epoch."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..compute.randomness import Indices
from .fetch import Fetch, Fetched, Request


class Workers:
    """`count` processes, started at the first batch. pinned: hand batches over in pinned memory."""

    def __init__(self, fetch: Fetch, count: int, *, pinned: bool) -> None:
        self._requests: list[Request] = []
        self._loader: DataLoader[Any] = DataLoader(
            fetch,  # type: ignore[arg-type]  # any object with __getitem__ serves
            sampler=self._requests,
            batch_size=None,
            num_workers=count,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            pin_memory=pinned,
            persistent_workers=True,
            generator=torch.Generator(),  # without one of its own the loader would draw from torch's global one
            worker_init_fn=_init_worker,
        )

    def read(self, epoch: int, parts: list[Indices]) -> Iterator[Fetched | Exception]:
        """Yield the batches of these images, in order. What an earlier call has not yielded yet is dropped."""
        self._requests[:] = [(epoch, indices) for indices in parts]
        return iter(self._loader)


def _as_it_is(batch: Fetched | Exception) -> Fetched | Exception:
    return batch


def _init_worker(_worker: int) -> None:
    """Leave Ctrl-C to the training process, and end at the loader's SIGTERM: a worker inherits other handlers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
