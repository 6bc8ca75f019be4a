"""Runs that are stopped and go on: with the same bytes, only as what they were, and by one process at a time."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml

from fakes.killing import assert_same, only_run
from fakes.launching import start
from frame.rundir.folder import RunDir
from frame.rundir.history import read_lines

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


def record(run: RunDir) -> dict:
    return json.loads(run.record.read_text())


@pytest.fixture
def whole(cli, tmp_path):
    """Run the recipe undisturbed, in a folder of its own, and return the run."""

    def call(*settings) -> RunDir:
        result = cli("run", TINY, *settings, "--out", tmp_path / "whole" / "runs")
        assert result.code == 0, result.err
        return only_run(tmp_path / "whole")

    return call


@pytest.fixture
def stopped(cli, tmp_path):
    """Run the recipe until it is interrupted, and return the run."""

    def call(*settings, when="step=12") -> RunDir:
        result = cli(
            "run",
            TINY,
            *settings,
            "--out",
            tmp_path / "one" / "runs",
            f"callbacks=[{{use: interrupt, {when.replace('=', ': ')}}}]",
        )
        assert result.code == 130, result.err
        return only_run(tmp_path / "one")

    return call


@pytest.mark.parametrize("when", ["step=1", "step=12", "step=19", "epoch=1", "epoch=2"])
def test_interrupted_and_resumed_ends_with_the_same_bytes(cli, tmp_path, when):
    settings = ["model.norm=true", "callbacks.0.use=ema", "callbacks.0.decay=0.9"]
    assert cli("run", TINY, *settings, "callbacks.1.use=interrupt", "--out", "whole/runs").code == 0
    whole = only_run(tmp_path / "whole")

    stopped = cli("run", TINY, *settings, "callbacks.1.use=interrupt", f"callbacks.1.{when}")
    run = only_run(tmp_path)
    assert stopped.code == 130
    assert f"frame resume {run.path.relative_to(tmp_path)}" in stopped.out
    assert record(run)["state"] == "interrupted"

    resumed = cli("resume", run.path)
    assert resumed.code == 0, resumed.err
    assert_same(run, whole)
    assert [line["step"] for line in read_lines(run.timing)] == [line["step"] for line in read_lines(whole.timing)]
    assert "nothing to resume" in cli("resume", run.path).err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_run_that_is_asked_to_stop_stops_after_the_step_and_goes_on_later(cli, tmp_path, number):
    process = start(["run", TINY, "train.epochs=400"], tmp_path)
    while not ((run := only_run(tmp_path)) and len(read_lines(run.metrics)) > 3):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 130
    assert (tmp_path / "err.txt").read_text() == ""
    continued = f"interrupted; continue with: frame resume {run.path.relative_to(tmp_path)}"
    assert continued in (tmp_path / "out.txt").read_text()
    assert record(run)["state"] == "interrupted"
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    assert state["step"] >= read_lines(run.metrics)[-1]["step"]


def test_a_run_that_is_killed_before_its_first_checkpoint_begins_anew_in_its_folder(cli, whole, stopped):
    settings = [
        "scheduler={use: one_cycle, max_lr: auto}",
        "lr_finder={use: lr_range_test, start_lr: 1e-5, num_steps: 30, rule: minimum_tenth}",
    ]
    expected = whole(*settings, "callbacks=[{use: interrupt}]")
    run = stopped(*settings)
    for file in run.checkpoints.iterdir():
        file.unlink()
    for file in (run.metrics, run.timing, run.lr_finding, run.schedule, run.environment):
        file.unlink()
    text = run.recipe.read_text()
    values = yaml.safe_load(text)
    values["callbacks"][0]["step"] = 0
    values["scheduler"]["max_lr"] = "auto"
    run.recipe.write_text(yaml.safe_dump(values))
    resumed = cli("resume", run.path)
    assert resumed.code == 0, resumed.err
    assert "lr finder" in resumed.out
    assert_same(run, expected)


def test_a_checkpoint_that_was_damaged_costs_the_steps_since_the_one_before(cli, whole, stopped):
    expected = whole("callbacks=[{use: interrupt}]")
    run = stopped(when="step=19")
    (run.checkpoints / "last.pt").write_bytes(b"half")
    values = yaml.safe_load(run.recipe.read_text())
    resumed = cli("resume", run.path)
    assert resumed.code == 130  # it comes by step 19 once more
    assert "last.pt does not match its checksum; it was set aside as last.pt.damaged" in resumed.err
    assert cli("resume", run.path).code == 0
    assert values["callbacks"] == [{"use": "interrupt", "step": 19, "epoch": 0}]
    assert run.metrics.read_bytes() == expected.metrics.read_bytes()
    assert run.weights.read_bytes() == expected.weights.read_bytes()


def test_what_leaves_no_mark_may_change_and_is_kept(cli, stopped):
    run = stopped()
    changes = [
        "analyzers=[{use: confusion, pairs: 0}]",
        "checkpoint.every_steps=2",
        "data.workers=1",
        "trackers=[{use: broken}]",
    ]
    resumed = cli("resume", run.path, *changes)
    assert resumed.code == 0, resumed.err
    assert (run.analysis / "confusion" / "confusion.png").is_file()
    assert (run.path / "finished.txt").read_text() == "finished"
    assert yaml.safe_load(run.recipe.read_text())["checkpoint"]["every_steps"] == 2


def test_what_would_change_the_result_is_refused_with_every_difference(cli, stopped):
    run = stopped()
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path != run.lock}
    result = cli(
        "resume", run.path, "train.epochs=3", "model.norm=true", "optimizer.lr=0.1", "data.train_transforms=[]"
    )
    assert result.code == 2
    lines = result.err.splitlines()
    assert "error: command line: train.epochs: was 2 and is now 3; a resumed run keeps it" in lines
    assert "error: command line: model.norm: was false and is now true; a resumed run keeps it" in lines
    assert "error: command line: optimizer.lr: was 0.01 and is now 0.1; a resumed run keeps it" in lines
    assert any('data.train_transforms.0.use: was "random_crop" and is now not there' in line for line in lines)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_other_data_are_refused(cli, tmp_path):
    import numpy as np
    from PIL import Image

    for split, name in [(split, name) for split in ("train", "test") for name in ("cat", "dog")]:
        folder = tmp_path / "pets" / split / name
        folder.mkdir(parents=True)
        for number in range(8):
            Image.fromarray(np.full((32, 32, 3), 20 * number + len(name), np.uint8)).save(folder / f"{number}.png")
    result = cli(
        "run",
        TINY,
        "data={use: image_folder, size: 32, batch_size: 8, root: pets}",
        "callbacks=[{use: interrupt, step: 1}]",
    )
    assert result.code == 130, result.err
    Image.new("RGB", (32, 32), "red").save(tmp_path / "pets" / "train" / "cat" / "0.png")
    result = cli("resume", only_run(tmp_path).path)
    assert result.code == 2
    assert "data: the data is not what the run began with: its checksum was " in result.err


def test_a_run_is_one_process_s_at_a_time(cli, tmp_path):
    process = start(["run", TINY, "train.epochs=400"], tmp_path)
    try:
        while not (run := only_run(tmp_path)):
            time.sleep(0.01)
        result = cli("resume", run.path)
        assert result.code == 2
        assert f"is in use by process {process.pid}" in result.err
    finally:
        process.kill()
        process.join()
    assert record(run)["state"] == "running"
    resumed = cli("resume", run.path, "train.epochs=3")
    assert "is in use" not in resumed.err


def test_callbacks_are_told_of_an_epoch_once(cli, tmp_path):
    stopped = cli("run", TINY, "callbacks=[{use: interrupt, step: 5}, {use: counts_epochs}]")
    assert stopped.code == 130
    run = only_run(tmp_path)
    assert cli("resume", run.path).code == 0
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    assert state["callbacks"]["counts_epochs"] == {"epochs": 2}


def test_checkpoints_are_saved_by_steps_and_by_minutes(cli, tmp_path):
    for settings in ("checkpoint.every_steps=5", "checkpoint.every_minutes=1e-6"):
        result = cli("run", TINY, settings, "callbacks=[{use: dies, step: 11}]", "--out", tmp_path / settings / "runs")
        assert result.code == 1
        steps = {
            torch.load(only_run(tmp_path / settings).checkpoints / name, weights_only=True)["step"]
            for name in ("last.pt", "previous.pt")
        }
        assert steps == ({5, 10} if "steps" in settings else {9, 10})


def test_a_checkpoint_that_does_not_fit_is_an_error_in_a_line(cli, stopped):
    from frame.rundir.checkpoints import load_last, save_last

    run = stopped()
    state, _ = load_last(run)
    for wrong in ({"model": {}}, {"sizes": ["x"]}, {"rng": {}}, {"optimizers": []}, {"threads": -1}, {"meter": 3}):
        state.pop("format", None)
        save_last(run, state | wrong)
        result = cli("resume", run.path)
        assert result.code == 1
        assert "the checkpoint does not fit the run" in result.err
        assert "Traceback" not in result.err


def test_reproduce_says_that_a_run_is_the_same_to_the_bit(cli, tmp_path, whole):
    run = whole("trackers=[{use: broken}]", "analyzers=[{use: fails}]")
    result = cli("reproduce", run.path)
    assert result.code == 0, result.err
    again = only_run(tmp_path)
    assert f"reproduced: metrics and weights of runs/tiny/{again.path.name} are those of " in result.out
    assert again.weights.read_bytes() == run.weights.read_bytes()


def test_reproduce_says_what_differs_and_what_has_changed(cli, whole):
    run = whole()
    values = yaml.safe_load(run.recipe.read_text())
    values["optimizer"]["lr"] = 0.02
    run.recipe.write_text(yaml.safe_dump(values))
    environment = json.loads(run.environment.read_text())
    environment["versions"]["torch"] = "1.0"
    run.environment.write_text(json.dumps(environment))
    result = cli("reproduce", run.path)
    assert result.code == 1
    assert "differs   metrics: from step 5 on" in result.out
    assert "differs   metrics: train/loss by up to 0." in result.out
    assert "differs   weights: 6 of 6 tensors, " in result.out
    assert f"changed   torch: 1.0 became {torch.__version__.partition('+')[0]}" in result.out


def test_reproduce_wants_a_finished_run(cli, stopped):
    run = stopped()
    result = cli("reproduce", run.path)
    assert result.code == 2
    assert "is interrupted, not finished" in result.err


def test_lines_after_a_checkpoint_that_knows_of_none_are_cut_too(cli, tmp_path, whole):
    expected = whole("train.log_every=3", "checkpoint.every_steps=2", "callbacks=[{use: dies, step: 99}]")
    settings = ["train.log_every=3", "checkpoint.every_steps=2", "callbacks=[{use: dies, step: 4}]"]
    assert cli("run", TINY, *settings).code == 1
    run = only_run(tmp_path)
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["sizes"] == [0, 0]
    assert [line["step"] for line in read_lines(run.metrics)] == [3]
    assert cli("resume", run.path).code == 0
    assert run.metrics.read_bytes() == expected.metrics.read_bytes()
