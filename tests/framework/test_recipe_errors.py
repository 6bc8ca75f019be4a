"""Several mistakes in one recipe, and what is known in spite of them. One by one they are in error_catalogue.yaml."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

from pathlib import Path

import pytest

from frame import UserError
from frame.recipe.load import load_recipe

RECIPE = """\
name: probe
data:
  use: digits
  batch_size: 64
  train_transforms:
    - {use: random_crop, padding: 2}
model: {use: custom_resnet, widths: [16, 32, 64, 128]}
loss: {use: cross_entropy}
optimizer: {use: adam, lr: 1e-3}
train: {epochs: 8}
"""
NO_FINDER = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"


def messages(tmp_path, monkeypatch, text: str, *overrides: str) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_recipe("r.yaml", overrides)
    return str(error.value).splitlines()


def test_every_mistake_at_once_in_order_and_none_twice(tmp_path, monkeypatch):
    text = """\
nme: x
data: {use: mnist, batch_size: 0, train_transforms: {use: random_crop}}
model: {use: custom_resnet, width: 3, softmax: 1}
loss: []
scheduler: {use: one_cycle}
train: {epochs: true, epoch: 3}
checkpoint: {every_epochs: 0}
analyzers:
  - {use: correc}
  - {use: correct, count: -1}
"""
    assert messages(tmp_path, monkeypatch, text, "seed=-1", "train.threads=0") == [
        "command line: seed: must be at least 0, got -1",
        "command line: train.threads: must be greater than 0, got 0",
        "r.yaml: optimizer: is required: a section that names its component, {use: NAME}",
        "r.yaml:1: nme: unknown setting; did you mean 'name'?",
        "r.yaml:2: data.batch_size: must be greater than 0, got 0",
        'r.yaml:2: data.train_transforms: must be a list, got {"use": "random_crop"}; begin each entry with `- `, a dash and a space',
        "r.yaml:2: data.use: unknown dataset 'mnist'; there is cifar10, digits, idx, image_folder",
        "r.yaml:3: model.softmax: must be true or false, got 1",
        "r.yaml:3: model.width: unknown setting; did you mean 'widths'?",
        "r.yaml:4: loss: must be a section that names its component: {use: NAME}, got []",
        f"r.yaml:5: scheduler.max_lr: {NO_FINDER}",
        "r.yaml:6: train.epochs: must be a number, got true",
        "r.yaml:6: train.epoch: unknown setting; did you mean 'epochs'?",
        "r.yaml:7: checkpoint.every_epochs: must be greater than 0, got 0",
        "r.yaml:9: analyzers.0.use: unknown analyzer 'correc'; did you mean 'correct'?",
        "r.yaml:10: analyzers.1.count: must be greater than 0, got -1",
    ]


def test_a_long_value_is_cut(tmp_path, monkeypatch):
    (line,) = messages(tmp_path, monkeypatch, RECIPE.replace("epochs: 8", f"epochs: {'x' * 500}"))
    assert line == f'r.yaml:10: train.epochs: must be a number, got "{"x" * 56}...'


@pytest.mark.parametrize(("file", "name"), [("my résumé!.yaml", "my_r_sum"), ("_.yaml", "run"), ("a.b.yaml", "a.b")])
def test_a_run_is_named_after_its_file(tmp_path, monkeypatch, file, name):
    monkeypatch.chdir(tmp_path)
    Path(file).write_text(RECIPE.replace("name: probe\n", ""))
    assert load_recipe(file).recipe.name.rstrip("_") == name


def test_what_is_known_only_with_all_settings_right_does_not_hide_the_rest(tmp_path, monkeypatch):
    lines = messages(tmp_path, monkeypatch, RECIPE, "checkpoint.monitor=acc", "train.epochs=0", "optimizer.lr=auto")
    assert [line.split(": ")[1] for line in lines] == ["train.epochs", "optimizer.lr", "checkpoint.monitor"]
