"""Batches: which samples, in which order, with which randomness, in which numbers."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from frame import Split, UserError
from frame.compute.device import Backend
from frame.compute.randomness import Draws, epoch_order, sample_rng
from frame.input.pipeline import Normalize, Pipeline, scale
from frame.input.resident import to_device, to_device_if_it_fits

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (23, 6, 5, 3), dtype=np.uint8)
SPLIT = Split(IMAGES, np.arange(23))


def shift(image, rng):
    return np.roll(image, int(rng.integers(0, 6)), axis=0)


def noise(images, targets, draws):
    return images + draws.per_sample(1)[:, :, None, None], targets


def process(image, rng):
    return np.full(image.shape, os.getpid(), dtype=np.float32)


def pipeline(
    split=SPLIT, samples=(), batches=(), normalize=scale, batch_size=4, workers=0, channels_last=True, mode="auto"
):
    backend = Backend(CPU, "fp32", channels_last)
    return Pipeline(split, list(samples), list(batches), normalize, backend, batch_size, 7, workers, mode)


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


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
@pytest.mark.parametrize("workers", [1, 4])
def test_workers_give_the_same_bytes_in_every_epoch(workers):
    here, there = (pipeline(samples=[shift], batches=[noise], workers=count) for count in (0, workers))
    for epoch, start in ((0, 3), (1, 0), (2, 0), (2, 5), (2, 6)):  # also resumed, even at an epoch's end
        expected, given = list(here.training(epoch, 6, start)), list(there.training(epoch, 6, start))
        assert len(given) == 6 - start
        for one, other in zip(expected, given, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.targets, other.targets)


def test_workers_live_as_long_as_the_pipeline_and_forget_an_epoch_that_was_left():
    one = pipeline(samples=[process], workers=2)
    left = one.training(0, 6)
    next(left)
    images, targets = collect(one.training(1, 6))
    assert sorted(targets.tolist()) == list(range(23))
    assert targets.tolist() == epoch_order(7, 1, 23).tolist()
    again, _ = collect(one.training(2, 6))
    processes = set(images.unique().tolist())
    assert processes == set(again.unique().tolist())
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_images_of_one_array_need_no_workers_unless_they_are_asked_for():
    lazy = Split([*IMAGES], SPLIT.targets)
    assert pipeline(workers=2).gathers
    assert not pipeline(workers=2, mode="workers").gathers
    assert not pipeline(lazy, workers=2).gathers
    assert not pipeline(samples=[shift], workers=2).gathers
    expected = collect(pipeline(batches=[noise]).training(0, 6))
    for other in (pipeline(batches=[noise], workers=2, mode="workers"), pipeline(lazy, batches=[noise], workers=2)):
        assert all(torch.equal(*pair) for pair in zip(expected, collect(other.training(0, 6)), strict=True))


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


@pytest.mark.parametrize("device", DEVICES)
def test_images_that_stay_on_the_device_are_the_same(device):
    expected = pipeline(batches=[noise])
    resident = pipeline(batches=[noise])
    vars(resident)["resident"] = to_device(SPLIT, torch.device(device))
    for name in ("images", "targets"):
        assert getattr(resident.resident, name).device.type == device
    for batches in (lambda one: one.training(2, 6, 1), lambda one: one.evaluation()):
        pairs = zip(collect(batches(expected)), collect(batches(resident)), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_images_that_take_more_than_half_of_a_devices_memory_are_sent_batch_by_batch(monkeypatch):
    monkeypatch.setattr("frame.input.resident.free_memory", lambda device: 2**31)
    large = Split(np.broadcast_to(IMAGES[:1], (2**24, 6, 5, 3)), SPLIT.targets)  # 1.4 GiB, were it written out
    assert to_device_if_it_fits(large, torch.device("cuda"), must=False) is None
    message = "the images take 1.41 GiB, more than half of the 2.00 GiB free on cuda; take auto"
    with pytest.raises(UserError, match=message):
        to_device_if_it_fits(large, torch.device("cuda"), must=True)


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
