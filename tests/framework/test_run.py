"""Whole runs through the command line: what they leave, how they end, and that the same run gives the same bytes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from frame.compute.randomness import rng_state, seed_everything
from frame.console import Console
from frame.recipe.load import load_recipe
from frame.rundir.history import read_lines
from frame.training.build import build, load_data
from frame.training.lr_finder import find_lr

FIXTURES = Path(__file__).parent / "fixtures"
TINY = FIXTURES / "tiny.yaml"


def only_run(folder: Path, number: int | None = None) -> Path:
    out = "runs" if number is None else f"out{number}"
    (run,) = (folder / out / "tiny").iterdir()
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_leaves_the_whole_folder(cli, tmp_path):
    analyzers = "analyzers=[{use: confusion, pairs: 0}, {use: curves}]"
    result = cli("run", TINY, "scheduler={use: one_cycle, max_lr: 0.01}", analyzers)
    assert result.code == 0, result.err
    run = only_run(tmp_path)
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["id"] == run.name
    assert record["best"]["metric"] == "test/acc"

    lines = read_lines(run / "metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "step"] == [5, 10, 15, 20]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    timing = read_lines(run / "timing.jsonl")
    assert [line["step"] for line in timing if "images_per_s" in line] == [5, 10, 15, 20]
    assert [line["epoch"] for line in timing if "seconds" in line] == [1, 2]
    plan = json.loads((run / "schedule.json").read_text())
    used = {line["epoch"]: line["lr"] for line in lines}
    planned = dict(zip(plan["epochs"], plan["lrs"], strict=True))
    assert used.keys() <= planned.keys()
    assert used == pytest.approx({epoch: planned[epoch] for epoch in used})

    predictions = load_arrays(run / "predictions.safetensors")
    accuracy = (predictions["logits"].argmax(1) == predictions["targets"]).mean()
    assert predictions["logits"].shape == (360, 10)
    assert accuracy == pytest.approx(record["test_accuracy"]) == pytest.approx(epochs[-1]["test/acc"])
    for name in ("last.pt", "last.pt.sha256", "previous.pt", "best.pt", "best.pt.sha256"):
        assert (run / "checkpoints" / name).is_file()
    assert (
        json.loads((run / "environment.json").read_text())["versions"]["torch"] == torch.__version__.partition("+")[0]
    )
    for name in ("confusion/confusion.png", "curves/loss_epochs.png", "curves/lr.png", "confusion/result.json"):
        assert (run / "analysis" / name).stat().st_size > 0
    assert "Confusion matrix" in (run / "report.html").read_text()
    assert "epoch 2/2" in result.out
    assert "epoch 2/2" in (run / "log.txt").read_text()
    assert not list(run.rglob("*.tmp"))


def test_the_saved_model_gives_the_saved_predictions_and_the_resolved_recipe_the_same_run(cli, tmp_path):
    assert cli("run", TINY).code == 0
    run = only_run(tmp_path)
    again = tmp_path / "again"
    assert cli("run", run / "recipe.resolved.yaml", "--out", again).code == 0
    (copy,) = (again / "tiny").iterdir()
    assert same(weights(run), weights(copy))
    assert (run / "metrics.jsonl").read_bytes() == (copy / "metrics.jsonl").read_bytes()
    assert (run / "plugins" / "helpers.py").read_bytes() == (FIXTURES / "helpers.py").read_bytes()

    recipe = load_recipe(str(run / "recipe.resolved.yaml")).recipe
    parts = build(recipe, load_data(recipe))
    parts.model.load_state_dict(weights(run))
    with torch.inference_mode():
        logits = parts.model.eval()(parts.test.inputs(range(8)))
    np.testing.assert_allclose(logits, load_arrays(run / "predictions.safetensors")["logits"][:8], rtol=1e-4, atol=1e-5)


def test_what_must_not_change_the_result_does_not(cli, tmp_path):
    few = ("data.test_fraction=0.8", "data.batch_size=32")
    per_sample = "data.train_transforms=[{use: torchvision, pipeline: [{use: RandomHorizontalFlip}]}]"
    changes = [
        (),
        ("data.workers=1",),
        ("data.workers=4",),
        ("data.workers=2", "data.pipeline=workers"),
        ("train.log_every=3", "checkpoint.every_epochs=2", "callbacks=[{use: interrupt, step: 999}]"),
        ("lr_finder={use: lr_range_test, num_steps: 14, rule: minimum_tenth}", "analyzers=[{use: meddles}]"),
    ]
    found = []
    for number, settings in enumerate(changes):
        assert cli("run", TINY, *few, per_sample, "model.norm=true", "--out", f"out{number}", *settings).code == 0
        found.append(weights(only_run(tmp_path, number)))
    assert all(same(found[0], other) for other in found[1:])


def test_targets_may_be_class_probabilities(cli, tmp_path):
    for name, transforms in (("classes", "[]"), ("probabilities", "[{use: one_hot}]")):
        result = cli("run", TINY, f"data.train_transforms={transforms}", "train.epochs=1", "--out", name)
        assert result.code == 0, result.err
    classes, probabilities = (
        read_lines(next((tmp_path / name / "tiny").iterdir()) / "metrics.jsonl")[-1]
        for name in ("classes", "probabilities")
    )
    assert classes.pop("kind") == probabilities.pop("kind") == "epoch"
    assert probabilities == pytest.approx(classes, rel=1e-4)


def test_accumulation_is_the_larger_batch(cli, tmp_path):
    plain = ["data.train_transforms=[]", "optimizer={use: sgd, lr: 0.1}", "train.log_every=1"]
    assert cli("run", TINY, *plain, "data.batch_size=128", "--out", "large").code == 0
    assert cli("run", TINY, *plain, "data.batch_size=32", "train.accumulate=4", "--out", "small").code == 0
    large, small = (next((tmp_path / name / "tiny").iterdir()) for name in ("large", "small"))
    for name, tensor in weights(large).items():
        torch.testing.assert_close(tensor, weights(small)[name], rtol=1e-3, atol=1e-4)
    steps = [[line["step"] for line in read_lines(run / "metrics.jsonl")] for run in (large, small)]
    assert steps[0] == steps[1]


def test_clipping_keeps_a_step_small(cli, tmp_path):
    settings = ["optimizer={use: sgd, lr: 1.0, momentum: 0}", "train.epochs=1", "data.batch_size=1437"]
    moved = {}
    for name, more in (("free", []), ("clipped", ["train.clip_grad_norm=0.001"])):
        recipe = load_recipe(str(TINY), [*settings, *more]).recipe
        seed_everything(recipe.seed)
        before = build(recipe, load_data(recipe)).model.state_dict()
        assert cli("run", TINY, *settings, *more, "--out", name).code == 0
        after = weights(next((tmp_path / name / "tiny").iterdir()))
        moved[name] = math.sqrt(sum(float(((after[key] - before[key]) ** 2).sum()) for key in before))
    assert moved["clipped"] == pytest.approx(0.001, rel=1e-3)
    assert moved["free"] > 0.01


def test_early_stopping_ends_the_run_as_finished(cli, tmp_path):
    stopping = "callbacks=[{use: early_stopping, patience: 1, min_delta: 0.9}]"
    result = cli("run", TINY, "train.epochs=9", stopping)
    assert result.code == 0
    record = json.loads((only_run(tmp_path) / "run.json").read_text())
    assert record["state"] == "finished"
    assert "stopped after epoch 2" in result.out


def test_a_validation_split_is_watched_and_chooses_the_model(cli, tmp_path):
    assert cli("run", TINY, "data.validation=0.2", "train.epochs=3").code == 0
    run = only_run(tmp_path)
    lines = [line for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch"]
    assert {"val/loss", "val/acc"} <= set(lines[0])
    assert not any(key.startswith("test/") for key in lines[0])
    record = json.loads((run / "run.json").read_text())
    best = max(lines, key=lambda line: line["val/acc"])
    assert record["best"] == {"metric": "val/acc", "value": best["val/acc"], "epoch": best["epoch"]}
    saved = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    assert same(weights(run), saved["model"])
    assert "optimistic" not in (run / "report.html").read_text()


def test_a_watched_test_set_is_called_optimistic(cli, tmp_path):
    assert cli("run", TINY, "train.epochs=1").code == 0
    assert "optimistic" in (only_run(tmp_path) / "report.html").read_text()


def test_auto_takes_what_the_finder_found_and_the_resolved_recipe_says_so(cli, tmp_path):
    finder = "lr_finder={use: lr_range_test, start_lr: 1e-5, num_steps: 30, rule: minimum_tenth}"
    assert cli("run", TINY, "optimizer.lr=auto", finder).code == 0
    run = only_run(tmp_path)
    found = json.loads((run / "lr_finder.json").read_text())
    assert load_recipe(str(run / "recipe.resolved.yaml")).recipe.optimizer.component.lr == found["suggestion"]
    assert read_lines(run / "metrics.jsonl")[0]["lr"] == found["suggestion"]
    assert found["rule"] in (run / "report.html").read_text()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_lr_finder_leaves_no_trace(precision):
    finder = "lr_finder={use: lr_range_test, num_steps: 14, rule: minimum_tenth}"
    loaded = load_recipe(str(TINY), [finder, "model.norm=true", f"train.precision={precision}"])
    seed_everything(1)
    parts = build(loaded.recipe, load_data(loaded.recipe))
    state = {name: tensor.clone() for name, tensor in parts.model.state_dict().items()}
    modes = [module.training for module in parts.model.modules()]
    before = rng_state()
    finding = find_lr(parts, Console())
    assert finding is not None
    assert len(finding.lrs) > 5
    assert same(state, parts.model.state_dict())
    assert [module.training for module in parts.model.modules()] == modes
    assert all(parameter.grad is None for parameter in parts.model.parameters())
    after = rng_state()
    assert after["python"] == before["python"]
    assert torch.equal(after["torch"], before["torch"])
    assert torch.equal(after["numpy"][1], before["numpy"][1])
    assert after["numpy"][2:] == before["numpy"][2:]


def test_lr_find_alone_prints_the_curve_and_writes_nothing(cli, tmp_path):
    finder = "lr_finder={use: lr_range_test, num_steps: 20, rule: minimum_tenth}"
    result = cli("lr-find", TINY, finder)
    assert result.code == 0
    assert "suggested learning rate: " in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_would_happen_and_leaves_nothing(cli, tmp_path):
    analyzers = "analyzers=[{use: samples}, {use: model_summary}, {use: misclassified}, {use: grad_cam}]"
    result = cli("run", TINY, "--dry-run", "optimizer.lr=auto", "lr_finder.use=lr_range_test", analyzers)
    assert result.code == 0, result.err
    for text in ("lr: auto", "12 an epoch, 24 in 2 epochs", "cpu, ", "and 4 analyzers"):
        assert text in result.out
    counts = re.findall(r"^(?:model .*: |Total params +)([\d,]+)", result.out, re.MULTILINE)
    assert len(counts) == 2
    assert counts[0] == counts[1]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_finds_what_would_fail(cli, tmp_path):
    result = cli("run", TINY, "--dry-run", "analyzers=[{use: fails}]")
    assert result.code == 1
    assert "no such luck" in result.err
    assert list(tmp_path.iterdir()) == []


def test_repeat_runs_several_seeds_and_says_how_much_they_vary(cli, tmp_path):
    result = cli("run", TINY, "train.epochs=1", "--repeat", "3")
    assert result.code == 0
    (page,) = (tmp_path / "runs" / "tiny").glob("repeat-*/repeat.html")
    runs = [path.parent for path in (tmp_path / "runs" / "tiny").glob("*/run.json")]
    assert len(runs) == 3
    seeds = {load_recipe(str(run / "recipe.resolved.yaml")).recipe.seed for run in runs}
    assert seeds == {3, 4, 5}
    records = [json.loads((run / "run.json").read_text()) for run in runs]
    assert len({record["group"] for record in records}) == 1
    accuracies = [record["test_accuracy"] for record in records]
    assert f"test accuracy of 3 runs: {np.mean(accuracies):.2%} ± {np.std(accuracies, ddof=1):.2%}" in result.out
    assert f"page      {page.relative_to(tmp_path)}" in result.out
    assert f"{100 * np.mean(accuracies):.2f} % ± {100 * np.std(accuracies, ddof=1):.2f} %" in page.read_text()


def test_a_repeat_that_fails_has_a_page_of_what_there_is(cli, tmp_path):
    assert cli("run", TINY, "callbacks=[{use: dies, step: 13}]", "--repeat", "2").code == 1
    (page,) = (tmp_path / "runs" / "tiny").glob("repeat-*/repeat.html")
    assert "2 runs were planned, and 1 has begun." in page.read_text()
    assert "Not all runs are finished: 1 failed." in page.read_text()


def test_fp16_falls_to_no_nan(cli, tmp_path):
    assert cli("run", TINY, "train.precision=fp16", "train.epochs=1").code == 0
    lines = read_lines(only_run(tmp_path) / "metrics.jsonl")
    assert all(math.isfinite(line["train/loss"]) for line in lines)


HALVES = """
import torch
from frame import OptimizerComponent, hookimpl

class Halves(OptimizerComponent):
    \"""One optimizer for the head, another for the rest.\"""
    def build(self, model):
        *rest, weight, bias = model.parameters()
        return [torch.optim.SGD(parameters, lr=0.1, momentum=0.9) for parameters in (rest, (weight, bias))]

@hookimpl
def frame_components():
    return {"halves": Halves}
"""


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_optimizer_whose_parameters_are_all_frozen_does_nothing(cli, tmp_path, precision):
    (tmp_path / "halves.py").write_text(HALVES)
    frozen = "callbacks=[{use: freeze, after_epochs: {'[0-6].*': 1}}]"
    recipe = tmp_path / "halves.yaml"
    recipe.write_text(TINY.read_text().replace("./helpers.py", f"{FIXTURES / 'helpers.py'}, ./halves.py"))
    settings = ["optimizer={use: halves}", "train.clip_grad_norm=1", f"train.precision={precision}"]
    result = cli("run", recipe, frozen, *settings)
    assert result.code == 0, result.err
    run = only_run(tmp_path)
    first, last = (line for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch")
    assert last["test/loss"] < first["test/loss"]  # the head goes on


DEPTH = """
import sys
import torch
from pathlib import Path
from frame import OptimizerComponent, hookimpl

class Deep(OptimizerComponent):
    \"""Says which of frame's functions have called which, down to its step.\"""
    def build(self, model):
        class Steps(torch.optim.SGD):
            def step(self, closure=None):
                frame, names = sys._getframe(), []
                while frame := frame.f_back:
                    if "framework/frame/" in frame.f_code.co_filename:
                        names.insert(0, frame.f_code.co_name)
                Path("names.txt").write_text(" ".join(names))
                return super().step(closure)
        return [Steps(model.parameters(), lr=0.1)]

@hookimpl
def frame_components():
    return {"deep": Deep}
"""


def test_a_step_is_seven_calls_below_the_command(cli, tmp_path):
    (tmp_path / "deep.py").write_text(DEPTH)
    recipe = tmp_path / "deep.yaml"
    recipe.write_text(TINY.read_text().replace("./helpers.py", f"{FIXTURES / 'helpers.py'}, ./deep.py"))
    assert cli("run", recipe, "optimizer={use: deep}", "train.epochs=1", "scheduler=null").code == 0
    names = (tmp_path / "names.txt").read_text().split()
    assert names == ["main", "run", "start", "run_to_end", "train", "train_epoch", "optimizer_step"]
