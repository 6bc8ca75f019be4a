"""The smallest batch of a run is tried before the first step: a run that dies on it loses its first epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from frame.compute.distributed import World
from frame.compute.randomness import rng_state
from frame.errors import RunFailed, UserError
from frame.recipe.load import load_recipe
from frame.training.build import build, load_data

MODEL = """
from torch import nn
from frame import ModelComponent, hookimpl

class Narrow(nn.Module):
    def __init__(self, classes, need):
        super().__init__()
        self.body, self.need = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1)), need
        self.norm, self.drop, self.head = nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Linear(4, classes)
    def forward(self, images):
        if self.training and len(images) < self.need:
            raise ValueError("no such luck")
        return self.head(self.drop(self.norm(self.body(images)).flatten(1)))

class NarrowModel(ModelComponent):
    \"\"\"A BatchNorm at 1x1.\"\"\"
    need: int = 0
    def build(self, data):
        return Narrow(data.num_classes, self.need)

@hookimpl
def frame_components():
    return {"narrow": NarrowModel}
"""
RECIPE = """
name: narrow
plugins: [./narrow.py]
data: {use: image_folder, root: images, size: 8, batch_size: 4}
model: {use: narrow}
loss: {use: cross_entropy}
optimizer: {use: sgd, lr: 0.01}
train: {epochs: 1, precision: fp32}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Iterator[str]:
    """A recipe of nine images in batches of four: the last has one."""
    monkeypatch.chdir(tmp_path)
    for part, counts in {"train": (5, 4), "test": (2, 2)}.items():
        for name, count in zip("ab", counts, strict=True):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (20 * number, 9, 90)).save(tmp_path / f"images/{part}/{name}/{number}.png")
    (tmp_path / "narrow.py").write_text(MODEL)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return "recipe.yaml"


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_last_batch_that_the_model_cannot_train_on_is_said_before_the_first_step(cli, tmp_path, recipe, more):
    result = cli("run", recipe, *more)
    assert result.code == 2, result.err
    (line,) = result.err.splitlines()
    assert "9 training images in batches of 4 leave a last batch of 1" in line
    assert "Expected more than 1 value per channel" in line
    assert "data.drop_last=true" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("setting", ["data.drop_last=true", "data.batch_size=3", "train.epochs=0.5"])
def test_the_remedies_help_and_a_batch_that_never_comes_is_not_tried(cli, recipe, setting):
    result = cli("run", recipe, setting)
    assert result.code == 0, result.err


def tried(recipe: str, *settings: str, world: World | None = None) -> nn.Module:
    loaded = load_recipe(recipe, settings)
    data = load_data(loaded.recipe)
    return build(loaded.recipe, data, world or World()).model


def test_a_batch_size_of_one_is_the_same_fault_and_has_another_remedy(recipe):
    with pytest.raises(UserError, match=r"data\.batch_size: 'narrow' cannot train on 1 image .*; take a larger one"):
        tried(recipe, "data.batch_size=1")


def test_each_process_s_share_of_the_last_batch_counts(recipe):
    """Nine in batches of six leave three: one process alone trains on three, two on one and two."""
    tried(recipe, "data.batch_size=6")
    for rank in range(2):
        with pytest.raises(UserError, match="a last batch of 3, 1 image for one of 2 processes"):
            tried(recipe, "data.batch_size=6", world=World(rank=rank, size=2))


def test_a_model_that_fails_on_any_batch_is_blamed_itself(recipe):
    with pytest.raises(RunFailed, match="model 'narrow' failed: ValueError: no such luck"):
        tried(recipe, "model.need=5")


def test_the_trial_leaves_generators_and_buffers_alone(recipe):
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    model = tried(recipe, "data.batch_size=6")
    after = rng_state()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    untried = tried(recipe, "data.batch_size=6", "data.drop_last=true")
    assert str(after) == str(rng_state())
    assert torch.equal(after["torch"], rng_state()["torch"])
    assert model.norm.num_batches_tracked == 0
    for one, other in zip(model.state_dict().values(), untried.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_images_that_cannot_be_read_are_not_what_it_is_tried_with(cli, tmp_path, recipe):
    for number in (0, 1):
        (tmp_path / f"images/train/a/{number}.png").write_text("x")
    result = cli("run", recipe, "data.unreadable=skip", "data.drop_last=true", "data.batch_size=1", "model.need=1")
    (line,) = result.err.splitlines()
    assert result.code == 2
    assert "'narrow' cannot train on 1 image (Expected more than 1 value per channel" in line
