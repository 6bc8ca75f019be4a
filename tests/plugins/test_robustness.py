import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from fakes.analysis_run import make_run, random_split
from frame import Chart, Picture, Split, figures
from frame_plugins.analyzers.robustness import KINDS, Corrupter, Robustness, transform


class BrightOrDark(nn.Module):
    """Class 1 from a mean of 0.65 of white on, class 0 below."""

    def forward(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([0.65 - mean, mean - 0.65], dim=1)


def light_run(count=40, channels=3):
    """Half of the images are dark (40 % of white) and half are bright (80 %), a few grey levels apart."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 2
    levels = np.where(targets, 204, 102)[:, None, None, None] + rng.integers(-3, 4, (count, 16, 16, channels))
    split = Split(levels.astype(np.uint8), targets)
    return make_run(test=split, train=split, classes=("dark", "bright"), model=BrightOrDark())


def image(size=32, channels=3):
    """Stripes in two directions, of middling light and contrast."""
    y, x = np.mgrid[:size, :size, :1][:2] * 32 / size
    waves = 128 + 50 * np.sin(x * np.arange(1, channels + 1) / 2) + 30 * np.cos(y / 2)
    return waves.clip(0, 255).astype(np.uint8)


def corrupt(picture, name, severity, *, index=0, seed=0):
    return Corrupter(name, severity, transform(name, severity, large=len(picture) > 64), seed)(picture, index)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [32, 96])
@pytest.mark.parametrize("name", KINDS)
def test_each_corruption_grows_with_its_severity_on_grey_and_colour_images(name, size, channels):
    picture = image(size, channels)
    before = picture.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations warns of arguments that it does not know
        corrupted = [corrupt(picture, name, severity, index=index) for severity in range(1, 6) for index in range(8)]
    np.testing.assert_array_equal(picture, before)
    assert all((each.shape, each.dtype) == (picture.shape, np.uint8) for each in corrupted)
    damage = np.abs(np.stack(corrupted).astype(float) - picture).reshape(5, -1).mean(axis=1)
    assert damage[0] > 0
    assert damage[0] <= damage[2] <= damage[4]
    assert damage[4] > 1.1 * damage[0]


def test_corruptions_do_what_they_are_called():
    picture = image().astype(float)
    std = (corrupt(np.full((64, 64, 3), 128, np.uint8), "gaussian_noise", 5) / 255).std()
    assert std == pytest.approx(0.10, abs=0.005)
    flipped = corrupt(np.full((64, 64, 3), 128, np.uint8), "impulse_noise", 5)
    assert np.isin(flipped, [0, 128, 255]).all()
    assert (flipped != 128).mean() == pytest.approx(0.07, abs=0.02)
    assert corrupt(image(), "brighter", 3).mean() - picture.mean() == pytest.approx(0.15 * 255, abs=2)
    assert picture.mean() - corrupt(image(), "darker", 3).mean() == pytest.approx(0.15 * 255, abs=2)
    flat = corrupt(image(), "low_contrast", 2).astype(float)
    assert flat.std() == pytest.approx(picture.std() / 2, rel=0.1)
    assert flat.mean() == pytest.approx(picture.mean(), abs=3)
    for blur in ("gaussian_blur", "motion_blur"):
        assert (
            np.abs(np.diff(corrupt(image(), blur, 5).astype(float), axis=1)).mean()
            < np.abs(np.diff(picture, axis=1)).mean()
        )


def test_draws_depend_on_seed_corruption_and_image_and_not_on_severity():
    grey = np.full((32, 32, 3), 128, np.uint8)
    noise = corrupt(grey, "gaussian_noise", 5, index=3, seed=7).astype(float) - 128
    np.testing.assert_array_equal(corrupt(grey, "gaussian_noise", 5, index=3, seed=7).astype(float) - 128, noise)
    weaker = corrupt(grey, "gaussian_noise", 1, index=3, seed=7).astype(float) - 128
    assert np.corrcoef(noise.ravel(), weaker.ravel())[0, 1] > 0.99
    for other in ({"index": 4, "seed": 7}, {"index": 3, "seed": 8}):
        assert abs(np.corrcoef(noise.ravel(), corrupt(grey, "gaussian_noise", 5, **other).ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_accuracy_falls_where_the_model_is_weak_and_nowhere_else(channels):
    run = light_run(channels=channels)
    result = Robustness(severities=(5, 1, 3, 3)).build(run)
    (table,) = result.tables
    assert table.columns == ("corruption", "severity 1", "severity 3", "severity 5", "mean", "drop")
    assert table.rows[0] == ("none", None, None, None, 1.0, 0.0)
    rows = {row[0]: row[1:] for row in table.rows[1:]}
    # 40 % of white passes for bright from + 25 % on, 80 % for dark from - 15 % on
    assert rows["brighter"] == (1.0, 1.0, 0.5, 0.8333, 0.1667)
    assert rows["darker"][0] == 1.0
    assert rows["darker"][2] == 0.5
    for name in ("Gaussian noise", "impulse noise", "Gaussian blur", "motion blur", "low contrast", "JPEG"):
        assert rows[name] == (1.0, 1.0, 1.0, 1.0, 0.0)
    assert [row[-1] for row in table.rows[1:]] == sorted((row[-1] for row in table.rows[1:]), reverse=True)
    mean = sum(row[-2] for row in rows.values()) / len(KINDS)
    assert result.scalars["mean corruption accuracy"] == pytest.approx(mean, abs=1e-3)
    assert result.scalars["clean accuracy"] == 1
    chart, picture = result.figures
    assert isinstance(chart, Chart)
    lines = {series.name: series for series in chart.series}
    assert tuple(lines["brighter"].x) == (0, 1, 3, 5)
    assert tuple(lines["brighter"].y) == (1.0, 1.0, 1.0, 0.5)
    assert len({(series.color, series.dashed) for series in chart.series}) == len(KINDS)
    assert "It falls most for darker" in chart.caption
    assert isinstance(picture, Picture)
    titles = [axes.get_title() for axes in picture.image.axes if axes.get_title()]
    assert titles == ["as it is", *(name.replace(" ", "\n") for name in lines)]
    assert len([axes for axes in picture.image.axes if axes.images]) == 1 + 3 * len(KINDS)
    assert len(figures.png(picture)) > 5000


def test_a_seeded_subset_of_the_test_set_is_corrupted_and_answered_in_batches():
    run = make_run(test=random_split(600), train=random_split(10), mistakes=0)
    seen = []
    logits = run.logits
    run = replace(run, logits=lambda pixels: seen.append(len(pixels)) or logits(pixels))
    settings = {"corruptions": ("gaussian_noise", "jpeg"), "severities": (2,)}
    first = Robustness(images=300, **settings).build(run)
    assert seen == [250] * 3 + [50] * 3
    assert first.scalars["images"] == 300
    again, all_of_them = Robustness(images=300, **settings).build(run), Robustness(images=601, **settings).build(run)
    assert first.tables[0].rows == again.tables[0].rows
    assert all_of_them.scalars["images"] == 600
    images = [result.figures[1].image.axes[0].images[0].get_array() for result in (first, again)]
    np.testing.assert_array_equal(*images)


def test_the_global_generators_and_the_model_stay_as_they_are():
    run = make_run(count=10, mistakes=3)
    weights = {name: value.clone() for name, value in run.model.state_dict().items()}
    drawn = []
    for build in (False, True):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        if build:
            Robustness(severities=(1,)).build(run)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())


def test_wrong_settings_are_refused():
    for wrong in ({"severities": (0,)}, {"severities": (6,)}, {"severities": ()}, {"corruptions": ()}, {"images": 0}):
        with pytest.raises(ValidationError):
            Robustness(**wrong)
    with pytest.raises(ValidationError, match="'gaussian_noise', 'impulse_noise'"):
        Robustness(corruptions=("fog",))
