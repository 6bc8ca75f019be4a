"""Optimizers, schedules and LR finders that each break one promise."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

from types import SimpleNamespace

import torch

import frame
from frame import LRFinding


class Sgd(torch.optim.SGD):
    """Counts its steps where no checkpoint looks."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.count
        return super().step(closure)


def sgd(parameters=lambda model: model.parameters(), kind=torch.optim.SGD):
    return lambda self, model, lr=None: [kind(parameters(model), lr=0.1)]


def resets(self, model, lr=None):
    model.head.bias.data.zero_()
    return sgd()(self, model)


class DeafToAuto(frame.OptimizerComponent):
    """Knows better than the LR finder."""

    lr: frame.LearningRate = 0.1
    """Learning rate."""

    def build(self, model, lr=None):
        return sgd()(self, model)


def some_twice(self, model, lr=None):
    return [torch.optim.SGD(list(part.parameters()), lr=0.1) for part in (model, model.head)]


OPTIMIZERS = [
    ("builds", "return a list of torch.optim.Optimizer", lambda self, model, lr=None: torch.optim.SGD(model.parameters())),
    ("has_each_parameter_once", "leaves out deep.weight", sgd(lambda model: [*model.stem.parameters(), *model.head.parameters()])),
    ("has_each_parameter_once", "has head.weight, head.bias more than once", some_twice),
    ("building_it_changes_no_weight", "change weights in step() only", resets),
    ("its_steps_train", "4 steps do not change", sgd(kind=lambda p, lr: torch.optim.SGD(p, lr=0.0))),
    ("its_steps_train", "the host calls step() without a closure", sgd(kind=lambda p, lr: torch.optim.LBFGS(p))),
    ("takes_the_rate_that_was_found", "does not use the `lr` that build() is given", DeafToAuto),
    ("its_state_comes_back", "keep all that a step depends on in `state`", sgd(kind=Sgd)),
]  # fmt: skip


class Schedule:
    """Sets rates by a rule, and remembers what it is told to."""

    def __init__(self, optimizer, rule, state=()):
        self.optimizer, self.rule, self.kept, self.count = optimizer, rule, state, 0

    def step(self):
        self.count += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rule(self.count)

    def state_dict(self):
        return {name: getattr(self, name) for name in self.kept}

    def load_state_dict(self, state):
        vars(self).update(state)


def schedule(rule, state=("count",)):
    return lambda self, optimizer, steps: Schedule(optimizer, rule, state)


def zero(self, optimizer, steps):
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    return Schedule(optimizer, lambda step: 0.0)


def torch_one_cycle(self, optimizer, steps):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=12)


SCHEDULERS = [
    ("builds", "lacks state_dict, load_state_dict()", lambda self, optimizer, steps: SimpleNamespace(step=print)),
    ("every_step_has_a_rate", "step 2 of 12 the learning rate -1.0: keep it finite", schedule(lambda step: -1.0)),
    ("every_step_has_a_rate", "the learning rate 0: nothing would train", zero),
    ("fits_runs_of_any_length", "ask `steps` how long the run is", lambda self, optimizer, steps: Schedule(optimizer, lambda step: 1 / (5 - step) if steps.total < 12 else 1.0)),
    ("its_state_comes_back", "keep all that a rate depends on in state_dict()", schedule(lambda step: 1 / step, state=())),
    ("its_state_comes_back", "cannot be loaded from a checkpoint: state['rule'] is a builtins.function", schedule(lambda step: 1 / step, ("rule",))),
]  # fmt: skip


def finding(**changes):
    def build(self, problem):
        for step in range(3):
            problem.progress(step + 1, 3)
        values = {"lrs": (0.1, 0.2, 0.3), "losses": (3.0, 2.0, 1.0), "suggestion": 0.2, "rule": "the second"}
        return LRFinding(**values | changes)

    return build


def silent(self, problem):
    return LRFinding((0.1, 0.2), (2.0, 1.0), 0.1, "the first")


def one_batch_a_step(self, problem):
    images, targets = next(problem.batches)
    problem.loss(problem.model(images), targets).backward()
    problem.optimizer.step()
    return finding()(self, problem)


FINDERS = [
    ("accumulates_as_the_run_does", "takes 1 batches in 1 steps: take problem.accumulate batches", one_batch_a_step),
    ("builds", "returned NoneType, not an LRFinding", lambda self, problem: None),
    ("finds_a_rate", "return one of each per step", finding(losses=(1.0,))),
    ("finds_a_rate", "do not grow", finding(lrs=(0.3, 0.2, 0.1))),
    ("finds_a_rate", "end the curve before it", finding(losses=(3.0, 2.0, float("nan")))),
    ("finds_a_rate", "suggest one of these", finding(suggestion=7.0)),
    ("finds_a_rate", "put the rule in words", finding(rule="")),
    ("says_how_far_it_is", "never calls problem.progress", silent),
]
