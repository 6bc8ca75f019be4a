"""Runs that are killed with SIGKILL, again and again, and resumed: they end with the bytes of an undisturbed one."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from fakes.killing import Killer, assert_same, finish, only_run
from fakes.launching import start

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
BASE = [TINY, "train.epochs=3", "checkpoint.every_steps=2", "train.log_every=3", "model.norm=true"]
ALBUMENTATIONS = (
    "data.train_transforms=[{use: albumentations, pipeline: [{use: HorizontalFlip}, {use: Affine, p: 0.7}]}]"
)
EMA = "callbacks=[{use: ema, decay: 0.9}]"
ACCUMULATION = ["data.batch_size=32", "train.accumulate=3", "train.clip_grad_norm=1"]
AUTO = [
    "scheduler={use: one_cycle, max_lr: auto}",
    "lr_finder={use: lr_range_test, start_lr: 1e-5, num_steps: 30, rule: minimum_tenth}",
]
CASES = {
    "fp32": ["train.precision=fp32"],
    "bf16, EMA": ["train.precision=bf16", EMA],
    "fp32, albumentations, accumulation": ["train.precision=fp32", ALBUMENTATIONS, *ACCUMULATION],
    "bf16, albumentations, two workers": ["train.precision=bf16", ALBUMENTATIONS, "data.workers=2"],
    "fp32, LR finder": ["train.precision=fp32", *AUTO],
    "bf16, LR finder, EMA, accumulation": ["train.precision=bf16", EMA, *ACCUMULATION, *AUTO],
    "fp16, early stopping, validation": [
        "train.precision=fp16", "data.validation=0.2", "callbacks=[{use: early_stopping, patience: 2}]",
    ],
}  # fmt: skip


def kill_and_compare(folder: Path, settings: list[str], kills: int, seed: int) -> dict[str, int]:
    (folder / "whole").mkdir()
    seconds = finish(["run", *BASE, *settings], folder / "whole")
    whole = only_run(folder / "whole")
    killer = Killer([*BASE, *settings], seconds, random.Random(seed))
    number = 0
    while sum(killer.count.values()) < kills:
        number += 1
        assert_same(killer.run(folder / f"killed{number}", kills), whole)
    return killer.count


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", ["bf16, LR finder, EMA, accumulation"])
def test_a_run_that_is_killed_a_few_times(tmp_path, case):
    assert sum(kill_and_compare(tmp_path, CASES[case], kills=3, seed=1).values()) == 3


DIES = """
import os, signal
from pathlib import Path
from frame import TrackerComponent, hookimpl

class Dies(TrackerComponent):
    \"""Kills the process when it is told of the run's end, for the first time.\"""
    def build(self, run):
        return Telling(run.folder)

class Telling:
    def __init__(self, folder): self.told = folder / "told.txt"
    def log(self, metrics, epoch, step): pass
    def log_result(self, name, result): self._note(name)
    def finish(self, status):
        first = "finished" not in self.told.read_text()
        self._note(status)
        if first:
            os.kill(os.getpid(), signal.SIGKILL)
    def _note(self, text):
        with self.told.open("a") as file:
            file.write(text + "\\n")

@hookimpl
def frame_components():
    return {"dies": Dies}
"""


def test_a_run_that_is_killed_while_its_end_is_told_tells_it_again(cli, tmp_path):
    (tmp_path / "dies.py").write_text(DIES)
    recipe = TINY.read_text().replace("./helpers.py", f"{TINY.with_name('helpers.py')}, ./dies.py")
    (tmp_path / "recipe.yaml").write_text(recipe)
    process = start(["run", "recipe.yaml", *BASE[1:], "trackers=[{use: dies}]", "analyzers=[{use: samples}]"], tmp_path)
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    run = only_run(tmp_path)
    assert run.read_record()["state"] == "running"
    assert "killed" in cli("runs").out
    before = {path: path.read_bytes() for path in (run.metrics, run.weights, run.predictions)}
    told = (run.path / "told.txt").read_text()

    assert cli("resume", run.path).code == 0
    assert run.read_record()["state"] == "finished"
    assert {path: path.read_bytes() for path in before} == before
    assert (run.path / "told.txt").read_text() == told * 2
    assert "finished" in told
    assert "still training" not in run.report.read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_at_30_moments(tmp_path, case, record_property):
    count = kill_and_compare(tmp_path, CASES[case], kills=30, seed=2)
    record_property("kills", count)
    print(f"{case}: {count}")
    assert sum(count.values()) == 30
    assert count["in a write"] > 0
