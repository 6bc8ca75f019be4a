"""Which value is better: no number beats a number never, wherever values are compared, and a run's JSON is strict."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from frame import LRFinding, best_of, better, mode_of
from frame.rundir.folder import RunDir, write_json
from frame.rundir.history import Line, append_line, read_lines
from frame.sweep.record import Epochs, Trial, open_sweep, reported
from frame.sweep.search import Search
from frame.sweep.spec import load_sweep
from frame.sweep.tuning import threads
from frame.training.lr_finder import curve, read_finding, save_finding

FIXTURES = Path(__file__).parent / "fixtures"
NAN_YAML = FIXTURES / "nan.yaml"
NONE = (None, math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("none", NONE)
def test_no_number_is_never_better_and_every_number_is_better_than_none(none, mode):
    for value in (-1e300, 0.0, 0.5, *NONE):
        assert not better(none, value, mode)
    for value in (-1e300, 0.0, 0.5):
        assert better(value, none, mode)


def test_more_or_less_is_better_and_of_equals_the_first_stays():
    assert (better(0.6, 0.5, "max"), better(0.5, 0.6, "max"), better(0.5, 0.5, "max")) == (True, False, False)
    assert (better(0.6, 0.5, "min"), better(0.5, 0.6, "min"), better(0.5, 0.5, "min")) == (False, True, False)
    values = {"a": math.nan, "b": 0.5, "c": 0.7, "d": 0.7, "e": 0.5, "f": math.inf}
    assert best_of(values, values.get, "max") == "c"
    assert best_of(values, values.get, "min") == "b"
    assert best_of(["a", "f"], values.get, "min") is None
    assert [mode_of(metric) for metric in ("val/loss", "test/acc", "val/f1")] == ["min", "max", "max"]


def strict(text: str):
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture
def trained(cli, tmp_path):
    """Train nan.yaml; return what the command came to, and the run."""

    def call(*settings):
        result = cli("run", NAN_YAML, *settings)
        assert (result.code, result.err) == (0, "")
        (run,) = (tmp_path / "runs/tiny").iterdir()
        for path in (*run.rglob("*.json"), *run.rglob("*.jsonl")):
            for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                strict(text)
        return result, RunDir(run)

    return call


@pytest.mark.parametrize("value", ["nan", "-inf"])
def test_an_epoch_whose_metric_is_no_number_is_never_the_best(cli, trained, value):
    lost = ["loss.nan_epochs=[1,3]", f"loss.value={value}", "train.epochs=3", "analyzers=[{use: curves}]"]
    stop = "callbacks=[{use: early_stopping, monitor: val/loss, patience: 1}]"  # the first epoch already would stop it
    result, run = trained(*lost, *([stop.replace("1}", "2}")] if value == "nan" else []))
    record = run.read_record()
    assert (record["best"]["epoch"], record["kept"]) == (2, "epoch 2, the best by val/loss")
    assert torch.load(run.checkpoints / "best.pt", weights_only=True)["epoch"] == 2
    assert f"best      val/loss {record['best']['value']:.4f} at epoch 2" in result.out
    losses = [line["val/loss"] for line in read_lines(run.metrics) if line["kind"] == "epoch"]
    assert losses == [None, record["best"]["value"], None]
    page = run.report.read_text()
    assert '<th scope="col">val/loss</th>' in page
    assert "<td>–</td><td>" in page
    assert f"The best validation loss was {record['best']['value']:.4f}, in epoch 2." in page


def test_without_any_number_there_is_no_best_and_the_last_epoch_is_kept(cli, trained):
    result, run = trained("loss.nan_epochs=[1,2]")
    record = run.read_record()
    assert "best" not in record
    assert record["kept"] == "epoch 2, the last"
    assert not (run.checkpoints / "best.pt").exists()
    assert "best      none: no epoch's val/loss was a finite number; the last is kept" in result.out
    assert "none is the best; the model has the weights of epoch 2, the last." in run.report.read_text()
    assert cli("report", run.path).code == 0
    (listed,) = strict(cli("runs", "--json").out)
    assert listed["best"] is None
    assert cli("reproduce", run.path, "--out", "again").code == 0
    (again,) = Path("again/tiny").iterdir()
    compared = strict(cli("compare", run.path, again, "--json").out)
    assert "val/loss in the last epoch" not in [row["name"] for row in compared["metrics"]]


def test_what_earlier_versions_wrote_of_a_best_that_is_none_counts_as_none(cli, tmp_path):
    run = RunDir(tmp_path / "runs/old")
    run.path.mkdir(parents=True)
    known = {"id": "old", "name": "old", "state": "finished", "started": "2026-11-24T10:00:00+00:00", "kept": "epoch 1"}
    best = {"metric": "val/loss", "value": math.nan, "epoch": 1}
    for written in (json.dumps(known | {"best": best}), json.dumps(known | {"best": best | {"value": None}})):
        run.record.write_text(written)
        assert strict(cli("runs", "--json").out)[0]["best"] is None
        assert cli("report", run.path).code == 0
        assert "none is the best" in run.report.read_text()


def test_losses_of_a_finder_that_are_no_numbers_come_back_as_such(tmp_path):
    run, found = RunDir(tmp_path), LRFinding((1e-3, 1e-2, 1e-1), (1.0, 0.5, math.inf), 1e-2, "lowest")
    save_finding(run, found)
    assert strict(run.lr_finding.read_text())["losses"] == [1.0, 0.5, None]
    again = read_finding(run)
    assert (again.losses[:2], math.isnan(again.losses[2]), again.suggestion) == ((1.0, 0.5), True, 1e-2)
    assert len(curve(again)) == 1 + 2


# sweeps


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of nan.yaml with a trial for each list of values of val/loss, each of them run to its end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "search.yaml").write_text("method: grid\nspace: {seed: {integers: [1, 4]}}\nmetric: val/loss\n")

    def made(*values: list[float], **overrides: str):
        loaded = load_sweep(str(NAN_YAML), Path("search.yaml"), [f"{k}={v}" for k, v in overrides.items()])
        folder = open_sweep(loaded)
        Search(folder)
        for trial, losses in zip(folder.trials, values, strict=False):
            run = RunDir(tmp_path / f"run{trial.number}")
            run.path.mkdir()
            write_json(run.record, {"id": "a", "name": "a", "state": "finished"})
            for epoch, loss in enumerate(losses, start=1):
                append_line(run.metrics, {"kind": "epoch", "epoch": epoch, "step": epoch, "val/loss": loss})
            trial.state, trial.run = "running", str(run.path)
        folder.settle()
        return folder

    return made


def test_a_trial_whose_metric_is_no_number_loses(sweep):
    folder = sweep([math.nan, 0.6], [0.7, 0.5], [math.nan, math.inf], [math.nan, 0.5])
    assert [trial.value for trial in folder.trials] == [0.6, 0.5, None, 0.5]
    assert [trial.state for trial in folder.trials] == ["finished", "finished", "failed", "finished"]
    assert folder.trials[2].error == "val/loss was no finite number in any epoch"
    assert [trial.number for trial in folder.record.ranked] == [2, 4, 1, 3]
    assert folder.record.best.number == 2
    strict((folder.path / "sweep.json").read_text())


def test_of_equal_trials_the_one_without_a_gap_is_best_and_else_the_first(sweep):
    assert sweep([math.nan, 0.5], [0.7, 0.5], [0.9, 0.5]).record.best.number == 2


def test_where_the_last_epoch_is_kept_it_is_what_counts(sweep):
    folder = sweep([0.1, math.nan], [0.7, 0.5], **{"checkpoint.keep": "last"})
    assert [trial.value for trial in folder.trials[:2]] == [None, 0.5]
    assert folder.trials[0].error == "val/loss was no finite number in its last epoch"
    assert folder.record.best.number == 2


def test_trials_without_any_number_leave_no_best(sweep):
    assert sweep([math.nan], [math.inf]).record.best is None


def test_a_value_that_an_earlier_version_wrote_as_nan_is_none():
    written = '{"number": 1, "point": {}, "state": "finished", "value": NaN}'
    assert Trial.model_validate_json(written).value is None


def test_tune_is_told_the_worst_for_what_is_no_number(sweep):
    assert [reported(value, "max") for value in (0.5, *NONE)] == [0.5, *[-1e300] * 4]
    assert [reported(value, "min") for value in (0.5, *NONE)] == [0.5, *[1e300] * 4]


def test_the_epochs_of_a_file_that_grows_are_read_once_and_anew_where_it_was_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    epochs = Epochs(path)
    assert epochs.read() == []
    line: Line = {"kind": "epoch", "epoch": 1, "step": 5}
    for number in (1, 2):
        append_line(path, {"kind": "step", "epoch": number, "step": number})
        append_line(path, {**line, "epoch": number})
        assert [one["epoch"] for one in epochs.read()] == list(range(1, number + 1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "ep')
    assert len(epochs.read()) == 2
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    assert epochs.read() == []
    append_line(path, {**line, "epoch": 7})
    assert [one["epoch"] for one in epochs.read()] == [7]


def test_the_users_own_number_of_threads_stays(sweep, monkeypatch):
    plain = sweep().sweep
    assert threads(plain, 4) == ("4", "each with 4 CPU threads (its share of the cores)")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads(plain, 4) == ("3", "each with 3 CPU threads (OMP_NUM_THREADS)")


@pytest.mark.slow
def test_a_sweep_with_a_trial_that_is_no_number(frame, tmp_path):
    """The first trial's first epoch is no number: ASHA ends it there, once another has come so far."""
    text = "method: grid\nspace: {loss.nan_epochs: {choice: [[1], [], [1, 2, 3]]}}\nconcurrency: 1\n"
    (tmp_path / "search.yaml").write_text(text + "scheduler: {use: asha, min_epochs: 1, reduction: 2}\n")
    done = frame("sweep", NAN_YAML, "search.yaml", "train.epochs=3", env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "sweep     up to 1 trial at a time, each with 1 CPU thread (OMP_NUM_THREADS)" in done.stdout
    found = strict((tmp_path / "sweeps/search/sweep.json").read_text())
    assert [(trial["state"], trial["gaps"] > 0) for trial in found["trials"]] == [
        ("finished", True), ("finished", False), ("failed", True)
    ]  # fmt: skip
    assert found["trials"][2]["epochs"] < 3
    assert "best      trial 2:" in done.stdout
    assert "trial 3/3  failed  val/loss was no finite number in any epoch" in done.stdout
