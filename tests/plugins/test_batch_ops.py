"""Random crop, flip, cutout, mixup and CutMix of batches, against the plain way of doing it."""

import numpy as np
import pytest
import torch
from draws import GivenDraws, SeededDraws
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from frame import DataInfo, UserError
from frame.compute.randomness import Draws
from frame_plugins.transforms.batch_ops import CutMix, Cutout, Mixup, RandomCrop, RandomFlip

INFO = DataInfo(("a", "b"), (32, 32, 3), (0.5, 0.25, 0.75), (0.2, 0.2, 0.2), 100)
TARGETS = torch.arange(6)
FORMATS = [torch.contiguous_format, torch.channels_last]
OPS = [
    RandomCrop(),
    RandomCrop(mode="reflect"),
    RandomFlip(),
    RandomFlip(alternate=True),
    Cutout(),
    Cutout(fill="zero", p=0.5),
]


def batch(dtype=torch.float32, memory_format=torch.contiguous_format, size=(6, 3, 32, 32)):
    images = torch.from_numpy(np.random.default_rng(5).integers(1, 256, size)).to(dtype)
    return images.contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("op", OPS, ids=str)
def test_keeps_dtype_format_targets_and_its_input(op, dtype, memory_format):
    images = batch(dtype, memory_format)
    before = images.clone()
    changed, targets = op.build(INFO)(images, TARGETS, SeededDraws(6))
    assert changed.dtype == dtype
    assert changed.stride() == images.stride()
    assert targets is TARGETS
    assert torch.equal(images, before)
    assert not torch.equal(changed, before)
    again, _ = op.build(INFO)(batch(dtype), TARGETS, SeededDraws(6))
    assert torch.equal(changed, again)  # the memory format changes no value, the same draws give the same batch


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@given(
    padding=st.integers(1, 4),
    height=st.integers(5, 9),
    width=st.integers(5, 9),
    draws=st.lists(st.tuples(*[st.floats(0, 1 - 2**-24, width=32)] * 2), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_random_crop_is_a_crop_of_the_padded_image(mode, padding, height, width, draws):
    images = batch(size=(len(draws), 2, height, width))
    cropped, _ = RandomCrop(padding=padding, mode=mode).build(INFO)(images, TARGETS, GivenDraws(draws))
    padded = functional.pad(images, [padding] * 4, mode="constant" if mode == "zero" else "reflect")
    for number, (down, right) in enumerate(draws):
        top, left = int(down * (2 * padding + 1)), int(right * (2 * padding + 1))
        assert torch.equal(cropped[number], padded[number, :, top : top + height, left : left + width])


def crop_by_two_gathers(images, draws, padding, reflect):
    """Random crop as it was before it gathered from a view of all crops."""

    def sources(shift, size):
        wanted, last = torch.arange(size) + shift, size - 1
        nearest = last - (last - wanted.abs()).abs() if reflect else wanted.clamp(0, last)
        return nearest, (wanted >= 0) & (wanted <= last)

    height, width = images.shape[2:]
    shift = (draws.per_sample(2) * (2 * padding + 1)).long() - padding
    rows, inside_rows = sources(shift[:, :1], height)
    columns, inside_columns = sources(shift[:, 1:], width)
    down = images.gather(2, rows[:, None, :, None].expand_as(images))
    cropped = down.gather(3, columns[:, None, None, :].expand_as(images))
    if not reflect:
        cropped.masked_fill_(~(inside_rows[:, None, :, None] & inside_columns[:, None, None, :]), 0)
    return cropped


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reflect", [False, True])
def test_random_crop_gives_what_it_gave_before(reflect, dtype, memory_format):
    images = batch(dtype, memory_format, size=(200, 3, 17, 12))
    op = RandomCrop(padding=3, mode="reflect" if reflect else "zero").build(INFO)
    cropped, _ = op(images, None, SeededDraws(200, seed=4))
    assert torch.equal(cropped, crop_by_two_gathers(images, SeededDraws(200, seed=4), 3, reflect))


@pytest.mark.parametrize("op", OPS, ids=str)
def test_other_devices_are_given_the_same(op, monkeypatch):
    """Without its way for the CPU an operation goes the way of all other devices."""
    images = batch(torch.uint8, torch.channels_last)
    here, _ = op.build(INFO)(images, TARGETS, SeededDraws(6))
    monkeypatch.setattr("frame_plugins.transforms.batch_ops.gather.on_cpu", lambda tensor: False)
    monkeypatch.setattr("frame_plugins.transforms.batch_ops.ops.on_cpu", lambda tensor: False)
    there, _ = op.build(INFO)(images, TARGETS, SeededDraws(6))
    assert torch.equal(here, there)
    assert here.stride() == there.stride()


def test_random_crop_reaches_every_shift_equally_often():
    images = torch.zeros(9000, 1, 9, 9)
    images[:, :, 4, 4] = 1  # never cropped away: where it went is the shift
    cropped, _ = RandomCrop(padding=4).build(INFO)(images, None, SeededDraws(9000))
    counts = cropped.sum(dim=(0, 1, 3)), cropped.sum(dim=(0, 1, 2))
    assert all((count - 1000).abs().max() < 150 for count in counts)


def test_random_flip_mirrors_those_whose_draw_is_below_p():
    images = batch(size=(4, 3, 8, 8))
    flipped, _ = RandomFlip(p=0.5).build(INFO)(images, None, GivenDraws([[0.0], [0.49], [0.5], [0.99]]))
    assert torch.equal(flipped[:2], images[:2].flip(3))
    assert torch.equal(flipped[2:], images[2:])


def test_an_alternating_flip_shows_each_image_both_ways_in_two_epochs():
    numbers = np.arange(100)
    flip = RandomFlip(alternate=True).build(INFO)
    images = batch(size=(100, 3, 8, 8))

    def flipped(epoch, among=numbers):
        draws = Draws(1, epoch, 0, 0, 100, among, torch.device("cpu"))
        changed, _ = flip(images[among], None, draws)
        return {number for number, one in zip(among.tolist(), changed, strict=True) if not one.equal(images[number])}

    assert 35 < len(flipped(0)) < 65
    assert flipped(0) == flipped(2) == flipped(14)
    assert flipped(1) == flipped(3) == set(range(100)) - flipped(0)
    assert flipped(1, numbers[40:60]) == flipped(1) & set(range(40, 60))  # a sample's own, whatever batch it is in
    with pytest.raises(ValueError, match="alternate mirrors half of the images: leave p out"):
        RandomFlip(alternate=True, p=0.3)


@pytest.mark.parametrize(("fill", "colour"), [("mean", [128, 64, 191]), ("zero", [0, 0, 0])])
def test_cutout_covers_one_square_inside_the_image(fill, colour):
    images = torch.full((500, 3, 16, 12), 200, dtype=torch.uint8)
    covered, _ = Cutout(size=5, fill=fill, p=0.75).build(INFO)(images, None, SeededDraws(500))
    hole = (covered == torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1)).all(dim=1)  # (N, H, W)
    cut = hole.any(dim=(1, 2))
    assert 0.68 < cut.float().mean() < 0.82
    assert (hole[cut].sum(dim=(1, 2)) == 25).all()
    assert (hole[cut].any(dim=2).sum(dim=1) == 5).all()
    assert (covered.permute(0, 2, 3, 1)[~hole] == 200).all()
    assert hole[:, 0].any()
    assert hole[:, -1].any()


def test_cutout_draws_the_outermost_places():
    images = batch(size=(2, 3, 10, 10))
    covered, _ = Cutout(size=4, fill="zero").build(INFO)(images, None, GivenDraws([[0.0, 0.0, 0.0], [0.9999] * 3]))
    assert not covered[0, :, :4, :4].any()
    assert not covered[1, :, 6:, 6:].any()


def test_what_does_not_fit_is_the_users_mistake():
    images = batch(size=(2, 3, 8, 8))
    with pytest.raises(UserError, match="a square of 9 does not fit into images of 8 x 8"):
        Cutout(size=9).build(INFO)(images, None, SeededDraws(2))
    with pytest.raises(UserError, match="reflected padding of 8"):
        RandomCrop(padding=8, mode="reflect").build(INFO)(images, None, SeededDraws(2))


class Mixing:
    """Draws of a batch as a whole: a Beta draw, then one number after the other."""

    epoch = 0

    def __init__(self, share, *numbers):
        self.share, self.numbers = share, iter(numbers)

    def per_batch(self):
        return self

    def beta(self, one, other):
        assert one == other
        return self.share

    def random(self):
        return next(self.numbers)


def test_mixup_blends_each_image_and_its_target_with_its_neighbour():
    images, targets = batch(torch.uint8, torch.channels_last, size=(3, 3, 8, 8)), torch.tensor([0, 1, 1])
    mixed, probabilities = Mixup().build(INFO)(images, targets, Mixing(0.7, 0.5))
    torch.testing.assert_close(mixed, 0.7 * images.float() + 0.3 * images[[2, 0, 1]].float())
    torch.testing.assert_close(probabilities, torch.tensor([[0.7, 0.3], [0.3, 0.7], [0.0, 1.0]]))
    assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_cutmix_shows_the_neighbour_in_a_box_and_mixes_targets_by_its_area():
    images, targets = batch(torch.uint8, size=(3, 3, 20, 10)), torch.tensor([0, 1, 1])
    mixed, probabilities = CutMix().build(INFO)(images, targets, Mixing(0.75, 0.5, 0.5, 0.999))
    expected = images.clone()  # a box of half the height and width, cut off at the right edge
    expected[:, :, 5:15, 7:10] = images[[2, 0, 1], :, 5:15, 7:10]
    assert torch.equal(mixed, expected)
    torch.testing.assert_close(probabilities, torch.tensor([[0.85, 0.15], [0.15, 0.85], [0.0, 1.0]]))


@pytest.mark.parametrize("op", [Mixup(p=0.5), CutMix(p=0.5)], ids=str)
def test_batches_that_are_not_mixed_still_have_probabilities(op):
    images, targets = batch(torch.uint8, size=(3, 3, 8, 8)), torch.tensor([0, 1, 1])
    same, probabilities = op.build(INFO)(images, targets, Mixing(0.75, 0.5, 0.5, 0.5))
    assert torch.equal(same, images.to(same.dtype))
    assert torch.equal(probabilities, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))


def test_mixup_after_cutmix_mixes_probabilities():
    images, targets = batch(torch.uint8, size=(3, 3, 8, 8)), torch.tensor([0, 1, 1])
    mixed, half = CutMix().build(INFO)(images, targets, Mixing(0.75, 0.5, 0.5, 0.5))
    _, both = Mixup().build(INFO)(mixed, half, Mixing(0.5, 0.0))
    torch.testing.assert_close(half, torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]))
    torch.testing.assert_close(both, (half + half[[2, 0, 1]]) / 2)
