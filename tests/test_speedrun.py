"""The recipes of David Page and of airbench94: their settings against the sources', and on the real images."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from frame import Steps
from frame.resolve import load_recipe
from frame.testing.examples import data_info

TINY = Path(__file__).parent / "framework" / "fixtures" / "tiny.yaml"
SUMMED = 1024 * (1 + 1 / (1 - 0.85))  # airbench's `kilostep_scale`


def test_the_speedrun_takes_airbench94s_steps():
    """Rates and decays as the original computes them for a loss summed over 1024 images, here for its mean."""
    recipe = load_recipe("cifar10_speedrun").recipe.values()
    optimizer = recipe["optimizer"]
    (biases,) = optimizer["groups"]
    lr, decay = 11.5 / SUMMED, 0.0153 * 1024 / SUMMED
    assert optimizer["lr"] == pytest.approx(lr * 1024)
    assert optimizer["weight_decay"] == pytest.approx(decay / lr / 1024, rel=1e-5)
    assert biases["lr_scale"] == 64
    assert biases["weight_decay"] == pytest.approx(decay / (64 * lr) / 1024, rel=1e-5)
    assert (optimizer["momentum"], optimizer["nesterov"], recipe["loss"]["label_smoothing"]) == (0.85, True, 0.2)
    steps = Steps(50_000, recipe["data"]["batch_size"], recipe["train"]["epochs"], drop_last=recipe["data"]["drop_last"])
    assert (steps.per_epoch, steps.total) == (48, 475)


def test_the_biases_of_norms_alone_have_a_rate_of_their_own():
    recipe = load_recipe("cifar10_speedrun").recipe
    model = recipe.model.component.build(data_info())
    (optimizer,) = recipe.optimizer.component.build(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    fast = [names[p] for group in optimizer.param_groups if group["lr"] == 96 for p in group["params"]]
    assert fast == [f"block{block}.norm{norm}.bias" for block in (1, 2, 3) for norm in (1, 2)]


def test_pages_recipe_is_his():
    recipe = load_recipe("cifar10_page").recipe.values()
    assert (recipe["train"]["epochs"], recipe["data"]["batch_size"], recipe["data"]["drop_last"]) == (24, 512, True)
    assert (recipe["optimizer"]["lr"], recipe["optimizer"]["weight_decay"]) == (0.4, 5e-4)
    assert recipe["scheduler"]["points"] == [[0, 0], [5, 1], [24, 0]]
    assert recipe["model"]["scale"] == 0.125


SPEEDRUN = [
    "data.train_transforms=[{use: random_flip}, {use: random_crop, padding: 2, mode: reflect}]",
    "model.use=whitened_convnet",
    "model.widths=[8, 8, 8]",
    "scheduler.use=triangular",
    "data.test_fraction=0.9",  # 180 training images: 6 steps an epoch
    "data.batch_size=32",
    "train.epochs=2.5",
]
CALLBACKS = "{use: freeze, after_epochs: {whiten.bias: 1}}, {use: lookahead, every: 2}, {use: ema, decay: 0.9, write_back: true}"
OPTIMIZERS = {
    "sgd": "optimizer={use: sgd, lr: 0.1, nesterov: true, groups: [{match: '*.norm?.bias', lr_scale: 8}]}",
    "muon": "optimizer={use: muon, lr: 0.1, momentum: 0.6, normalize: true, exclude: ['head.*'], others: sgd}",
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_all_of_it_resumes_to_the_same_bytes(cli, tmp_path, optimizer):
    settings = [OPTIMIZERS[optimizer], *SPEEDRUN]
    whole = cli("run", TINY, *settings, f"callbacks=[{CALLBACKS}]", "--out", "whole")
    assert whole.code == 0, whole.err
    stopped = cli("run", TINY, *settings, f"callbacks=[{CALLBACKS}, {{use: interrupt, step: 9}}]")
    assert stopped.code == 130, stopped.err
    (whole,), (run,) = ((tmp_path / out / "tiny").iterdir() for out in ("whole", "runs"))
    resumed = cli("resume", run)
    assert resumed.code == 0, resumed.err
    assert (whole / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, run))
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.parametrize("recipe", ["cifar10_page", "cifar10_speedrun"])
def test_one_batch_of_real_images_goes_through(cli, cifar10_root, recipe):
    few = ("data.batch_size=64", "data.eval_batch_size=64")
    result = cli("run", recipe, "--dry-run", f"data.root={cifar10_root}", *few)
    assert result.code == 0, result.err
    assert "one batch went through training, evaluation and" in result.out
