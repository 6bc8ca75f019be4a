"""EMA and early stopping, driven as the host drives them."""

import copy
import io

import pytest
import torch
from torch import nn

from frame import DataInfo, Steps, TrainingRun, UserError
from frame_plugins.early_stopping import EarlyStopping
from frame_plugins.ema import EMA


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
        callback = EMA(decay=0.75).build(run)
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
        callback = EMA(decay=0.5).build(run)
        callback.on_run_start()
        for number in range(3):
            step(run, number)
            callback.on_step_end()
        state = safely_saved(callback.state_dict())
        resumed = copy.deepcopy(run)
        again = EMA(decay=0.5).build(resumed)
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
