"""Test-time augmentation: what the mean answers are means of."""

import numpy as np
import pytest
import torch
from torch import nn

from frame import DataInfo, UserError
from frame_plugins.evaluators.mirror import Mirror, MirrorTranslate


def info(shape=(2, 2, 3)):
    return DataInfo(("a", "b", "c"), shape, (0.5,) * 3, (0.25,) * 3, 100)


def test_mirror_is_the_mean_over_the_image_and_its_flip():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    images = torch.randn(5, 3, 2, 2)
    answer = Mirror().build(info())
    torch.testing.assert_close(answer(model, images), (model(images) + model(images.flip(3))) / 2)
    torch.testing.assert_close(answer(model, images), answer(model, images.flip(3)))
    assert not torch.allclose(answer(model, images), model(images))


def test_mirror_translate_weighs_the_image_one_half_and_each_shift_a_quarter():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 5, 3), nn.Tanh())
    images = torch.randn(4, 3, 6, 5)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    views = [images, torch.from_numpy(padded[:, :, 0:6, 0:5].copy()), torch.from_numpy(padded[:, :, 2:8, 2:7].copy())]
    assert torch.equal(views[1][:, :, 1:, 1:], images[:, :, :-1, :-1])
    answers = [(model(view) + model(view.flip(3))) / 2 for view in views]
    expected = 0.5 * answers[0] + 0.25 * answers[1] + 0.25 * answers[2]
    torch.testing.assert_close(MirrorTranslate().build(info())(model, images), expected)


def test_mirror_translate_needs_room_for_its_shift():
    with pytest.raises(UserError, match="at least 2x2 pixels"):
        MirrorTranslate().build(info((1, 8, 3)))
