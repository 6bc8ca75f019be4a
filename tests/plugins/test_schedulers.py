"""Learning-rate schedules: where they peak and end, that no run makes them step too often, that they resume."""

import io
import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from frame import Steps, UserError
from frame_plugins.optim.one_cycle import OneCycle
from frame_plugins.optim.piecewise import PiecewiseLinear, Triangular
from frame_plugins.optim.schedules import Constant, Cosine, Step

S10_STEPS = Steps(samples=50_000, batch_size=512, epochs=24)
S10 = OneCycle(max_lr=3.32e-4, peak_epoch=5, div_factor=100, final_div_factor=100, anneal="linear")
EVERY = [
    OneCycle(max_lr=0.5),
    OneCycle(max_lr=0.5, peak_epoch=0.7, anneal="linear"),
    Cosine(warmup_epochs=0.5, final_lr=1e-4),
    Step(every_epochs=0.6),
    Constant(warmup_epochs=0.5),
    PiecewiseLinear(points=((0, 0.2), (0.5, 1), (2, 0.1))),
    Triangular(start=0.2, peak=0.23, end=0.07),
]


def optimizer(kind="adam", lr=0.1):
    parameter = [torch.nn.Parameter(torch.zeros(2))]
    if kind == "adam":
        return torch.optim.Adam(parameter, lr=lr)
    return torch.optim.SGD(parameter, lr=lr, momentum=0.9 if kind == "momentum" else 0)


def run(built, schedule, count):
    """Step as the host does, and return the learning rate of each optimizer step."""
    rates = []
    for _ in range(count):
        rates.append(built.param_groups[0]["lr"])
        built.step()
        schedule.step()
    return rates


class TestOneCycle:
    def test_peaks_at_the_last_step_of_the_peak_epoch(self):
        built = optimizer()
        rates = run(built, S10.build(built, S10_STEPS), S10_STEPS.total)
        peak = S10_STEPS.at_epoch(5) - 1
        assert len(rates) == 24 * 98
        assert max(range(len(rates)), key=rates.__getitem__) == peak == 489
        assert rates[peak] == pytest.approx(3.32e-4)
        assert rates[0] == pytest.approx(3.32e-6)
        assert rates[-1] == pytest.approx(3.32e-8)

    def test_is_the_notebooks_schedule(self):
        ours, theirs = optimizer(), optimizer()
        reference = torch.optim.lr_scheduler.OneCycleLR(
            theirs,
            max_lr=3.32e-4,
            epochs=24,
            steps_per_epoch=98,
            pct_start=5 / 24,
            anneal_strategy="linear",
            div_factor=100,
            final_div_factor=100,
        )
        assert run(ours, S10.build(ours, S10_STEPS), 2352) == pytest.approx(run(theirs, reference, 2352), rel=1e-9)

    def test_stays_at_its_end_and_hears_of_a_step_too_many(self):
        built = optimizer()
        schedule = S10.build(built, S10_STEPS)
        rates = run(built, schedule, S10_STEPS.total)
        assert built.param_groups[0]["lr"] == rates[-1] == schedule.get_last_lr()[0]
        assert built.param_groups[0]["betas"][0] == pytest.approx(0.95)
        with pytest.raises(ValueError, match="2353"):
            schedule.step()

    def test_peaks_after_30_percent_of_the_run_by_default(self):
        built, steps = optimizer(), Steps(samples=100, batch_size=10, epochs=10)
        rates = run(built, OneCycle(max_lr=1.0).build(built, steps), steps.total)
        assert rates.index(max(rates)) == 29

    @pytest.mark.parametrize(("kind", "key"), [("adam", "betas"), ("momentum", "momentum")])
    def test_cycles_the_momentum_of_an_optimizer_that_has_one(self, kind, key):
        built, steps = optimizer(kind), Steps(samples=100, batch_size=10, epochs=10)
        schedule = OneCycle(max_lr=1.0, peak_epoch=3).build(built, steps)
        run(built, schedule, 29)
        value = built.param_groups[0][key]
        assert (value[0] if key == "betas" else value) == pytest.approx(0.85)

    def test_leaves_the_momentum_alone_where_it_is_not_wanted_or_none(self):
        for kind, component in (
            ("plain", OneCycle(max_lr=1.0)),
            ("momentum", OneCycle(max_lr=1.0, cycle_momentum=False)),
        ):
            built = optimizer(kind)
            run(built, component.build(built, Steps(100, 10, 10)), 30)
            assert built.param_groups[0]["momentum"] == (0.9 if kind == "momentum" else 0)

    def test_a_run_that_ends_before_the_peak_is_the_beginning_of_the_rise(self):
        def rates(epochs):
            built, steps = optimizer(), Steps(50_000, 512, epochs)
            return run(built, OneCycle(max_lr=0.1, peak_epoch=5, anneal="linear").build(built, steps), steps.total)

        whole, short = rates(24), rates(2)
        assert len(short) == 2 * 98
        assert short == pytest.approx(whole[: 2 * 98])
        assert max(short) < 0.05

    def test_needs_its_learning_rate_before_it_is_built(self):
        assert OneCycle().auto_fields() == ["max_lr"]
        with pytest.raises(ValueError, match="must find it before"):
            OneCycle().build(optimizer(), S10_STEPS)


@pytest.mark.parametrize("component", EVERY, ids=str)
@given(
    samples=st.integers(1, 300),
    batch_size=st.integers(1, 128),
    epochs=st.integers(1, 6),
    accumulate=st.integers(1, 5),
    drop_last=st.booleans(),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_never_steps_too_often_nor_too_seldom(component, samples, batch_size, epochs, accumulate, drop_last):
    if drop_last and samples < batch_size:
        return
    steps = Steps(samples, batch_size, epochs, accumulate, drop_last)
    built = optimizer()
    schedule = component.build(built, steps)
    rates = []
    for _ in range(epochs):
        for batch in range(steps.batches_per_epoch):
            if steps.ends_group(batch):
                rates += run(built, schedule, 1)
    assert len(rates) == steps.total == schedule.last_epoch
    assert all(0 <= rate <= 0.5 * (1 + 1e-9) for rate in [*rates, built.param_groups[0]["lr"]])
    if isinstance(component, OneCycle):
        with pytest.raises(ValueError, match="Tried to step"):
            schedule.step()


@pytest.mark.parametrize("component", EVERY, ids=str)
def test_goes_on_from_a_safely_loaded_checkpoint(component):
    steps = Steps(samples=100, batch_size=10, epochs=3)
    built = optimizer()
    schedule = component.build(built, steps)
    run(built, schedule, 11)
    file = io.BytesIO()
    torch.save({"optimizer": built.state_dict(), "schedule": schedule.state_dict()}, file)
    expected = run(built, schedule, 19)

    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = optimizer()
    resumed = component.build(again, steps)
    again.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["schedule"])
    assert run(again, resumed, 19) == expected
    assert len(set(expected)) > 1 or isinstance(component, Constant)


class TestPiecewiseLinear:
    def test_is_david_pages_schedule(self):
        steps, built = Steps(50_000, 512, 24, drop_last=True), optimizer(lr=0.4)
        points = ((0, 0), (5, 1), (24, 0))
        rates = run(built, PiecewiseLinear(points=points).build(built, steps), steps.total)
        epochs = np.arange(0, 24, 1 / 97)[: steps.total]
        assert rates == pytest.approx(np.interp(epochs, [0, 5, 24], [0, 0.4, 0]).tolist(), abs=1e-12)

    def test_stays_where_its_points_end_and_begin(self):
        steps, built = Steps(samples=100, batch_size=10, epochs=3), optimizer(lr=0.1)
        schedule = PiecewiseLinear(points=((0.5, 0.2), (1, 1), (2, 0.5))).build(built, steps)
        rates = run(built, schedule, steps.total)
        assert rates[:6] == pytest.approx([0.02] * 6)
        assert rates[7] == pytest.approx(0.1 * (0.2 + 0.8 * 2 / 5))
        assert rates[10] == pytest.approx(0.1)
        assert rates[20:] == pytest.approx([0.05] * 10)

    @pytest.mark.parametrize(
        ("points", "says"),
        [
            ([[0, 1]], "at least 2"),
            ([[0, 1], [0, 0.5]], "epochs must rise from point to point, got 0 after 0"),
            ([[0, 0], [2, 0]], "one factor must be above 0"),
            ([[0, 1], [1, -1]], "greater than or equal to 0"),
        ],
    )
    def test_refuses_points_that_make_no_line(self, points, says):
        with pytest.raises(ValidationError, match=says):
            PiecewiseLinear.model_validate_json(json.dumps({"points": points}), strict=True)

    def test_says_what_a_run_does_not_reach_or_spends_without_a_rate(self):
        schedule = PiecewiseLinear(points=((0, 0), (5, 1), (24, 0)))
        (short,), whole, (long,) = (list(schedule.review(epochs)) for epochs in (9.9, 24, 30))
        assert short.message == "train.epochs is 9.9: the points from epoch 24 on are not reached"
        assert whole == []
        assert long.message == "train.epochs is 30: after epoch 24 the rate is 0"
        assert short.level == long.level == "warning"

    def test_triangular_is_airbenchs_triangle(self):
        """The line through (0, start), (int(peak * total), 1), (total, end), at each step's number."""
        steps, built = Steps(50_000, 1024, 9.9, drop_last=True), optimizer(lr=1.5)
        rates = run(built, Triangular(start=0.2, peak=0.23, end=0.07).build(built, steps), 475)
        expected = 1.5 * np.interp(np.arange(475), [0, int(0.23 * 475), 475], [0.2, 1, 0.07])
        assert rates == pytest.approx(expected.tolist())
        assert built.param_groups[0]["lr"] == pytest.approx(1.5 * 0.07)

    def test_triangular_of_few_steps_begins_at_its_peak(self):
        built, steps = optimizer(lr=0.1), Steps(30, 10, 1)
        assert run(built, Triangular(peak=0.2, end=0).build(built, steps), 3) == pytest.approx([0.1, 0.2 / 3, 0.1 / 3])


class TestSimpleSchedules:
    STEPS = Steps(samples=100, batch_size=10, epochs=4)

    def rates(self, component, lr=0.1):
        built = optimizer(lr=lr)
        return run(built, component.build(built, self.STEPS), self.STEPS.total)

    def test_cosine_falls_to_its_final_rate_at_the_last_step(self):
        rates = self.rates(Cosine(final_lr=0.02))
        assert rates[0] == pytest.approx(0.1)
        assert (rates[19] + rates[20]) / 2 == pytest.approx(0.06)
        assert rates[-1] == pytest.approx(0.02)
        assert all(later < earlier for earlier, later in pairwise(rates))

    def test_warm_up_rises_in_a_line_and_ends_with_its_epochs(self):
        for component in (Cosine(warmup_epochs=0.9), Constant(warmup_epochs=0.9)):
            assert self.rates(component)[:10] == pytest.approx([0.01 * step for step in range(1, 11)])
        assert self.rates(Constant(warmup_epochs=0.9))[10:] == [0.1] * 30
        assert self.rates(Constant()) == [0.1] * 40

    def test_step_falls_every_few_epochs(self):
        rates = self.rates(Step(every_epochs=1.5, gamma=0.5))
        assert rates == pytest.approx([0.1] * 15 + [0.05] * 15 + [0.025] * 10)

    @pytest.mark.parametrize("component", EVERY, ids=str)
    def test_each_parameter_group_keeps_its_ratio_to_the_first(self, component):
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 6.4, 0.01)]
        built = torch.optim.SGD(groups, lr=0.1)
        schedule = component.build(built, self.STEPS)
        for _ in range(self.STEPS.total):
            first, *others = [group["lr"] for group in built.param_groups]
            assert others == pytest.approx([64 * first, 0.1 * first])
            run(built, schedule, 1)

    def test_each_parameter_group_keeps_its_own_rate(self):
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 1.0)]
        built = torch.optim.SGD(groups, lr=0.1)
        run(built, Cosine(final_lr=0.05).build(built, self.STEPS), 40)
        assert [group["lr"] for group in built.param_groups] == pytest.approx([0.05, 0.5])

    @pytest.mark.parametrize("component", [Cosine, Constant])
    def test_a_warm_up_must_leave_something_of_the_run(self, component):
        with pytest.raises(UserError, match="4 leave nothing of a run of 4 epochs"):
            component(warmup_epochs=4).build(optimizer(), self.STEPS)
        with pytest.raises(ValidationError):
            component(warmup_epochs=-1)
