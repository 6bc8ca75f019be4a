"""The learning-rate range test on a small network."""

import copy
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import count, islice

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from pydantic import ValidationError
from torch import nn
from torch_lr_finder import LRFinder

from frame import LRProblem, RunFailed
from frame_plugins.optim.lr_range_test import LRRangeTest
from frame_plugins.optim.optimizers import SGD, Adam

mpl.use("agg")


def batches():
    """Two classes, apart in their means; without an end."""
    for number in count():
        rng = torch.Generator().manual_seed(number)
        targets = torch.arange(32) % 2
        yield torch.randn(32, 1, 4, 4, generator=rng) + targets.view(-1, 1, 1, 1), targets


def problem(optimizer=None, amp_dtype=None, loss=None, progress=lambda done, total: None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    (built,) = (optimizer or SGD()).build(model)
    autocast = partial(torch.autocast, "cpu", amp_dtype) if amp_dtype else nullcontext
    return LRProblem(
        model, built, loss or nn.CrossEntropyLoss(), batches(), torch.device("cpu"), amp_dtype, autocast, progress
    )


def test_finds_the_curve_and_the_librarys_suggestion_before_the_minimum():
    finding = LRRangeTest(start_lr=1e-4, end_lr=10, num_steps=60).build(problem())
    assert len(finding.lrs) == len(finding.losses) <= 60
    assert finding.lrs[0] == pytest.approx(1e-4)
    assert np.diff(np.log(finding.lrs)) == pytest.approx(np.log(1e5) / 59)
    assert min(finding.losses) < 0.6 * finding.losses[0]

    reference = LRFinder(nn.Linear(1, 1), torch.optim.SGD([nn.Parameter(torch.zeros(1))]), nn.MSELoss())
    fall = int(np.argmin(finding.losses)) + 1
    reference.history = {"lr": list(finding.lrs[:fall]), "loss": list(finding.losses[:fall])}
    _, suggestion = reference.plot(ax=Figure().subplots(), skip_end=0, suggest_lr=True)
    assert finding.suggestion == suggestion
    assert finding.rule == "steepest fall of the smoothed loss before its minimum"


def test_does_not_take_the_fall_from_a_divergences_peak_for_the_steepest():
    lrs = [10 ** (-5 + number / 10) for number in range(60)]
    losses = [3 - 0.05 * number for number in range(35)] + [4 + 0.5 * number for number in range(10)] + [3.0] * 15
    assert LRRangeTest()._suggest(lrs, losses) < lrs[35]


def test_suggests_a_tenth_of_the_rate_with_the_lowest_loss():
    finding = LRRangeTest(start_lr=1e-4, end_lr=10, num_steps=60, rule="minimum_tenth").build(problem())
    assert finding.suggestion == finding.lrs[int(np.argmin(finding.losses))] / 10


def test_is_what_the_library_does_by_itself():
    given = problem()
    finder = LRFinder(given.model, given.optimizer, given.loss)
    loader = torch.utils.data.DataLoader(
        [batch for batch, _ in zip(batches(), range(40), strict=False)], batch_size=None
    )
    finder.range_test(loader, start_lr=1e-3, end_lr=1, num_iter=40)
    finding = LRRangeTest(start_lr=1e-3, end_lr=1, num_steps=40).build(problem())
    assert list(finding.lrs) == finder.history["lr"]
    assert list(finding.losses) == finder.history["loss"]


def test_leaves_the_originals_of_its_copies_alone_and_prints_nothing(capfd):
    original = problem(Adam())
    before = copy.deepcopy((original.model.state_dict(), original.optimizer.state_dict()))
    model = copy.deepcopy(original.model)
    (optimizer,) = Adam().build(model)
    LRRangeTest(num_steps=20).build(
        LRProblem(
            model, optimizer, original.loss, batches(), original.device, None, nullcontext, lambda done, total: None
        )
    )
    after = original.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before[0].items())
    assert original.optimizer.state_dict() == before[1]
    assert not torch.equal(model.state_dict()["1.weight"], after["1.weight"])
    assert capfd.readouterr() == ("", "")


def test_reports_its_progress_and_no_warning(recwarn):
    seen = []
    LRRangeTest(num_steps=20).build(problem(progress=lambda done, total: seen.append((done, total))))
    assert seen == [(0, 20), *((done, 20) for done in range(21))]  # first of all before a slow import
    assert not recwarn.list


def test_runs_in_bf16():
    dtypes = []

    def loss(logits, targets):
        dtypes.append(logits.dtype)
        return nn.functional.cross_entropy(logits, targets)

    finding = LRRangeTest(num_steps=20).build(problem(amp_dtype=torch.bfloat16, loss=loss))
    assert set(dtypes) == {torch.bfloat16}
    assert all(np.isfinite(finding.losses))


def test_a_step_takes_the_mean_gradient_of_the_accumulated_batches():
    given, taken = problem(), count()
    batches_ = (batch for batch in given.batches if next(taken) >= 0)
    finding = LRRangeTest(start_lr=1e-4, num_steps=20).build(replace(given, batches=batches_, accumulate=3))
    assert next(taken) == 3 * len(finding.lrs) == 60
    model, optimizer, data = (twin := problem()).model, twin.optimizer, batches()
    losses = []
    for lr in finding.lrs:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        parts = [given.loss(model(images), targets) / 3 for images, targets in islice(data, 3)]
        torch.autograd.backward(parts)
        optimizer.step()
        loss = float(sum(parts).detach())
        losses.append(0.05 * loss + 0.95 * losses[-1] if losses else loss)
    assert finding.losses == pytest.approx(losses)


def test_overrides_the_weight_decay():
    given = problem(Adam(weight_decay=5e-4))
    LRRangeTest(num_steps=20, weight_decay=1e-2).build(given)
    assert [group["weight_decay"] for group in given.optimizer.param_groups] == [1e-2]
    kept = problem(Adam(weight_decay=5e-4))
    LRRangeTest(num_steps=20).build(kept)
    assert [group["weight_decay"] for group in kept.optimizer.param_groups] == [5e-4]


def failing_after(steps, value):
    """A loss that is `value` from the given step on."""
    numbers = count()

    def loss(logits, targets):
        return nn.functional.cross_entropy(logits, targets) * (value if next(numbers) >= steps else 1.0)

    return loss


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_stops_at_the_first_loss_that_is_not_finite_and_leaves_it_out(value):
    finding = LRRangeTest(num_steps=60).build(problem(loss=failing_after(30, value)))
    assert len(finding.lrs) == len(finding.losses) == 30
    assert all(np.isfinite(finding.losses))
    assert finding.suggestion in finding.lrs[10:25]


def test_says_so_when_no_loss_is_finite():
    with pytest.raises(RunFailed, match="the very first loss, at a learning rate of 1e-07, is not a finite number"):
        LRRangeTest().build(problem(loss=failing_after(0, float("nan"))))


@pytest.mark.parametrize("value", [float("nan"), 1000.0])
def test_says_so_when_the_loss_diverges_too_early(value):
    with pytest.raises(RunFailed, match=r"too early to suggest .* Lower start_lr or raise num_steps"):
        LRRangeTest(num_steps=60).build(problem(loss=failing_after(8, value)))
    finding = LRRangeTest(num_steps=60, rule="minimum_tenth").build(problem(loss=failing_after(15, value)))
    assert finding.suggestion > 0


@pytest.mark.parametrize("wrong", [{"start_lr": 1.0, "end_lr": 0.1}, {"num_steps": 11}, {"diverge_factor": 1.0}])
def test_refuses_settings_that_cannot_work(wrong):
    with pytest.raises(ValidationError):
        LRRangeTest(**wrong)
