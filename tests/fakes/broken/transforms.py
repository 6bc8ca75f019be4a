"""Transforms that each break one promise."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

import random

import numpy as np
import torch

from .common import raises


class Darken:
    """Remembers what it has seen."""

    def __init__(self):
        self.seen = 0

    def __call__(self, image, rng):
        self.seen += 1
        return image // np.uint8(self.seen)


def identity(image, rng):
    return image


def in_place(image, rng):
    image[:] = 0
    return image


def sample(function):
    return lambda self, data: function


SAMPLES = [
    ("builds", "raised ValueError: too small", sample(lambda image, rng: raises(ValueError("too small")))),
    ("returns_images_as_promised", "returns Tensor: return a numpy array", sample(lambda image, rng: torch.from_numpy(image))),
    ("returns_images_as_promised", "returns shape (3, 32, 32): keep (H, W, C)", sample(lambda image, rng: image.transpose(2, 0, 1))),
    ("returns_images_as_promised", "returns int64: return uint8, 0..255", sample(lambda image, rng: image.astype(np.int64))),
    ("returns_images_as_promised", "returns float32: return uint8, 0..255", sample(lambda image, rng: image / np.float32(255))),
    ("returns_images_as_promised", "a batch needs one", sample(lambda image, rng: image[: rng.integers(1, 30)])),
    ("draws_from_its_rng_only", "take every random number from `rng`", sample(lambda image, rng: image + np.uint8(np.random.randint(200)))),
    ("draws_from_its_rng_only", "keep no state", sample(Darken())),
    ("leaves_its_input_alone", "is the dataset's own: work on a copy", sample(in_place)),
    ("can_be_sent_to_workers", "no lambda and no inner function", sample(lambda image, rng: image)),
    ("leaves_the_global_generators_alone", "the global generator of python", sample(lambda image, rng: image + np.uint8(random.random()))),
]  # fmt: skip


def batch(images=lambda images, draws: images, targets=lambda targets: targets):
    return lambda self, data: lambda x, y, draws: (images(x, draws), targets(y))


BATCHES = [
    ("returns_a_batch_as_promised", "return (images, targets), both tensors", lambda self, data: lambda x, y, draws: x),
    ("returns_a_batch_as_promised", "keep N and C", batch(lambda x, draws: x[:, :1])),
    ("returns_a_batch_as_promised", "keep them within 0..255", batch(lambda x, draws: x.float() * 2 - 255)),
    ("returns_a_batch_as_promised", "class indices or", batch(targets=lambda y: y[:, None, None])),
    ("returns_a_batch_as_promised", "make each sum to 1", batch(targets=lambda y: torch.ones(len(y), 10))),
    ("does_not_depend_on_how_a_batch_is_split", "use row i of draws.per_sample for image i", batch(lambda x, draws: x // len(x))),
    ("leaves_the_global_generators_alone", "the global generator of torch", batch(lambda x, draws: x[:, :, :, torch.randperm(x.shape[3])])),
    ("same_seed_same_outcome", "take random numbers from what `build` is given", batch(lambda x, draws: x[:, :, :, torch.randperm(x.shape[3])])),
]  # fmt: skip
