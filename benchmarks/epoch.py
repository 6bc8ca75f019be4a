"""A whole epoch of the S10 network on the CPU, frame's against a loop written by hand for just this.

    uv run python benchmarks/epoch.py

Both train on the same random images (50,000 of 32 x 32, unless --images says otherwise) with the same crops, flips,
cutouts, Adam and one cycle, evaluate on a fifth as many, and must end with the same losses. They compute in bf16 where
the hardware does, else in fp32: the last line says which.
"""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _job import prepare
from _pairs import arguments, interleaved, precision, print_ratios
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from frame.training.engine import Job, evaluate, train_epoch
from frame.training.events import RunEvents

RECIPE = """
seed: 1
data:
  use: synthetic
  train: {images}
  test: {test}
  batch_size: 512
  train_transforms: [{{use: random_crop}}, {{use: random_flip}}, {{use: cutout, p: 0.75}}]
model: {{use: custom_resnet}}
loss: {{use: cross_entropy}}
optimizer: {{use: adam, weight_decay: 5e-4}}
scheduler: {{use: one_cycle, max_lr: 1e-3, peak_epoch: 5, div_factor: 100, final_div_factor: 100, anneal: linear}}
train: {{epochs: 24, device: cpu}}
"""
BATCH, EVAL_BATCH, PAD, HOLE, SEED = 512, 500, 4, 8, 1
ORDER, TABLE = 0, 2  # purposes of frame's random numbers, so that both loops draw the same


class ByHand:
    """The same training, written down for this one recipe: its data, its network, nothing to choose."""

    def __init__(
        self, model: nn.Module, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
    ) -> None:
        self.model, self.train, self.test = model, train, test
        self.bf16 = precision() == "bf16"
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=5e-4, fused=True)
        self.steps = -(-len(train[0]) // BATCH)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=1e-3,
            total_steps=24 * self.steps,
            pct_start=(5 * self.steps) / (24 * self.steps),
            anneal_strategy="linear",
            div_factor=100,
            final_div_factor=100,
        )
        self.mean, self.std = torch.full((1, 3, 32, 32), 127.5), torch.full((1, 3, 32, 32), 63.75)

    def __call__(self) -> tuple[float, float]:
        """Train for the first epoch and evaluate; return both mean losses."""
        images, targets = self.train
        count = len(images)
        order = random(ORDER, 0).permutation(count)
        crops, flips, holes = (
            random(TABLE, 0, place).random((count, columns), dtype=np.float32)
            for place, columns in enumerate((2, 1, 3))
        )
        losses = torch.zeros(())
        self.model.train()
        for step in range(self.steps):
            at = order[step * BATCH : (step + 1) * BATCH]
            batch = augment(images[at], crops[at], flips[at], holes[at])
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                loss = cross_entropy(self.model(self.normal(batch)), torch.from_numpy(targets[at]))
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.schedule.step()
            losses += loss.detach() * len(at)
        return float(losses) / count, self.evaluate()

    @torch.inference_mode()
    def evaluate(self) -> float:
        images, targets = self.test
        self.model.eval()
        losses = torch.zeros(())
        for first in range(0, len(images), EVAL_BATCH):
            batch = images[first : first + EVAL_BATCH]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                logits = self.model(self.normal(batch))
                losses += cross_entropy(logits, torch.from_numpy(targets[first : first + EVAL_BATCH])) * len(batch)
        return float(losses) / len(images)

    def normal(self, pixels: np.ndarray) -> Tensor:
        """(N, H, W, C) uint8 -> (N, C, H, W) float32, channels_last."""
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub_(self.mean).div_(self.std)


def random(purpose: int, *counter: int) -> np.random.Generator:
    """Return one of frame's generators."""
    words = [0, *counter, *([0] * (3 - len(counter)))]
    return np.random.Generator(np.random.Philox(key=[SEED, purpose], counter=words))


def augment(pixels: np.ndarray, crops: np.ndarray, flips: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Crop, flip and cut a hole. pixels: (N, H, W, C). crops, flips, holes: (N, 2), (N, 1), (N, 3) of [0, 1)."""
    count, height, width, _ = pixels.shape
    numbers = np.arange(count)
    padded = functional.pad(torch.from_numpy(pixels), (0, 0, PAD, PAD, PAD, PAD)).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    top, left = (crops * (2 * PAD + 1)).astype(np.int64).T
    changed = windows[numbers, top, left]
    flipped = np.flatnonzero(flips[:, 0] < 0.5)
    changed[flipped] = torch.from_numpy(changed[flipped]).flip(2).numpy()
    cut = holes[:, 2] < 0.75
    top, left = ((holes[:, :2] * (height - HOLE + 1)).astype(np.int64).T)[:, cut]
    squares = np.lib.stride_tricks.sliding_window_view(changed, (HOLE, HOLE), (1, 2), writeable=True)
    squares.transpose(0, 1, 2, 4, 5, 3)[numbers[cut], top, left] = round(0.5 * 255)
    return changed


def pair(images: int, folder: Path) -> tuple[Job, RunEvents, ByHand]:
    """Return both trainings of the same data from the same first weights."""
    job, events, parts = prepare(RECIPE.format(images=images, test=images // 5), folder)
    splits = [(np.asarray(split.images), split.targets) for split in (parts.data.train, parts.data.test)]
    return job, events, ByHand(copy.deepcopy(job.run.model), *splits)


def main() -> None:
    """Time the epochs and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="training images")
    options = parser.parse_args()
    losses: dict[str, tuple[float, float]] = {}

    def frame_seconds() -> float:
        with tempfile.TemporaryDirectory() as folder:
            job, events, _ = pair(options.images, Path(folder))
            since = time.perf_counter()
            with events.active():
                train_epoch(job, events)
            metrics = evaluate(job.run.eval_model, job.watched, job.loss, job.forward, job.backend, "test")
            seconds = time.perf_counter() - since
            losses["frame"] = job.meter.take_epoch()["loss"], metrics["test/loss"]
        return seconds

    def bare_seconds() -> float:
        with tempfile.TemporaryDirectory() as folder:
            _, _, by_hand = pair(options.images, Path(folder))
            since = time.perf_counter()
            losses["bare loop"] = by_hand()
            return time.perf_counter() - since

    found = interleaved({"bare loop": bare_seconds, "frame": frame_seconds}, options.pairs)
    np.testing.assert_allclose(losses["frame"], losses["bare loop"], rtol=1e-5)
    print_ratios(found, "bare loop", "s")
    print("losses of training and test, both loops:", *(f"{loss:.6f}" for loss in losses["frame"]))


if __name__ == "__main__":
    main()
