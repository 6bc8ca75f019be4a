"""What frame adds to a training step, in microseconds, over a loop written by hand; and what Lightning adds.

    uv run python benchmarks/step_cost.py
    uv run --with "lightning==2.6.*" python benchmarks/step_cost.py

The model has next to no work, so that what is left is the host's. All three gather and normalise the same batches of 8
images from one array, train with fused SGD, and log loss, accuracy and learning rate to a file every 10 steps.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _job import prepare
from _pairs import arguments, differences, interleaved, print_conditions, print_table, ratios, spread
from _synthetic import null_model, split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from frame.training.engine import train_epoch

BATCH, SIZE, EVERY = 8, 4, 10
RECIPE = """
data: {{use: synthetic, train: {images}, size: {size}, batch_size: {batch}}}
model: {{use: "null"}}
loss: {{use: cross_entropy}}
optimizer: {{use: sgd, lr: 0.1}}
train: {{epochs: 1, device: cpu, precision: fp32, log_every: {every}, threads: 1}}
"""


def frame_seconds(steps: int) -> float:
    """Return the seconds of an epoch in frame, data and logging included."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = RECIPE.format(images=steps * BATCH, size=SIZE, batch=BATCH, every=EVERY)
        job, events, _ = prepare(recipe, Path(folder))
        since = time.perf_counter()
        with events.active():
            train_epoch(job, events)
        return time.perf_counter() - since


class Batches:
    """An epoch's batches, gathered and normalised when they are asked for: number -> images, targets."""

    def __init__(self, steps: int) -> None:
        self.data = split(steps * BATCH, SIZE)
        self.order = np.random.default_rng(0).permutation(steps * BATCH).reshape(steps, BATCH)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        at = self.order[number]
        images = torch.from_numpy(self.data.images[at]).permute(0, 3, 1, 2).float().sub_(127.5).div_(63.75)
        return images, torch.from_numpy(self.data.targets[at])


def bare_seconds(steps: int) -> float:
    """Return the seconds of the same epoch in a loop written by hand."""
    torch.manual_seed(0)
    model, batches = null_model(), Batches(steps)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    with tempfile.TemporaryFile("w") as file:
        log, read = csv.writer(file), []
        model.train()
        since = time.perf_counter()
        for step in range(steps):
            images, targets = batches[step]
            logits = model(images)
            loss = cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            read.append(torch.stack([loss.detach(), (logits.argmax(1) == targets).float().mean()]))
            if len(read) == EVERY:
                log.writerow([step + 1, *torch.stack(read).mean(0).tolist(), 0.1])
                read.clear()
        return time.perf_counter() - since


def lightning_seconds(steps: int) -> float:
    """Return the seconds of the same epoch in Lightning, without progress bar and checkpoints, logging as CSV."""
    import logging

    import lightning
    from lightning.pytorch.loggers import CSVLogger

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model: nn.Module = null_model()

        def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
            images, targets = batch
            logits = self.model(images)
            loss = cross_entropy(logits, targets)
            self.log("loss", loss, on_step=True, on_epoch=True)
            self.log("acc", (logits.argmax(1) == targets).float().mean(), on_step=True, on_epoch=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, fused=True)

    class Clock(lightning.Callback):
        seconds = 0.0

        def on_train_epoch_start(self, *_: object) -> None:
            self.since = time.perf_counter()

        def on_train_epoch_end(self, *_: object) -> None:
            self.seconds = time.perf_counter() - self.since

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=CSVLogger(folder),
            log_every_n_steps=EVERY,
            callbacks=[clock],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader = torch.utils.data.DataLoader(Batches(steps), batch_size=None)
        trainer.fit(Module(), loader)
    return clock.seconds


def main() -> None:
    """Time the epochs and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="optimizer steps of an epoch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, Callable[[int], float]] = {"bare loop": bare_seconds, "frame": frame_seconds}
    if find_spec("lightning"):
        ways["Lightning"] = lightning_seconds

    def microseconds(way: Callable[[int], float]) -> float:
        return way(options.steps) / options.steps * 1e6

    for way in ways.values():
        way(100)
    found = interleaved({name: partial(microseconds, way) for name, way in ways.items()}, options.pairs)
    added = {name: differences(found, name, "bare loop") for name in ways}
    rows = [[name, format(median(found[name]), ".1f"), *spread(added[name], ".1f")] for name in ways]
    print_table(["", "us a step", "added: median", "min", "max"], rows)
    if "Lightning" in ways:
        print("\nfrom frame's over Lightning's: ", *spread(ratios(added, "frame", "Lightning")))
    print_conditions(options.pairs)


if __name__ == "__main__":
    main()
