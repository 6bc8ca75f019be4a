"""EMA, lookahead, freezing and early stopping, driven as the host drives them."""

import copy
import io

import pytest
import torch
from torch import nn

from frame import DataInfo, Steps, TrainingRun, UserError
from frame_plugins.callbacks.early_stopping import EarlyStopping
from frame_plugins.callbacks.ema import EMA
from frame_plugins.callbacks.freeze import Freeze
from frame_plugins.callbacks.lookahead import Lookahead


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    data = DataInfo(("a", "b", "c"), (2, 2, 1), (0.5,), (0.5,), 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return TrainingRun(
        name="test",
        run_id="1",
        folder=tmp_path,
        recipe={},
        data=data,
        steps=Steps(10, 5, 3),
        model=model,
        eval_model=model,
        optimizers=[optimizer],
        schedulers=[],
        device=torch.device("cpu"),
        warn=lambda text: None,
    )


def step(run, number):
    run.optimizers[0].zero_grad()
    inputs, wanted = torch.randn(5, 7, generator=torch.Generator().manual_seed(number)).split([4, 3], dim=1)
    (run.model(inputs) - wanted).square().sum().backward()
    run.optimizers[0].step()


def safely_saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class TestEMA:
    def test_averages_weights_and_running_statistics(self, run):
        callback = EMA(decay=0.75, warmup=False).build(run)
        callback.on_run_start()
        assert run.eval_model is not run.model
        expected = None
        for number in range(5):
            step(run, number)
            callback.on_step_end()
            now = {name: value.clone() for name, value in run.model.state_dict().items() if value.is_floating_point()}
            expected = now if expected is None else {k: 0.75 * expected[k] + 0.25 * now[k] for k in now}
        averaged = run.eval_model.state_dict()
        assert averaged.keys() == run.model.state_dict().keys()
        for name, value in expected.items():
            torch.testing.assert_close(averaged[name], value)
        assert not torch.allclose(averaged["0.weight"], run.model.state_dict()["0.weight"])

    def test_warms_up_by_the_runs_steps_over_a_resume_too(self, run):
        def average(callback, numbers):
            for number in numbers:
                step(run, number)
                run.step = number + 1
                callback.on_step_end()
            return callback

        callback = EMA().build(run)
        callback.on_run_start()
        expected = None
        for number in range(3):
            average(callback, [number])
            now, n = run.model[0].weight.detach().clone(), run.step
            expected = now if expected is None else expected + (1 - (1 + n) / (10 + n)) * (now - expected)
        torch.testing.assert_close(run.eval_model[0].weight, expected)
        resumed = copy.deepcopy(run)
        again = EMA().build(resumed)
        again.on_run_start()
        again.load_state_dict(safely_saved(callback.state_dict()))
        average(callback, [3])
        step(resumed, 3)
        resumed.step = 4
        again.on_step_end()
        assert torch.equal(resumed.eval_model[0].weight, run.eval_model[0].weight)
        run.step = 100_000
        before = run.eval_model[0].weight.detach().clone()
        callback.on_step_end()
        torch.testing.assert_close(run.eval_model[0].weight, before.lerp(run.model[0].weight, 1e-3))

    @pytest.mark.parametrize(("settings", "says"), [
        ({}, None),
        ({"write_back": True, "decay": 0.1}, None),
        ({"warmup": False, "decay": 0.6}, None),
        ({"warmup": False}, "0.999 averages over about 1,000 steps and the run has 6: its average is to 99% its first"),
        ({"write_back": True, "decay": 0.9}, "an epoch has 2: its average is to 81% what it began with; lower it"),
        ({"write_back": True, "warmup": True}, None),
    ])  # fmt: skip
    def test_says_where_the_decay_is_long_against_the_run(self, run, settings, says):
        warned = []
        run.warn = warned.append
        EMA(**settings).build(run)
        assert len(warned) == (says is not None)
        assert all(says in text for text in warned)

    def test_leaves_the_trained_model_alone(self, run):
        twin = copy.deepcopy(run)
        callback = EMA().build(run)
        callback.on_run_start()
        for number in range(3):
            step(run, number)
            callback.on_step_end()
            step(twin, number)
        for one, other in zip(run.model.state_dict().values(), twin.model.state_dict().values(), strict=True):
            assert torch.equal(one, other)

    def test_goes_on_from_a_safely_loaded_checkpoint_to_the_same_bits(self, run):
        callback = EMA(decay=0.5, warmup=False).build(run)
        callback.on_run_start()
        for number in range(3):
            step(run, number)
            callback.on_step_end()
        state = safely_saved(callback.state_dict())
        resumed = copy.deepcopy(run)
        again = EMA(decay=0.5, warmup=False).build(resumed)
        again.on_run_start()
        again.load_state_dict(state)
        for one, its in ((run, callback), (resumed, again)):
            for number in range(3, 5):
                step(one, number)
                its.on_step_end()
        for one, other in zip(
            run.eval_model.state_dict().values(), resumed.eval_model.state_dict().values(), strict=True
        ):
            assert torch.equal(one, other)

    def test_writes_the_average_back_after_an_epoch_where_that_is_wanted(self, run):
        callback, plain = EMA(decay=0.5, write_back=True).build(run), EMA(decay=0.5, warmup=False).build(run)
        for one in (callback, plain):
            one.on_run_start()
        for number in range(3):
            step(run, number)
            callback.on_step_end()
            plain.on_step_end()
        before = {name: value.clone() for name, value in run.model.state_dict().items()}
        plain.on_epoch_end({})
        assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
        callback.on_epoch_end({})
        average = callback.average.module.state_dict()
        assert not torch.equal(average["0.weight"], before["0.weight"])
        assert all(torch.equal(value, average[name]) for name, value in run.model.state_dict().items())
        step(run, 3)
        assert not torch.equal(run.model[0].weight, callback.average.module[0].weight)  # a copy, not the same tensors


class TestLookahead:
    """The run takes 6 steps: 2 in each of 3 epochs."""

    def walk(self, run, callback, numbers):
        for number in numbers:
            step(run, number)
            run.step = number + 1
            callback.on_step_end()

    def floats(self, run):
        return {name: value.clone() for name, value in run.model.state_dict().items() if value.is_floating_point()}

    @pytest.mark.parametrize(("settings", "keep"), [
        ({"every": 2}, lambda step: 0.95**2 * (step / 6) ** 3),  # airbench94's
        ({"every": 2, "decay": 0.5**0.5, "ramp": 0}, lambda step: 0.5),  # Zhang's with alpha = 1/2
    ])  # fmt: skip
    def test_the_model_goes_on_from_the_slow_weights(self, run, settings, keep):
        callback = Lookahead(**settings).build(run)
        slow = self.floats(run)
        for number in range(6):
            step(run, number)
            fast = self.floats(run)
            run.step = number + 1
            callback.on_step_end()
            if run.step % 2 == 0:
                slow = {name: keep(run.step) * slow[name] + (1 - keep(run.step)) * fast[name] for name in slow}
                fast = slow
            torch.testing.assert_close(self.floats(run), fast)
        assert {"0.weight", "1.running_var"} <= slow.keys()

    def test_the_run_ends_on_the_slow_weights(self, run):
        callback = Lookahead(every=4).build(run)
        self.walk(run, callback, range(4))
        slow = self.floats(run)
        self.walk(run, callback, [4])
        assert not torch.equal(self.floats(run)["0.weight"], slow["0.weight"])
        self.walk(run, callback, [5])
        assert all(torch.equal(value, slow[name]) for name, value in self.floats(run).items())

    def test_goes_on_from_a_safely_loaded_checkpoint_to_the_same_bits(self, run):
        callback = Lookahead(every=2).build(run)
        self.walk(run, callback, range(3))
        state, resumed = safely_saved(callback.state_dict()), copy.deepcopy(run)
        again = Lookahead(every=2).build(resumed)
        again.load_state_dict(state)
        for one, its in ((run, callback), (resumed, again)):
            self.walk(one, its, range(3, 6))
        assert all(torch.equal(value, self.floats(resumed)[name]) for name, value in self.floats(run).items())


class TestFreeze:
    def test_freezes_after_its_epochs_and_saves_the_gradient(self, run):
        callback = Freeze(after_epochs={"*.bias": 1, "1.bias": 2, "1.weight": 2}).build(run)
        trained = []
        for epoch in range(3):
            run.epoch = epoch
            callback.on_epoch_start()
            before = {name: value.clone() for name, value in run.model.named_parameters()}
            step(run, epoch)
            trained.append({name for name, value in run.model.named_parameters() if not value.equal(before[name])})
        assert trained == [{"0.weight", "0.bias", "1.weight", "1.bias"}, {"0.weight", "1.weight"}, {"0.weight"}]

    def test_a_resumed_run_freezes_what_an_uninterrupted_one_has_frozen(self, run):
        run.epoch, run.resumed = 2, True
        Freeze(after_epochs={"0.*": 1}).build(run).on_epoch_start()
        assert [name for name, one in run.model.named_parameters() if one.requires_grad] == ["1.weight", "1.bias"]

    def test_names_a_pattern_that_matches_nothing(self, run):
        with pytest.raises(UserError, match=r"no trainable parameter matches '0\.bais'; did you mean '0\.bias'"):
            Freeze(after_epochs={"0.bais": 1}).build(run)

    def test_must_leave_something_to_train(self, run):
        with pytest.raises(UserError, match="freezes every parameter before the run's last epoch"):
            Freeze(after_epochs={"0.*": 1, "1.*": 2}).build(run)
        Freeze(after_epochs={"0.*": 1, "1.*": 3}).build(run)


class TestEarlyStopping:
    def stops_after(self, run, component, values, metric="test/acc"):
        callback = component.build(run)
        for epoch, value in enumerate(values, start=1):
            callback.on_epoch_end({metric: value})
            if run.stop_reason:
                return epoch
        return None

    def test_waits_for_an_improvement_in_vain(self, run):
        assert self.stops_after(run, EarlyStopping(patience=2), [0.5, 0.6, 0.6, 0.55, 0.9]) == 4
        assert run.stop_reason == "early stopping: no test/acc of the last 2 epochs was better than 0.6"

    def test_starts_to_wait_anew_at_each_improvement(self, run):
        assert self.stops_after(run, EarlyStopping(patience=2), [0.5, 0.4, 0.6, 0.5, 0.7, 0.6]) is None

    def test_takes_losses_and_a_least_improvement(self, run):
        component = EarlyStopping(monitor="train/loss", patience=2, min_delta=0.1)
        assert self.stops_after(run, component, [1.0, 0.8, 0.75, 0.71, 0.1], "train/loss") == 4

    def test_prefers_the_validation_set(self, run):
        callback = EarlyStopping(patience=1).build(run)
        callback.on_epoch_end({"val/acc": 0.5, "test/acc": 0.5})
        callback.on_epoch_end({"val/acc": 0.6, "test/acc": 0.4})
        assert run.stop_reason is None
        callback.on_epoch_end({"val/acc": 0.5, "test/acc": 0.9})
        assert run.stop_reason

    def test_nan_is_no_improvement_and_no_best_value(self, run):
        nan = float("nan")
        assert self.stops_after(run, EarlyStopping(patience=3), [nan, 0.5, nan, nan]) is None
        assert self.stops_after(run, EarlyStopping(patience=2), [nan, nan]) == 2

    def test_an_infinity_is_no_best_value_either(self, run):
        inf = float("inf")
        assert self.stops_after(run, EarlyStopping(patience=2), [inf, 0.5, 0.6, 0.5]) is None
        loss = EarlyStopping(monitor="train/loss", patience=2)
        assert self.stops_after(run, loss, [-inf, 0.5, 0.6, 0.4, inf, 0.3], "train/loss") is None

    def test_names_the_metrics_there_are(self, run):
        callback = EarlyStopping(monitor="test/acuracy").build(run)
        with pytest.raises(UserError, match="no metric 'test/acuracy'; did you mean 'test/acc'"):
            callback.on_epoch_end({"test/acc": 0.5, "train/loss": 1.0})

    def test_goes_on_from_a_safely_loaded_checkpoint(self, run):
        first = EarlyStopping(patience=3).build(run)
        for value in (0.6, 0.5, 0.5):
            first.on_epoch_end({"test/acc": value})
        second = EarlyStopping(patience=3).build(run)
        second.load_state_dict(safely_saved(first.state_dict()))
        second.on_epoch_end({"test/acc": 0.55})
        assert run.stop_reason
