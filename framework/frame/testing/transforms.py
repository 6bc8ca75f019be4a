"""The contracts of transforms: of single images (H, W, C), and of batches (N, C, H, W); pixels 0..255."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..api.components import BatchTransform, Component, SampleTransform
from ..api.images import ArraySource
from ..compute.randomness import Draws, sample_rng
from ..errors import FrameError
from .contract import ComponentContract
from .guards import doing, fail, require

IMAGES = 12


class SampleTransformContract(ComponentContract):
    """What a transform of single images promises: an image (H, W, C) uint8, all its randomness from `rng`."""

    kind: ClassVar[type[Component]] = SampleTransform

    def build(self, channels: int | None = None) -> Callable[[Any, np.random.Generator], Any]:
        transform = self.ready().build(self.info(channels))
        require(
            callable(transform), f"{self.name}.build returned {type(transform).__name__}, not (image, rng) -> image"
        )
        return transform

    def images(self, channels: int | None = None) -> np.ndarray:
        """Return (IMAGES, H, W, C) uint8."""
        height, width, own = self.image_shape
        shape = (IMAGES, height, width, channels or own)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def given(self, image: np.ndarray) -> Any:
        """Return a copy of an image as the transform is given it: whole, as a Source, where it takes these."""
        takes_source: bool = self.ready().takes_source
        return ArraySource(image.copy()) if takes_source else image.copy()

    def outcome(self) -> Any:
        transform = self.build()
        return [transform(self.given(image), sample_rng(0, 0, number)) for number, image in enumerate(self.images())]

    def test_returns_images_as_promised(self) -> None:
        for channels in self.channels():
            what = f"{self.name} of images of {channels} channels"
            try:
                with doing(what, "refuse what it cannot do with a UserError"):
                    transform = self.build(channels)
                    images = [
                        transform(self.given(image), sample_rng(0, 0, n))
                        for n, image in enumerate(self.images(channels))
                    ]
            except AssertionError as error:
                if channels == self.image_shape[2] or not isinstance(error.__cause__, FrameError):
                    raise
                continue
            for image in images:
                message = f"returns {type(image).__name__}: return a numpy array (H, W, C)"
                require(isinstance(image, np.ndarray), f"{what} {message}")
                message = f"returns shape {image.shape}: keep (H, W, C), and the number of channels"
                require(image.ndim == 3 and image.shape[2] == channels, f"{what} {message}")
                message = f"returns {image.dtype}: return uint8, 0..255; the host normalises last"
                require(image.dtype == np.uint8, f"{what} {message}")
            kinds = {(image.shape, str(image.dtype)) for image in images}
            require(len(kinds) == 1, f"{what} returns images of {len(kinds)} kinds, {kinds}: a batch needs one")

    def test_draws_from_its_rng_only(self) -> None:
        """Whatever came before it, the same image and generator give the same."""
        transform, image = self.build(), self.images()[0]
        with doing(self.name):
            first = transform(self.given(image), sample_rng(0, 0, 0))
            for number, other in enumerate(self.images()):
                transform(self.given(other), sample_rng(1, 1, number))
            np.random.default_rng()
            again = transform(self.given(image), sample_rng(0, 0, 0))
        message = "gives something else for the same image and rng: take every random number from `rng`, keep no state"
        require(np.array_equal(first, again), f"{self.name} {message}")

    def test_leaves_its_input_alone(self) -> None:
        transform = self.build()
        for number, image in enumerate(self.images()):
            given = self.given(image)
            with doing(self.name):
                transform(given, sample_rng(0, 0, number))
            given = given.pixels if isinstance(given, ArraySource) else given
            message = "writes into the image that it is given, which is the dataset's own: work on a copy"
            require(np.array_equal(given, image), f"{self.name} {message}")

    def test_can_be_sent_to_workers(self) -> None:
        advice = "build a function or an object of a class that stands in a module, no lambda and no inner function"
        with doing(f"pickling the transform that {self.name} builds", advice):
            twin = pickle.loads(pickle.dumps(self.build()))  # noqa: S301
            image = self.images()[0]
            same = np.array_equal(*(one(self.given(image), sample_rng(0, 0, 0)) for one in (self.build(), twin)))
        require(same, f"{self.name} does something else after pickling: keep all it uses in its attributes")


class BatchTransformContract(ComponentContract):
    """What a transform of batches promises: images and targets of the same batch, all its randomness from `draws`."""

    kind: ClassVar[type[Component]] = BatchTransform

    def build(self, channels: int | None = None) -> Callable[..., Any]:
        transform = self.ready().build(self.info(channels))
        message = f"{self.name}.build returned {type(transform).__name__}, not (images, targets, draws) -> both"
        require(callable(transform), message)
        return transform

    def batch(self, channels: int | None = None) -> tuple[Tensor, Tensor]:
        """Return images (IMAGES, C, H, W) uint8 and targets (IMAGES,)."""
        height, width, own = self.image_shape
        shape = (IMAGES, channels or own, height, width)
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        return torch.from_numpy(images), torch.arange(IMAGES) % self.classes

    def outcome(self) -> Any:
        images, targets = self.batch()
        return list(self.build()(images, targets, Recorded(range(IMAGES))))

    def test_returns_a_batch_as_promised(self) -> None:
        for channels in self.channels():
            try:
                with doing(f"{self.name} for {channels} channels", "refuse what it cannot do with a UserError"):
                    transform = self.build(channels)
            except AssertionError as error:
                if channels == self.image_shape[2] or not isinstance(error.__cause__, FrameError):
                    raise
                continue
            for dtype in (torch.uint8, torch.float32):
                for count in (1, IMAGES):
                    self._check(transform, channels, dtype, count)

    def test_does_not_depend_on_how_a_batch_is_split(self) -> None:
        """Draws of each sample belong to it, whatever batch it is in; a transform that draws per batch mixes them."""
        images, targets = self.batch()
        transform, draws = self.build(), Recorded(range(IMAGES))
        with doing(self.name):
            whole, _ = transform(images.clone(), targets.clone(), draws)
            if draws.per_batch_calls:
                return
            cuts = (range(5), range(5, IMAGES))
            parts = [transform(images[list(cut)], targets[list(cut)], Recorded(cut))[0] for cut in cuts]
        message = "changes an image in another way when the batch is split: use row i of draws.per_sample for image i"
        require(torch.equal(whole, torch.cat(parts)), f"{self.name} {message}")

    def _check(self, transform: Callable[..., Any], channels: int, dtype: torch.dtype, count: int) -> None:
        images, targets = self.batch(channels)
        what = f"{self.name} of {count} {dtype} images of {channels} channels"
        with doing(what, "it gets (images (N, C, H, W), targets, draws)"):
            answer = transform(images[:count].to(dtype), targets[:count], Recorded(range(count)))
        if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(one, Tensor) for one in answer)):
            fail(f"{what} returns {type(answer).__name__}: return (images, targets), both tensors")
        changed, kept = answer
        message = f"returns images of shape {tuple(changed.shape)}: keep N and C, as ({count}, {channels}, H, W)"
        require(changed.ndim == 4 and changed.shape[:2] == (count, channels), f"{what} {message}")
        pixels = changed.float()
        inside = bool(pixels.isfinite().all()) and float(pixels.min()) >= 0 and float(pixels.max()) <= 255
        message = f"returns pixels from {float(pixels.min()):g} to {float(pixels.max()):g}: keep them within 0..255"
        require(inside, f"{what} {message}")
        right = (count,), (count, self.classes)
        message = f"returns targets of shape {tuple(kept.shape)}: {right[0]} class indices or {right[1]} probabilities"
        require(tuple(kept.shape) in right, f"{what} {message}")
        if kept.ndim == 2:
            shares = bool((kept >= 0).all()) and bool(((kept.sum(1) - 1).abs() < 1e-4).all())
            require(shares, f"{what} returns targets whose rows are no probabilities: make each sum to 1")


class Recorded(Draws):
    """The draws of a batch of the samples `numbers`; counts those that belong to the batch as a whole."""

    def __init__(self, numbers: range) -> None:
        super().__init__(0, 0, 0, 0, IMAGES, np.array(numbers, dtype=np.int64), torch.device("cpu"))
        self.per_batch_calls = 0

    def per_batch(self) -> np.random.Generator:
        self.per_batch_calls += 1
        return super().per_batch()
