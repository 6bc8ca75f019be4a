"""Datasets that each break one promise."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

from dataclasses import replace

import numpy as np

import frame
from frame.testing.examples import random_split

from .common import COUNT, raises


def data(**changes):
    """Return what builds a small dataset, with something changed in it."""

    def build(self, root):
        train, test = random_split(20, seed=1), random_split(20, seed=2)
        info = {"classes": frame.testing.examples.CLASSES, "shape": (16, 16, 3), "mean": (0.5,) * 3, "std": (0.2,) * 3}
        values = {"train": train, "test": test, "checksum": "abc", **info}
        return frame.DataSplits(**values | {name: change(values) for name, change in changes.items()})

    return build


def part(**changes):
    """Return a change of the test split."""
    return lambda values: replace(values["test"], **{name: f(values["test"]) for name, f in changes.items()})


def opens(self, root):
    (root / "images.npy").read_bytes()


DATASETS = [
    ("builds", "finds no data: put it there; override prepare(root)", lambda self, root: raises(frame.UserError("put it there"))),
    ("images_are_as_promised", "an image of float32: pixels are uint8", data(test=part(images=lambda t: t.images.astype(np.float32)))),
    ("images_are_as_promised", "shape (3, 16, 16), and says (16, 16, 3)", data(test=part(images=lambda t: t.images.transpose(0, 3, 1, 2)))),
    ("images_are_as_promised", "20 images and 5 targets: one target an image", data(test=part(targets=lambda t: t.targets[:5]))),
    ("images_are_as_promised", "the test split of Broken is empty", data(test=part(images=lambda t: t.images[:0], targets=lambda t: t.targets[:0]))),
    ("targets_are_as_promised", "are int32 (20,): return an array (N,) of int64", data(test=part(targets=lambda t: t.targets.astype(np.int32)))),
    ("targets_are_as_promised", "reach from 1 to 10: count 10 from 0", data(test=part(targets=lambda t: t.targets + 1))),
    ("targets_are_as_promised", "3 sources: name one an image", data(test=part(sources=lambda t: t.sources[:3]))),
    ("targets_are_as_promised", "return a tuple of names", data(classes=lambda v: tuple(range(10)))),
    ("targets_are_as_promised", "have one name: tell them apart", data(classes=lambda v: ("cat",) * 10)),
    ("statistics_are_as_promised", "compute it of pixels scaled to [0, 1]", data(mean=lambda v: (127.0,) * 3)),
    ("statistics_are_as_promised", "has 1 values for 3 channels", data(std=lambda v: (0.2,))),
    ("statistics_are_as_promised", "has no checksum", data(checksum=lambda v: "")),
    ("missing_data_is_the_users_error", "raise frame.UserError, which says what it looks for", opens),
    ("same_seed_same_outcome", "does not repeat itself: [0][4] differs", data(checksum=lambda v: str(next(COUNT)))),
    ("leaves_the_global_generators_alone", "draws from the global generator of numpy", data(checksum=lambda v: f"{np.random.rand() >= 0}")),
]  # fmt: skip
