"""Random crop, flip and cutout of batches, against the plain way of doing it."""

import numpy as np
import pytest
import torch
from draws import GivenDraws, SeededDraws
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from frame import DataInfo, UserError
from frame_plugins.batch_ops import Cutout, RandomCrop, RandomFlip

INFO = DataInfo(("a", "b"), (32, 32, 3), (0.5, 0.25, 0.75), (0.2, 0.2, 0.2), 100)
TARGETS = torch.arange(6)
FORMATS = [torch.contiguous_format, torch.channels_last]
OPS = [RandomCrop(), RandomCrop(mode="reflect"), RandomFlip(), Cutout(), Cutout(fill="zero", p=0.5)]


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
