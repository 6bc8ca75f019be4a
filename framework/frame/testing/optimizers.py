"""The contracts of what moves the weights: optimizers, schedules, learning-rate finders."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from ..api.components import Component, LearningRate, LRFinderComponent, OptimizerComponent, SchedulerComponent
from ..api.contracts import momentum
from ..api.results import LRFinding
from ..api.steps import Steps
from ..compute.randomness import rng_untouched
from .contract import LR, ComponentContract
from .examples import TinyNet, lr_problem, model_inputs
from .guards import difference, doing, require, saved_and_loaded, weights

STEPS = 4


class OptimizerContract(ComponentContract):
    """What an optimizer promises: each trainable parameter once, steps that change it, a state that comes back."""

    kind: ClassVar[type[Component]] = OptimizerComponent
    may_draw: ClassVar[bool] = True  # noise is a method of its own

    def model(self) -> nn.Module:
        """Return the model to optimize: a small network, unless overridden."""
        with rng_untouched():
            torch.manual_seed(0)
            return TinyNet(self.image_shape[2], self.classes)

    def build(self, model: nn.Module) -> Sequence[Optimizer]:
        optimizers = self.ready().build(model)
        several = isinstance(optimizers, Sequence) and all(isinstance(one, Optimizer) for one in optimizers)
        advice = "return a list of torch.optim.Optimizer, also if there is one only"
        require(several and len(optimizers), f"{self.name}.build returned {type(optimizers).__name__}: {advice}")
        return optimizers

    def train(self, model: nn.Module, optimizers: Sequence[Optimizer], steps: range) -> None:
        """Take optimizer steps, a batch of its own in each."""
        for step in steps:
            images = model_inputs(8, self.image_shape, seed=step)
            torch.autograd.backward(cross_entropy(model(images), torch.arange(8) % self.classes))
            for optimizer in optimizers:
                optimizer.step()
            model.zero_grad(set_to_none=True)

    def outcome(self) -> Any:
        model = self.model()
        self.train(model, self.build(model), range(2))
        return weights(model)

    def test_has_each_parameter_once(self) -> None:
        model = self.model()
        first, *_ = model.parameters()
        first.requires_grad_(False)
        with doing(f"{self.name} of a model with a frozen parameter"):
            optimizers = self.build(model)
        held = [id(p) for one in optimizers for group in one.param_groups for p in group["params"]]
        trainable = {name: id(p) for name, p in model.named_parameters() if p.requires_grad}
        missing = [name for name, number in trainable.items() if number not in held]
        require(not missing, f"{self.name} leaves out {', '.join(missing)}: put every trainable parameter in a group")
        twice = [name for name, number in trainable.items() if held.count(number) > 1]
        require(not twice, f"{self.name} has {', '.join(twice)} more than once: it would take two steps at a time")

    def test_building_it_changes_no_weight(self) -> None:
        model = self.model()
        before = weights(model)
        with doing(self.name):
            self.build(model)
        where = difference(before, weights(model))
        require(where is None, f"building {self.name} changes the model's {where}: change weights in step() only")

    def test_its_steps_train(self) -> None:
        model = self.model()
        before = weights(model)
        with doing(f"the steps of {self.name}", "the host calls step() without a closure"):
            self.train(model, self.build(model), range(STEPS))
        for name, parameter in model.named_parameters():
            require(bool(parameter.isfinite().all()), f"{self.name}: {name} is not finite after {STEPS} steps")
            require(not torch.equal(before[name], parameter), f"{self.name}: {STEPS} steps do not change {name}")

    def test_takes_the_rate_that_was_found(self) -> None:
        """Where the setting is `auto`, `build` is given a rate."""
        rates = [name for name, field in self._class().model_fields.items() if field.annotation == LearningRate]
        for name in rates:
            with doing(f"{self.name} with {name}=auto"):
                optimizers = self.make(**{name: "auto"}).build(self.model(), lr=LR / 7)
            found = any(group["lr"] == LR / 7 for one in optimizers for group in one.param_groups)
            require(found, f"{self.name} with {name}=auto does not use the `lr` that build() is given: take it there")

    def test_its_state_comes_back(self) -> None:
        """A resumed training ends where an uninterrupted one does."""
        model = self.model()
        optimizers = self.build(model)
        with rng_untouched(), doing(f"the state of {self.name}"):
            self.train(model, optimizers, range(STEPS))
            states = [saved_and_loaded(one.state_dict(), self.name) for one in optimizers]
            resumed = copy.deepcopy(model)
            others = self.build(resumed)
            for optimizer, state in zip(others, states, strict=True):
                optimizer.load_state_dict(state)
            torch.manual_seed(1)
            self.train(model, optimizers, range(STEPS, 2 * STEPS))
            torch.manual_seed(1)
            self.train(resumed, others, range(STEPS, 2 * STEPS))
        where = difference(weights(model), weights(resumed))
        message = "keep all that a step depends on in `state` and the parameter groups"
        require(where is None, f"a resumed training with {self.name} differs in the model's {where}: {message}")


class SchedulerContract(ComponentContract):
    """What a schedule promises: a sensible rate at each of a run's steps, however long, and a state that comes back."""

    kind: ClassVar[type[Component]] = SchedulerComponent
    steps: ClassVar[Steps] = Steps(samples=64, batch_size=16, epochs=3)
    """The run that it is tried with: 12 optimizer steps."""

    def optimizers(self) -> list[Optimizer]:
        """Return an SGD with momentum and an Adam, each of two groups with rates of their own."""
        return [
            SGD([{"params": [_parameter()], "lr": LR}, {"params": [_parameter()], "lr": 0.1 * LR}], momentum=0.9),
            Adam([{"params": [_parameter()], "lr": LR}, {"params": [_parameter()], "lr": 0.1 * LR}]),
        ]

    def build(self, optimizer: Optimizer, steps: Steps | None = None) -> Any:
        scheduler = self.ready().build(optimizer, steps or self.steps)
        lacks = [name for name in ("step", "state_dict", "load_state_dict") if not hasattr(scheduler, name)]
        message = f"returned {type(scheduler).__name__}, which lacks {', '.join(lacks)}()"
        require(not lacks, f"{self.name}.build {message}; every torch.optim.lr_scheduler has them")
        return scheduler

    def outcome(self) -> Any:
        return [walk(optimizer, self.build(optimizer), self.steps.total) for optimizer in self.optimizers()]

    def test_every_step_has_a_rate(self) -> None:
        for optimizer in self.optimizers():
            with doing(f"{self.name} with {type(optimizer).__name__}"):
                points = walk(optimizer, self.build(optimizer), self.steps.total)
            for step, groups in enumerate(points, 1):
                for lr, _ in groups:
                    message = f"gives step {step} of {self.steps.total} the learning rate {lr}: keep it finite and >= 0"
                    require(isfinite(lr) and lr >= 0, f"{self.name} {message}")
            moving = any(lr > 0 for groups in points for lr, _ in groups)
            require(moving, f"{self.name} gives every step the learning rate 0: nothing would train")

    def test_fits_runs_of_any_length(self) -> None:
        """Of one step, as a dry run is, of one epoch, of a fraction, and with a short last group of batches."""
        for steps in (Steps(16, 16, 1), Steps(64, 16, 1), Steps(64, 16, 1.6), Steps(50, 16, 5, accumulate=3)):
            advice = "ask `steps` how long the run is; the host calls step() after each of its steps"
            with doing(f"{self.name} in a run of {steps.total} steps", advice):
                optimizer = self.optimizers()[0]
                walk(optimizer, self.build(optimizer, steps), steps.total)

    def test_its_state_comes_back(self) -> None:
        """A resumed run takes the rates that an uninterrupted one does."""
        half = self.steps.total // 2
        for first, second in zip(self.optimizers(), self.optimizers(), strict=True):
            with doing(f"the state of {self.name}"):
                scheduler, resumed = self.build(first), self.build(second)
                walk(first, scheduler, half)
                second.load_state_dict(first.state_dict())
                resumed.load_state_dict(saved_and_loaded(scheduler.state_dict(), self.name))
                rest = self.steps.total - half
                where = difference(walk(first, scheduler, rest), walk(second, resumed, rest), "the rate of step")
            message = f"a resumed run takes other rates with {self.name}: {where}"
            require(where is None, f"{message}; keep all that a rate depends on in state_dict()")


class LRFinderContract(ComponentContract):
    """What an LR finder promises: a curve and a suggestion on it."""

    kind: ClassVar[type[Component]] = LRFinderComponent
    may_draw: ClassVar[bool] = True  # the host restores the generators

    def find(self) -> LRFinding:
        self.progress: list[tuple[int, int]] = []
        problem = replace(lr_problem(), progress=lambda done, total: self.progress.append((done, total)))
        finding = self.ready().build(problem)
        require(
            isinstance(finding, LRFinding), f"{self.name}.build returned {type(finding).__name__}, not an LRFinding"
        )
        return finding

    def outcome(self) -> Any:
        return self.find()

    def test_finds_a_rate(self) -> None:
        with rng_untouched(), doing(self.name):
            found = self.find()
        message = f"{len(found.lrs)} learning rates and {len(found.losses)} losses: return one of each per step"
        require(len(found.lrs) == len(found.losses) > 1, f"{self.name} found {message}")
        grows = all(0 < one < other for one, other in zip(found.lrs, found.lrs[1:], strict=False))
        require(grows, f"the learning rates of {self.name} do not grow from step to step")
        finite = all(map(isfinite, found.losses))
        require(finite, f"a loss of {self.name} is not finite: end the curve before it")
        low, high = found.lrs[0], found.lrs[-1]
        message = f"suggests {found.suggestion:g}, and tried {low:g} to {high:g}: suggest one of these"
        require(low <= found.suggestion <= high, f"{self.name} {message}")
        require(found.rule.strip(), f"{self.name} does not say how it chose: put the rule in words into LRFinding.rule")

    def test_accumulates_as_the_run_does(self) -> None:
        """A step takes the mean gradient of `problem.accumulate` batches, of which it is given two."""
        done = Counter[str]()

        def counted(batches: Iterator[Any]) -> Iterator[Any]:
            for batch in batches:
                done["batches"] += 1
                yield batch

        problem = lr_problem()
        problem.optimizer.register_step_post_hook(lambda *_: done.update(["steps"]))
        with rng_untouched(), doing(f"{self.name} with accumulation"):
            self.ready().build(replace(problem, accumulate=2, batches=counted(problem.batches)))
        message = "take problem.accumulate batches a step, each one's loss divided by it"
        found = f"takes {done['batches']} batches in {done['steps']} steps"
        require(done["batches"] >= 2 * done["steps"], f"{self.name} {found}: {message}")

    def test_says_how_far_it_is(self) -> None:
        with rng_untouched(), doing(self.name):
            self.find()
        require(self.progress, f"{self.name} never calls problem.progress(done, total): the bar would stand still")
        wrong = [f"{done} of {total}" for done, total in self.progress if not 0 <= done <= total]
        require(not wrong, f"{self.name} reports a progress of {', '.join(wrong[:3])} steps")


def walk(optimizer: Optimizer, scheduler: Any, steps: int) -> list[list[tuple[float, float | None]]]:
    """Step through a run as the host does; return learning rate and momentum of each group at each step."""
    points = []
    for _ in range(steps):
        points.append([(float(group["lr"]), momentum(group)) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return points


def _parameter() -> nn.Parameter:
    return nn.Parameter(torch.zeros(1))
