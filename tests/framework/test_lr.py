"""The LR finder tries the training that the run will be."""

import copy
import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from frame.compute.randomness import seed_everything
from frame.recipe.load import load_recipe
from frame.training.build import build, load_data
from frame.training.lr_finder import Together, lr_problem

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
FINDER = "lr_finder={use: lr_range_test, num_steps: 20, rule: minimum_tenth}"


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_its_copies_train_as_the_run_does(cli, tmp_path, optimizer):
    frozen = "callbacks=[{use: freeze, after_epochs: {'0.*': 0}}]"
    accumulated = ["train.accumulate=2", "train.clip_grad_norm=0.1", "train.epochs=0.83"]  # 5 of 6 steps
    settings = [f"optimizer.use={optimizer}", frozen, *accumulated]
    result = cli("run", TINY, *settings)
    assert result.code == 0, result.err
    (weights,) = tmp_path.glob("runs/*/*/model.safetensors")
    recipe = load_recipe(str(TINY), settings).recipe
    seed_everything(recipe.seed)
    parts = build(recipe, load_data(recipe))
    problem = lr_problem(parts)
    assert parts.steps.total == 5
    for _ in range(parts.steps.total):
        problem.optimizer.zero_grad()
        for images, targets in itertools.islice(problem.batches, problem.accumulate):
            (problem.loss(problem.model(images), targets) / problem.accumulate).backward()
        problem.optimizer.step()
    trained, before = problem.model.state_dict(), parts.model.state_dict()
    # Muon's iteration is in bf16, which makes a last bit that differs some percent of a step of 0.02
    bounds = {"rtol": 0, "atol": 5e-3} if optimizer == "muon" else {}
    torch.testing.assert_close(trained, load_file(weights), **bounds)
    assert torch.equal(trained["0.weight"], before["0.weight"])
    assert not torch.equal(trained["3.weight"], before["3.weight"])


def test_it_tries_one_rate_for_all_optimizers(cli):
    cycle = "scheduler={use: one_cycle, max_lr: auto}"
    result = cli("lr-find", TINY, "optimizer.use=muon", "optimizer.exclude=['7.*']", cycle, FINDER)
    assert result.code == 0, result.err
    assert "suggested learning rate: " in result.out


def test_several_optimizers_in_one_come_back_to_a_saved_state():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    both = Together([torch.optim.SGD([model.weight], lr=0.1, momentum=0.9), torch.optim.AdamW([model.bias], lr=0.1)])

    def walk():
        for _ in range(2):
            for group in both.param_groups:
                group["lr"] = 0.2
            both.zero_grad()
            model(torch.ones(2, 4)).square().sum().backward()
            both.step()
        return copy.deepcopy(model.state_dict())

    walk()
    saved = copy.deepcopy((model.state_dict(), both.state_dict()))
    first = walk()
    model.load_state_dict(saved[0])
    both.load_state_dict(saved[1])
    torch.testing.assert_close(walk(), first, rtol=0, atol=0)
    assert not torch.equal(first["bias"], saved[0]["bias"])


def test_a_model_that_is_frozen_from_the_start_is_refused(cli):
    result = cli("lr-find", TINY, "callbacks=[{use: freeze, after_epochs: {'*': 0}}]", FINDER)
    assert result.code == 2
    assert "every parameter is frozen from the start on" in result.err
