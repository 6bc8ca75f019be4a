"""A small AnalysisRun made by hand: seeded images, a tiny network, predictions with a known number of mistakes."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from frame import AnalysisRun, DataSplits, LRFinding, Predictions, Split

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class TinyNet(nn.Module):
    """Two convolutions, with an in-place ReLU after the first, and a classifier on the mean."""

    def __init__(self, channels=3, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.deep = nn.Conv2d(8, 16, 3, padding=1, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, classes)

    def forward(self, images):
        deep = self.deep(self.stem(images)).relu()
        return self.head(self.pool(deep).flatten(1))


def random_split(count, size=16, channels=3, classes=CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    targets = np.arange(count, dtype=np.int64) % len(classes)
    return Split(images, targets, [f"{i:04}.png" for i in range(count)])


def fake_predictions(targets, mistakes, classes, seed=0):
    """Predictions that are wrong for `mistakes` images, drawn with the seed, each with a confidence of its own."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(targets), mistakes, replace=False)
    predicted = targets.copy()
    predicted[wrong] = (targets[wrong] + rng.integers(1, classes, mistakes)) % classes
    logits = rng.normal(size=(len(targets), classes)).astype(np.float32)
    logits[np.arange(len(targets)), predicted] = logits.max(axis=1) + rng.uniform(0.1, 6, len(targets))
    return predictions_of(logits, targets)


def predictions_of(logits, targets):
    """Predictions with these logits, their losses the cross-entropy."""
    logits = np.asarray(logits, np.float32)
    losses = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets), reduction="none")
    return Predictions(logits, targets, losses.numpy())


def epoch_lines(epochs, per_epoch=10, held_out="test"):
    """The lines of a metrics.jsonl whose loss falls and whose accuracy rises."""
    lines = []
    for step in range(1, epochs * per_epoch + 1):
        epoch = step / per_epoch
        loss, acc = 2.3 / (1 + epoch) + 0.1 * np.sin(7 * step), epoch / (2 + epoch)
        lines.append(
            {"kind": "step", "step": step, "epoch": epoch, "train/loss": loss, "train/acc": acc, "lr": 1 / step}
        )
        if step % per_epoch == 0:
            own = {f"{held_out}/loss": loss * 1.2, f"{held_out}/acc": acc * 0.9}
            lines.append({"kind": "epoch", "step": step, "epoch": epoch, "train/loss": loss, "train/acc": acc, **own})
    return lines


def flip(images):
    return images[:, :, ::-1]


def make_run(
    mistakes=40,
    count=100,
    channels=3,
    size=16,
    classes=CLASSES,
    metrics=None,
    model=None,
    cam_layers=("stem", "deep"),
    lr_finding=None,
    augment=flip,
    train=None,
    test=None,
    predictions=None,
    timing=(),
    plan=None,
):
    torch.manual_seed(0)
    train = train or random_split(count, size, channels, classes, seed=1)
    test = test or random_split(count, size, channels, classes, seed=2)
    predictions = predictions or fake_predictions(test.targets, mistakes, len(classes))
    height, width, channels = np.asarray(test.images[0]).shape
    model = (model or TinyNet(channels, len(classes))).eval()

    def pixels(indices):
        return np.stack([test.images[i] for i in indices])

    def prepared(images):  # (N, H, W, C) uint8 -> (N, C, H, W) float
        return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255

    def answer(images):
        with torch.no_grad():
            return model(prepared(images)).numpy()

    return AnalysisRun(
        folder=Path(),
        data=DataSplits(train, test, tuple(classes), (height, width, channels), (0.5,) * channels, (0.25,) * channels),
        predictions=predictions,
        metrics=epoch_lines(4) if metrics is None else metrics,
        timing=timing,
        plan=plan,
        lr_finding=lr_finding,
        model=model,
        cam_layers=cam_layers,
        device=torch.device("cpu"),
        seed=7,
        evaluation_inputs=lambda indices: prepared(pixels(indices)),
        evaluation_pixels=pixels,
        training_pixels=lambda indices, epoch: augment(np.stack([train.images[i] for i in indices])),
        answer=answer,
    )


def range_test(steps=100):
    """A range test whose loss falls to its lowest at 0.01 and then explodes."""
    lrs = np.geomspace(1e-6, 1, steps)
    x = np.log10(lrs)
    losses = 2.3 - 0.9 / (1 + np.exp(-2.5 * (x + 3.3))) + np.exp(2.4 * (x + 1.2))
    return LRFinding(tuple(lrs), tuple(losses), 4.6e-4, "steepest descent")
