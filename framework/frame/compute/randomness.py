"""Everything random: global seeds, their state, and draws that depend on (seed, epoch, sample) and nothing else.

The draws come from Philox, a counter-based generator: its key and counter name the draw, so that neither the number of
workers nor a resume changes any of them. (Salmon et al., Parallel random numbers: as easy as 1, 2, 3. SC 2011.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

ORDER, SAMPLE, TABLE, BATCH, PROCESS = range(5)
"""What a draw is for: streams of one purpose never meet those of another."""

Indices = npt.NDArray[np.int64]


def philox(seed: int, purpose: int, *counter: int) -> np.random.Generator:
    """Return the generator of one draw, named by up to three numbers."""
    words = [0, *counter, *([0] * (3 - len(counter)))]
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=words))


def epoch_order(seed: int, epoch: int, samples: int) -> Indices:
    """Return the order in which an epoch visits its samples."""
    return philox(seed, ORDER, epoch).permutation(samples)


def sample_rng(seed: int, epoch: int, sample: int) -> np.random.Generator:
    """Return the generator that augments one sample in one epoch."""
    return philox(seed, SAMPLE, epoch, sample)


@lru_cache(maxsize=16)
def _table(seed: int, epoch: int, transform: int, call: int, samples: int, columns: int) -> npt.NDArray[np.float32]:
    """Return an epoch's draws for one call of one transform, a row per sample; kept while the epoch lasts."""
    return philox(seed, TABLE, epoch, transform, call).random((samples, columns), dtype=np.float32)


@dataclass
class Draws:
    """The randomness of one batch for one batched transform (see `contracts.BatchDraws`).

    samples: how many the whole split has. indices: those of the batch in it, (N,).
    """

    seed: int
    epoch: int
    batch: int
    transform: int
    samples: int
    indices: Indices
    device: torch.device
    calls: int = field(default=0, init=False)

    def per_sample(self, columns: int, epoch: int | None = None) -> Tensor:
        """Return (N, columns) float32 in [0, 1): rows of a table drawn for the whole epoch, by sample."""
        epoch = self.epoch if epoch is None else epoch
        table = _table(self.seed, epoch, self.transform, self.calls, self.samples, columns)
        self.calls += 1
        return torch.from_numpy(table[self.indices]).to(self.device, non_blocking=True)

    def per_batch(self) -> np.random.Generator:
        return philox(self.seed, BATCH, self.epoch, self.batch, self.transform)


def seed_everything(seed: int) -> None:
    """Seed the global generators of python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_process(seed: int, rank: int) -> None:
    """Seed the global generators of one process among several, so that each drops out units of its own."""
    seed_everything(int(philox(seed, PROCESS, rank).integers(2**32)))


def rng_state() -> dict[str, Any]:
    """Return the state of all global generators as tensors and plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put back what `rng_state` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def rng_untouched() -> Iterator[None]:
    """Leave the global generators as they were found."""
    state = rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
