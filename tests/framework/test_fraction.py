"""A run of a fraction of an epoch: it ends early at a whole step, in every file, and resumes to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from frame.rundir.history import read_lines

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"  # 12 steps an epoch
HALF = ("train.epochs=1.5", "scheduler.use=one_cycle", "scheduler.max_lr=0.01")


def test_the_last_epoch_ends_early_and_is_an_epoch_like_any_other(cli, tmp_path):
    result = cli("run", TINY, *HALF)
    assert result.code == 0, result.err
    assert "18 in 1.5 epochs" in result.out
    assert "epoch 2/2" in result.out
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    epochs = [line for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch"]
    assert [(line["epoch"], line["step"]) for line in epochs] == [(1, 12), (2, 18)]
    assert epochs[1]["test/acc"] > 0
    assert json.loads((run / "schedule.json").read_text())["epochs"][-1] == 1.5
    assert json.loads((run / "run.json").read_text())["epochs"] == 1.5
    assert "epochs: 1.5" in (run / "recipe.resolved.yaml").read_text()
    page = (run / "report.html").read_text()
    assert "run.json: damaged" not in page
    assert "<dt>Epochs</dt><dd>2<small>18 steps" in page


@pytest.mark.parametrize("when", ["step=15", "step=18", "epoch=2"])
def test_it_resumes_to_the_same_bytes(cli, tmp_path, when):
    assert cli("run", TINY, *HALF, "--out", "whole").code == 0
    assert cli("run", TINY, *HALF, "callbacks.0.use=interrupt", f"callbacks.0.{when}").code == 130
    (whole,), (run,) = ((tmp_path / out / "tiny").iterdir() for out in ("whole", "runs"))
    assert cli("resume", run).code == 0
    assert (whole / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, run))
    assert all(one[name].equal(other[name]) for name in one)


def test_accumulated_batches_end_with_a_whole_step(cli, tmp_path):
    assert cli("run", TINY, "train.epochs=1.3", "train.accumulate=5").code == 0  # 3 steps an epoch, of 5, 5 and 2
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    assert read_lines(run / "metrics.jsonl")[-1]["step"] == 4
