"""The recipes of David Page and of airbench94: their settings against the sources', and on the real images."""

from __future__ import annotations

import importlib
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from frame import Steps
from frame.recipe.load import load_recipe
from frame.testing.examples import data_info, training_run
from frame_plugins.optim.muon.filters import FilterMuon

REPOSITORY = Path(__file__).parents[1]
TINY = REPOSITORY / "tests" / "framework" / "fixtures" / "tiny.yaml"
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
    steps = Steps(
        50_000, recipe["data"]["batch_size"], recipe["train"]["epochs"], drop_last=recipe["data"]["drop_last"]
    )
    assert (steps.per_epoch, steps.total) == (48, 475)


def test_the_biases_of_norms_alone_have_a_rate_of_their_own():
    recipe = load_recipe("cifar10_speedrun").recipe
    model = recipe.model.component.build(data_info())
    (optimizer,) = recipe.optimizer.component.build(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    fast = [names[p] for group in optimizer.param_groups if group["lr"] == 96 for p in group["params"]]
    assert fast == [f"block{block}.norm{norm}.bias" for block in (1, 2, 3) for norm in (1, 2)]


def test_it_takes_the_hand_ports_steps(tmp_path, monkeypatch):
    """Seven steps in double precision, two an epoch: freezing after the third, lookahead at the fifth and the last."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks" / "reference")
    port = importlib.import_module("airbench94_cpu")
    recipe, steps = load_recipe("cifar10_speedrun").recipe, Steps(2 * 1024, 1024, 3.5)
    model = recipe.model.component.build(data_info()).double()
    net = port.Net().double()
    port.whiten(net.whiten, torch.randn(50, 3, 32, 32, dtype=torch.float64))
    model.load_state_dict(dict(zip(model.state_dict(), net.state_dict().values(), strict=True)))
    theirs, slow = port.optimizer_of(net), port.Lookahead(net)
    their_schedule = torch.optim.lr_scheduler.LambdaLR(theirs, lambda step: port.triangle(step, steps.total))
    (ours,) = recipe.optimizer.component.build(model)
    schedule, loss = recipe.scheduler.component.build(ours, steps), recipe.loss.component.build(data_info())
    run = training_run(tmp_path, model=model, eval_model=model, optimizers=[ours], steps=steps)
    freeze, lookahead = (named.component.build(run) for named in recipe.callbacks)
    for step in range(steps.total):
        images, labels = torch.randn(8, 3, 32, 32, dtype=torch.float64), torch.randint(10, (8,))
        run.epoch = step // 2
        net.whiten.bias.requires_grad = run.epoch < 3
        freeze.on_epoch_start()
        sum_of_1024 = 128 * cross_entropy(net(images), labels, label_smoothing=0.2, reduction="sum")
        mean = loss(model(images), labels)
        for optimizer, scheduler, value in ((theirs, their_schedule, sum_of_1024), (ours, schedule, mean)):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            scheduler.step()
        run.step = step + 1
        lookahead.on_step_end()
        if run.step % 5 == 0:
            slow.update(net, 0.95**5 * (run.step / steps.total) ** 3)
        if run.step == steps.total:
            slow.update(net, 1.0)
        for one, other in zip(model.state_dict().values(), net.state_dict().values(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)  # the recipe's decays have six digits
    assert not model.whiten.bias.requires_grad


def test_the_muon_recipe_takes_airbench94_muons_steps():
    """Its rates are for the loss summed over 2000 images, and for a head of standard deviation 1 over 256 channels."""
    recipe = load_recipe("cifar10_muon", ["model.widths=[16, 16, 256]"]).recipe  # the head's are its own
    model = recipe.model.component.build(data_info()).double()
    theirs = deepcopy(model)
    theirs.scale = 1 / 256
    theirs.head.weight.data *= 256 / 9
    assert theirs.head.weight.std().item() == pytest.approx(1, rel=0.05)
    ours, decay = recipe.optimizer.component.build(model), 2e-6 * 2000
    trained = {name: parameter for name, parameter in theirs.named_parameters() if parameter.requires_grad}
    groups = [
        {"params": [p for p in trained.values() if p.ndim == 1], "lr": 0.053, "weight_decay": decay / 0.053},
        {"params": [theirs.head.weight], "lr": 0.67, "weight_decay": decay / 0.67},
    ]
    filters = [{"params": [p for p in trained.values() if p.ndim == 4], "lr": 0.24, "weight_decay": 0.0}]
    optimizers = [
        torch.optim.SGD(groups, momentum=0.85, nesterov=True),
        FilterMuon(filters, momentum=0.6, nesterov=True, ns_steps=3, normalize=True),
    ]
    loss = recipe.loss.component.build(data_info())
    for _ in range(2):
        images, labels = torch.randn(4, 3, 32, 32, dtype=torch.float64), torch.randint(10, (4,))
        sum_of_2000 = 500 * cross_entropy(theirs(images), labels, label_smoothing=0.2, reduction="sum")
        for steps, value in ((optimizers, sum_of_2000), (ours, loss(model(images), labels))):
            value.backward()
            for optimizer in steps:
                optimizer.step()
                optimizer.zero_grad()
        expected = {**theirs.state_dict(), "head.weight": theirs.head.weight.detach() * 9 / 256}
        for name, value in model.named_parameters():
            tolerance = 1e-2 if "conv" in name else 1e-3  # Newton-Schulz is in bf16; a decay takes 4e-3 a step
            assert (value - expected[name]).norm() <= tolerance * expected[name].norm(), name
        model.load_state_dict(expected)  # else its noise would grow from step to step


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
    "data.test_fraction=0.9",  # 180 training images, of which 18 are watched: 6 steps an epoch
    "data.validation=0.1",
    "data.batch_size=32",
    "train.epochs=2.5",
]
FREEZE = "{use: freeze, after_epochs: {whiten.bias: 1}}"
CALLBACKS = f"{FREEZE}, {{use: lookahead, every: 2}}, {{use: ema, decay: 0.9, write_back: true}}"
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
