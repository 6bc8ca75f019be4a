"""Small, seeded stand-ins for what the host gives to components: data, a network, runs, an LR problem."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..api.contracts import AnalysisRun, LRProblem, TrainingRun
from ..api.data import DataInfo, DataSplits, Predictions, Split, Targets
from ..api.figures import house_style, new_figure
from ..api.results import AnalyzerResult, Chart, LabelledImage, Mark, Matrix, Picture, Series, Table
from ..api.steps import Steps

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Shape = tuple[int, int, int]


class TinyNet(nn.Module):
    """Two convolutions, with an in-place ReLU after the first, and a classifier on the mean."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.deep = nn.Conv2d(8, 16, 3, padding=1, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        deep = self.deep(self.stem(images)).relu()  # (N, 16, H/2, W/2)
        logits: Tensor = self.head(self.pool(deep).flatten(1))  # (N, classes)
        return logits


def data_info(shape: Shape = (32, 32, 3), classes: int = 10) -> DataInfo:
    """Return what is known of a dataset of 64 training images."""
    names = CLASSES[:classes] if classes <= len(CLASSES) else tuple(f"class {number}" for number in range(classes))
    channels = shape[2]
    return DataInfo(names, shape, (0.5,) * channels, (0.25,) * channels, 64, "a checksum")


def model_inputs(count: int, shape: Shape = (32, 32, 3), seed: int = 0) -> Tensor:
    """Return normalised random images, (count, C, H, W) float32."""
    height, width, channels = shape
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def random_split(
    count: int, size: int = 16, channels: int = 3, classes: Sequence[str] = CLASSES, seed: int = 0
) -> Split:
    """Return `count` random square images whose targets count through the classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    targets = np.arange(count, dtype=np.int64) % len(classes)
    return Split(images, targets, [f"{i:04}.png" for i in range(count)])


def fake_predictions(targets: Targets, mistakes: int, classes: int, seed: int = 0) -> Predictions:
    """Return predictions that are wrong for `mistakes` images, drawn with the seed; confidences differ."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(targets), mistakes, replace=False)
    predicted = targets.copy()
    predicted[wrong] = (targets[wrong] + rng.integers(1, classes, mistakes)) % classes
    logits = rng.normal(size=(len(targets), classes)).astype(np.float32)
    logits[np.arange(len(targets)), predicted] = logits.max(axis=1) + rng.uniform(0.1, 6, len(targets))
    return predictions_of(logits, targets)


def predictions_of(logits: Any, targets: Targets) -> Predictions:
    """Return predictions with these logits, their losses the cross-entropy."""
    logits = np.asarray(logits, np.float32)
    losses = cross_entropy(torch.tensor(logits), torch.tensor(targets), reduction="none")
    return Predictions(logits, targets, losses.numpy())


def epoch_lines(epochs: int, per_epoch: int = 10, held_out: str = "test") -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl whose loss falls and whose accuracy rises."""
    lines: list[dict[str, Any]] = []
    for step in range(1, epochs * per_epoch + 1):
        epoch = step / per_epoch
        loss, acc = 2.3 / (1 + epoch) + 0.1 * np.sin(7 * step), epoch / (2 + epoch)
        place = {"step": step, "epoch": epoch, "train/loss": loss, "train/acc": acc}
        lines.append({"kind": "step", **place, "lr": 1 / step})
        if step % per_epoch == 0:
            lines.append({"kind": "epoch", **place, f"{held_out}/loss": loss * 1.2, f"{held_out}/acc": acc * 0.9})
    return lines


def analysis_run(
    *,
    train: Split,
    test: Split,
    predictions: Predictions,
    model: nn.Module | None = None,
    classes: Sequence[str] = CLASSES,
    **changes: Any,
) -> AnalysisRun:
    """Return a run to analyze: a TinyNet unless `model` is given, four epochs of history, training images mirrored.

    changes: other fields.
    """
    height, width, channels = np.asarray(test.images[0]).shape
    if model is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = TinyNet(channels, len(classes))
    network = model.eval()

    def pixels(indices: Sequence[int]) -> np.ndarray:
        return np.stack([test.images[i] for i in indices])

    def prepared(images: np.ndarray) -> Tensor:  # (N, H, W, C) uint8 -> (N, C, H, W) float
        return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255

    @torch.no_grad()
    def logits(images: np.ndarray) -> np.ndarray:
        return network(prepared(images)).numpy()

    run = AnalysisRun(
        folder=Path(),
        data=DataSplits(train, test, tuple(classes), (height, width, channels), (0.5,) * channels, (0.25,) * channels),
        predictions=predictions,
        metrics=epoch_lines(4),
        timing=(),
        plan=None,
        lr_finding=None,
        model=network,
        cam_layers=("stem", "deep"),
        device=torch.device("cpu"),
        seed=7,
        evaluation_inputs=lambda indices: prepared(pixels(indices)),
        evaluation_pixels=pixels,
        training_pixels=lambda indices, _: np.stack([train.images[i] for i in indices])[:, :, ::-1],
        logits=logits,
    )
    return replace(run, **changes)


def training_run(folder: Path, epochs: int = 4, **changes: Any) -> TrainingRun:
    """Return the run of a TinyNet, of two optimizer steps an epoch, on the CPU. changes: other fields.

    Its weights come from torch's global generator.
    """
    model = TinyNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    values: dict[str, Any] = {
        "name": "example",
        "run_id": "20261123-142501-3f2a",
        "folder": folder,
        "recipe": {"name": "example", "seed": 0, "data": {"use": "digits"}, "train": {"epochs": epochs}},
        "data": data_info((16, 16, 3)),
        "steps": Steps(64, 32, epochs),
        "model": model,
        "eval_model": model,
        "optimizers": [optimizer],
        "schedulers": [torch.optim.lr_scheduler.StepLR(optimizer, 2)],
        "device": torch.device("cpu"),
        "warn": print,
    }
    return TrainingRun(**(values | changes))


def lr_problem(seed: int = 0) -> LRProblem:
    """Return a TinyNet and its SGD on images whose brightness tells their class."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TinyNet()
    return LRProblem(
        model=model.train(),
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-8, momentum=0.9),
        loss=cross_entropy,
        batches=_learnable(seed),
        device=torch.device("cpu"),
        amp_dtype=None,
        autocast=nullcontext,
        progress=lambda *_: None,
    )


def _learnable(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for _ in itertools.count():
        targets = torch.randint(10, (16,), generator=generator)
        noise = torch.randn(16, 3, 8, 8, generator=generator)  # (N, C, H, W)
        yield noise + targets.view(-1, 1, 1, 1) - 4.5, targets


def analyzer_result() -> AnalyzerResult:
    """Return a result that has some of everything: each kind of figure, a table, labelled images with heat maps."""
    with house_style():
        figure = new_figure(2.0)
        figure.add_subplot().plot([1, 2, 3])
    lines = (Series("train", (1, 2, 3), (1.0, None, 0.5)), Series("test", (1, 2, 3), (1.1, 0.9, 0.8), dashed=True))
    rng = np.random.default_rng(0)
    images = tuple(
        LabelledImage(
            rng.integers(0, 256, (16, 16, 3), dtype=np.uint8), index, "cat", "dog", 0.75, 1.5, f"{index}.png",
            {"deep": rng.random((4, 4), dtype=np.float32)},
        )
        for index in range(3)
    )  # fmt: skip
    return AnalyzerResult(
        "Some of everything",
        figures=(
            Chart("curve", "A curve", "epoch", "loss", lines, "Loss by epoch.", marks=(Mark(2, "the best"),)),
            Matrix("matrix", "A matrix", ("cat", "dog"), np.array([[3, 1], [0, 2]]), "True by predicted class."),
            Picture("picture", "A picture", figure, "Three points."),
        ),
        tables=(Table("table", "A table", ("class", "share", "images"), (("cat", 0.5, 3), ("dog", None, 2))),),
        images=images,
        scalars={"errors": 3.0},
        notes=("This is an example.",),
    )
