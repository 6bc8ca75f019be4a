"""Wrong recipes, each with the exact text that its author gets: place, key, what is wrong, the nearest right answer."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

from pathlib import Path

import pytest

from frame import UserError
from frame.resolve import load_recipe

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
TOP = "analyzers, callbacks, checkpoint, data, evaluate, extends, loss, lr_finder, model, name, optimizer, plugins, scheduler, seed, trackers, train"  # fmt: skip
NAME = "must be up to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
IS_TEXT = "; it is text, being quoted or from oc.env: leave the quotes out, or write ${oc.decode:${oc.env:...}}"
NO_FINDER = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"
LATE = "works on single images and cannot stand after a batched transform; move it up"
METRICS = "there is train/loss, train/acc, test/loss, test/acc"

WRONG = [
    # (what stands in the recipe, what is written instead, the message); without the first, a line 11 is added
    # unknown settings, at every level
    ("", "optimiser: {}", "11: optimiser: unknown setting; did you mean 'optimizer'?"),
    ("", "wurst: 1", f"11: wurst: unknown setting; there is {TOP}"),
    ("batch_size: 64", "batchsize: 64", "4: data.batchsize: unknown setting; did you mean 'batch_size'?"),
    ("batch_size: 64", "test_fractoin: 0.1", "4: data.test_fractoin: unknown setting; did you mean 'test_fraction'?"),
    ("epochs: 8", "epochs: 8, epoch: 9", "10: train.epoch: unknown setting; did you mean 'epochs'?"),
    ("", "checkpoint: {moniter: x}", "11: checkpoint.moniter: unknown setting; did you mean 'monitor'?"),
    ("widths", "width", "7: model.width: unknown setting; did you mean 'widths'?"),
    ("loss: {", "loss: {q: 1, ", "8: loss.q: unknown setting; there is label_smoothing, use"),
    ("padding", "pading", "6: data.train_transforms.0.pading: unknown setting; did you mean 'padding'?"),
    ("batch_size: 64", "normalize: {mean: [0], std: [1], sd: [1]}", "4: data.normalize.sd: unknown setting; did you mean 'std'?"),
    ("", "analyzers:\n  - use: curves\n  - use: correct\n    cuont: 3", "14: analyzers.1.cuont: unknown setting; did you mean 'count'?"),
    # components
    ("digits", "mnist", "3: data.use: unknown dataset 'mnist'; there is cifar10, digits, image_folder"),
    ("custom_resnet", "resnet", "7: model.use: unknown model 'resnet'; did you mean 'custom_resnet'?"),
    ("random_crop", "randomcrop", "6: data.train_transforms.0.use: unknown transform 'randomcrop'; did you mean 'random_crop'?"),
    ("", "scheduler: {use: one_cycl}", "11: scheduler.use: unknown scheduler 'one_cycl'; did you mean 'one_cycle'?"),
    ("", "evaluate: {use: miror}", "11: evaluate.use: unknown evaluator 'miror'; did you mean 'mirror'?"),
    ("{use: cross_entropy}", "{}", "8: loss.use: is required: the name of a loss; there is cross_entropy"),
    ("use: adam, ", "", "9: optimizer.use: is required: the name of an optimizer; there is adam, adamw, sgd"),
    ("  use: digits\n", "", "2: data.use: is required: the name of a dataset; there is cifar10, digits, image_folder"),
    ("", "lr_finder: {use: [a]}", '11: lr_finder.use: must be the name of an lr_finder, got ["a"]; there is lr_range_test'),
    # the wrong type
    ("epochs: 8", "epochs: true", "10: train.epochs: must be an integer, got true"),
    ("epochs: 8", "epochs: 8.5", "10: train.epochs: must be an integer, got 8.5"),
    ("epochs: 8", "epochs: '8'", f'10: train.epochs: must be an integer, got "8"{IS_TEXT}'),
    ("epochs: 8", "epochs: eight", '10: train.epochs: must be an integer, got "eight"'),
    ("epochs: 8", "epochs: null", "10: train.epochs: must be an integer, got null"),
    ("epochs: 8", "epochs: 8, channels_last: 1", "10: train.channels_last: must be true or false, got 1"),
    ("batch_size: 64", "root: 3", "4: data.root: must be text, got 3"),
    ("[16, 32, 64, 128]", "16", "7: model.widths: must be a list, got 16"),
    ("[16, 32, 64, 128]", "[16, a, 64, 128]", '7: model.widths.1: must be an integer, got "a"'),
    ("[16, 32, 64, 128]", "[16, 32]", "7: model.widths: has too few entries, got [16, 32]"),
    ("[16, 32, 64, 128]", "[1, 2, 3, 4, 5]", "7: model.widths: must have at most 4 entries, got [1, 2, 3, 4, 5]"),
    ("lr: 1e-3", "lr: fst", "9: optimizer.lr: must be a number or 'auto', got \"fst\""),
    ("lr: 1e-3", "lr: outo", "9: optimizer.lr: must be a number or 'auto', got \"outo\"; did you mean 'auto'?"),
    ("lr: 1e-3", "lr: .nan", "9: optimizer.lr: must be a finite number or 'auto', got NaN"),
    ("lr: 1e-3", "weight_decay_of: [a]", '9: optimizer.weight_decay_of: must be a section of settings, got ["a"]'),
    # out of range
    ("epochs: 8", "epochs: -1", "10: train.epochs: must be greater than 0, got -1"),
    ("batch_size: 64", "validation: 1", "4: data.validation: must be less than 1, got 1"),
    ("batch_size: 64", "workers: -1", "4: data.workers: must be at least 0, got -1"),
    ("batch_size: 64", "normalize: {mean: [0.5], std: [0]}", "4: data.normalize.std.0: must be greater than 0, got 0"),
    ("lr: 1e-3", "lr: -1", "9: optimizer.lr: must be greater than 0 or 'auto', got -1"),
    ("lr: 1e-3", "betas: [0.9, 1.5]", "9: optimizer.betas.1: must be less than 1, got 1.5"),
    ("lr: 1e-3", "weight_decay_of: {'*.bias': -1}", "9: optimizer.weight_decay_of.*.bias: must be at least 0, got -1"),
    ("epochs: 8", "epochs: 8, precision: fp64", "10: train.precision: must be 'auto', 'fp32', 'bf16' or 'fp16', got \"fp64\"; did you mean 'fp16'?"),
    ("epochs: 8", "epochs: 8, device: gpu", '10: train.device: must be auto, cpu, mps, cuda or cuda:N, got "gpu"'),
    ("name: probe", "name: a/b", f'1: name: {NAME}, got "a/b"'),
    # sections
    ("train: {epochs: 8}\n", "", ": train: is required"),
    ("{epochs: 8}", "{}", "10: train.epochs: is required"),
    ("batch_size: 64", "normalize: {mean: [0.5]}", "4: data.normalize.std: is required"),
    ("{use: cross_entropy}", "cross_entropy", '8: loss: must be a section that names its component: {use: cross_entropy}, got "cross_entropy"'),
    ("{use: cross_entropy}", "[{use: cross_entropy}]", '8: loss: must be a section of settings, got [{"use": "cross_entropy"}]'),
    ("{epochs: 8}", "8", "10: train: must be a section of settings, got 8"),
    ("", "analyzers: {use: curves}", '11: analyzers: must be a list, got {"use": "curves"}'),
    ("", "analyzers: [curves]", '11: analyzers.0: must be a section that names its component: {use: curves}, got "curves"'),
    ("", "analyzers:\n  - use: curves\n  -", "13: analyzers.1: must be a section of settings, got null"),
    ("", "plugins: mine", '11: plugins: must be a list of module names and ./file.py, got "mine"'),
    # right by themselves, wrong together
    ("lr: 1e-3", "lr: auto", f"9: optimizer.lr: {NO_FINDER}"),
    ("", "scheduler: {use: one_cycle}", f"11: scheduler.max_lr: {NO_FINDER}"),
    ("lr: 1e-3", "use: sgd, nesterov: true, momentum: 0", "9: optimizer: nesterov needs a momentum above 0"),
    ("", "checkpoint: {monitor: test/f1}", f"11: checkpoint.monitor: 'test/f1' is not measured: no metric of this run has this name; {METRICS}"),
    ("", "checkpoint: {monitor: val/acc}", f"11: checkpoint.monitor: 'val/acc' is not measured: there is no validation set; data.validation splits one off; {METRICS}"),
    ("padding: 2}", "padding: 2}\n    - {use: torchvision, pipeline: [{use: RandomCrop}]}", f"7: data.train_transforms.1.use: 'torchvision' {LATE}"),
    ("", "scheduler: {use: cosine, warmup_epochs: -1}", "11: scheduler.warmup_epochs: must be at least 0, got -1"),
]  # fmt: skip


def messages(tmp_path, monkeypatch, text: str, *overrides: str) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_recipe("r.yaml", overrides)
    return str(error.value).splitlines()


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[new or f"without {old}" for old, new, _ in WRONG])
def test_message(tmp_path, monkeypatch, old, new, message):
    if "use: sgd" in new:
        old = "use: adam, " + old
    text = RECIPE.replace(old, new, 1) if old else f"{RECIPE}{new}\n"
    assert text != RECIPE
    expected = f"r.yaml{message}" if message.startswith(":") else f"r.yaml:{message}"
    assert messages(tmp_path, monkeypatch, text) == [expected]


def test_the_recipe_itself_is_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(RECIPE)
    recipe = load_recipe("r.yaml").recipe
    assert (recipe.name, recipe.optimizer.component.lr, recipe.model.component.widths) == (
        "probe",
        1e-3,
        (16, 32, 64, 128),
    )


def test_the_test_set_cannot_be_watched_beside_a_validation_set(tmp_path, monkeypatch):
    assert messages(tmp_path, monkeypatch, RECIPE, "data.validation=0.1", "checkpoint.monitor=test/acc") == [
        "command line: checkpoint.monitor: 'test/acc' is not measured: with data.validation, the test set waits for the "
        "run's end; there is train/loss, train/acc, val/loss, val/acc"
    ]


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
        "r.yaml: optimizer: is required",
        "r.yaml:1: nme: unknown setting; did you mean 'name'?",
        "r.yaml:2: data.batch_size: must be greater than 0, got 0",
        'r.yaml:2: data.train_transforms: must be a list, got {"use": "random_crop"}',
        "r.yaml:2: data.use: unknown dataset 'mnist'; there is cifar10, digits, image_folder",
        "r.yaml:3: model.softmax: must be true or false, got 1",
        "r.yaml:3: model.width: unknown setting; did you mean 'widths'?",
        "r.yaml:4: loss: must be a section of settings, got []",
        f"r.yaml:5: scheduler.max_lr: {NO_FINDER}",
        "r.yaml:6: train.epochs: must be an integer, got true",
        "r.yaml:6: train.epoch: unknown setting; did you mean 'epochs'?",
        "r.yaml:7: checkpoint.every_epochs: must be greater than 0, got 0",
        "r.yaml:9: analyzers.0.use: unknown analyzer 'correc'; did you mean 'correct'?",
        "r.yaml:10: analyzers.1.count: must be greater than 0, got -1",
    ]


def test_a_long_value_is_cut(tmp_path, monkeypatch):
    (line,) = messages(tmp_path, monkeypatch, RECIPE.replace("epochs: 8", f"epochs: {'x' * 500}"))
    assert line == f'r.yaml:10: train.epochs: must be an integer, got "{"x" * 56}...'


@pytest.mark.parametrize(("file", "name"), [("my résumé!.yaml", "my_r_sum"), ("_.yaml", "run"), ("a.b.yaml", "a.b")])
def test_a_run_is_named_after_its_file(tmp_path, monkeypatch, file, name):
    monkeypatch.chdir(tmp_path)
    Path(file).write_text(RECIPE.replace("name: probe\n", ""))
    assert load_recipe(file).recipe.name.rstrip("_") == name


def test_what_is_known_only_with_all_settings_right_does_not_hide_the_rest(tmp_path, monkeypatch):
    lines = messages(tmp_path, monkeypatch, RECIPE, "checkpoint.monitor=acc", "train.epochs=0", "optimizer.lr=auto")
    assert [line.split(": ")[1] for line in lines] == ["train.epochs", "optimizer.lr", "checkpoint.monitor"]
