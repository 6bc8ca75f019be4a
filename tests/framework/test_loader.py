"""Batches: which samples, in which order, with which randomness, in which numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frame import Split
from frame.device import Backend
from frame.loader import Normalize, Pipeline, scale
from frame.randomness import Draws, epoch_order, sample_rng

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (23, 6, 5, 3), dtype=np.uint8)
SPLIT = Split(IMAGES, np.arange(23))


def shift(image, rng):
    return np.roll(image, int(rng.integers(0, 6)), axis=0)


def noise(images, targets, draws):
    return images + draws.per_sample(1)[:, :, None, None], targets


def pipeline(split=SPLIT, samples=(), batches=(), normalize=scale, batch_size=4, workers=0, channels_last=True):
    backend = Backend(CPU, "fp32", channels_last)
    return Pipeline(split, list(samples), list(batches), normalize, backend, batch_size, seed=7, workers=workers)


def collect(batches):
    batches = list(batches)
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.targets for batch in batches])


def test_an_epochs_order_is_a_permutation_that_depends_on_seed_and_epoch():
    assert sorted(epoch_order(1, 0, 100)) == list(range(100))
    assert (epoch_order(1, 0, 100) == epoch_order(1, 0, 100)).all()
    assert (epoch_order(1, 0, 100) != epoch_order(1, 1, 100)).any()
    assert (epoch_order(1, 0, 100) != epoch_order(2, 0, 100)).any()


def test_a_samples_draws_depend_on_seed_epoch_and_sample():
    first = sample_rng(1, 2, 3).random(4)
    assert (sample_rng(1, 2, 3).random(4) == first).all()
    for other in (sample_rng(0, 2, 3), sample_rng(1, 3, 2), sample_rng(1, 2, 4)):
        assert (other.random(4) != first).all()


def test_batched_draws_belong_to_the_sample_not_to_its_batch():
    def draws(indices, batch=0, epoch=0, transform=0):
        return Draws(5, epoch, batch, transform, 100, np.asarray(indices), CPU)

    whole = draws(range(100)).per_sample(3)
    assert whole.shape == (100, 3)
    assert ((whole >= 0) & (whole < 1)).all()
    assert torch.equal(draws([42, 7], batch=9).per_sample(3), whole[[42, 7]])
    assert not torch.equal(draws(range(100), epoch=1).per_sample(3), whole)
    assert not torch.equal(draws(range(100), transform=1).per_sample(3), whole)
    twice = draws(range(100))
    assert not torch.equal(twice.per_sample(3), twice.per_sample(3))
    assert draws([0], batch=1).per_batch().random() == draws([5], batch=1).per_batch().random()
    assert draws([0], batch=1).per_batch().random() != draws([0], batch=2).per_batch().random()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_entered_at_any_batch(workers):
    whole = pipeline(samples=[shift], batches=[noise])
    images, targets = collect(whole.training(3, 6))
    assert sorted(targets.tolist()) == list(range(23))
    tail_images, tail_targets = collect(pipeline(samples=[shift], batches=[noise], workers=workers).training(3, 6, 2))
    assert torch.equal(tail_images, images[8:])
    assert torch.equal(tail_targets, targets[8:])


def test_the_global_generator_is_not_touched():
    state = torch.get_rng_state()
    collect(pipeline(samples=[shift], workers=1).training(0, 6))
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_takes_every_image_once_in_order():
    images, targets = collect(pipeline(batch_size=5).evaluation())
    assert targets.tolist() == list(range(23))
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), IMAGES / 255, rtol=1e-6)


def test_lazy_images_give_what_an_array_gives():
    class Lazy:
        def __len__(self):
            return len(IMAGES)

        def __getitem__(self, index):
            return IMAGES[index]

    array, lazy = (collect(pipeline(Split(images, SPLIT.targets)).training(0, 6)) for images in (IMAGES, Lazy()))
    assert torch.equal(array[0], lazy[0])


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalised_images_are_in_the_chosen_memory_order(channels_last):
    normalize = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.5), CPU)
    images, _ = collect(pipeline(normalize=normalize, channels_last=channels_last, batch_size=23).evaluation())
    expected = (IMAGES / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.5]
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-4, atol=1e-5)
    batch = next(pipeline(normalize=normalize, channels_last=channels_last).evaluation())
    order = torch.channels_last if channels_last else torch.contiguous_format
    assert batch.images.is_contiguous(memory_format=order)


def test_pixels_are_what_the_model_is_given_before_it_is_normalised():
    normalize = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.5), CPU)
    one = pipeline(samples=[shift], normalize=normalize)
    pixels = one.pixels([3, 11], epoch=0)
    assert pixels.shape == (2, 6, 5, 3)
    assert pixels.dtype == np.uint8
    given = one.inputs([3, 11])
    as_given = (pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.5]
    np.testing.assert_allclose(given.permute(0, 2, 3, 1).numpy(), as_given, rtol=1e-4, atol=1e-5)
