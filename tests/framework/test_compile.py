"""torch.compile: the same training, the time that it takes apart, and weights under their own names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes.killing import assert_same, only_run
from frame.recipe.load import load_recipe
from frame.rundir.history import read_lines
from frame.training.build import build, load_data
from frame.training.compilation import compile_model

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on CPUs")


@pytest.mark.slow
def test_a_compiled_run_learns_the_same_and_can_be_resumed(cli, tmp_path):
    settings = ["model.norm=true", "data.eval_batch_size=100", "analyzers=[{use: grad_cam}]"]
    runs = {}
    for name, more in (("eager", []), ("compiled", ["train.compile=true"])):
        result = cli("run", TINY, *settings, *more, "--out", tmp_path / name / "runs", "callbacks=[{use: interrupt}]")
        assert result.code == 0, result.err
        assert "analyzed  1 of 1" in result.out
        runs[name] = only_run(tmp_path / name)
    assert "compiled  in" in result.out
    assert json.loads(runs["compiled"].record.read_text())["compile_seconds"] > 0
    eager, compiled = (read_lines(runs[name].metrics)[-1] for name in ("eager", "compiled"))
    assert compiled["train/loss"] == pytest.approx(eager["train/loss"], rel=0.02)
    assert load_file(runs["eager"].weights).keys() == load_file(runs["compiled"].weights).keys()

    stopped = cli("run", TINY, *settings, "train.compile=true", "callbacks=[{use: interrupt, step: 7}]")
    assert stopped.code == 130
    assert cli("resume", only_run(tmp_path).path).code == 0
    assert_same(only_run(tmp_path), runs["compiled"])


@pytest.mark.slow
def test_compiling_leaves_buffers_alone_that_are_not_saved_too(tmp_path):
    recipe = load_recipe(str(TINY), ["model.norm=true", "train.compile=true"]).recipe
    parts = build(recipe, load_data(recipe))
    norms = [module for module in parts.model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:  # as a model may have it: a statistic that no checkpoint holds
        norm._non_persistent_buffers_set.add("running_mean")
    before = {name: tensor.clone() for name, tensor in parts.model.named_buffers()}
    assert norms
    assert before.keys() - parts.model.state_dict().keys()
    compile_model(parts)
    for name, tensor in parts.model.named_buffers():
        assert torch.equal(tensor, before[name]), name
