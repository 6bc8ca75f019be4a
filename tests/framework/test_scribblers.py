"""What the host shows of its own state to a plugin stays its own: no plugin's writing reaches the host or another."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from frame.recipe.load import load_recipe
from frame.rundir.history import read_lines
from frame.training.build import build, load_data

ARRAYS = ("predictions.logits", "predictions.targets", "predictions.predicted", "predictions.correct",
          "predictions.probabilities", "data.test.images", "data.train.images", "data.test.targets")  # fmt: skip
RECIPE = f"""
plugins: [{Path(__file__).parent / "fixtures" / "scribblers.py"}]
data: {{use: digits, batch_size: 256}}
model: {{use: custom_resnet, widths: [4, 4, 8, 8]}}
loss: {{use: cross_entropy}}
optimizer: {{use: adam}}
train: {{epochs: 2, log_every: 2}}
callbacks: [{{use: metrics}}, {{use: metrics}}]
trackers: [{{use: logged}}, {{use: logged_too}}]
analyzers:
  - {{use: history}}
  - {{use: history}}
"""
RECIPE += "".join(f"  - {{use: array, of: {name}}}\n" for name in ARRAYS)


def test_what_a_plugin_writes_into_what_it_is_shown_reaches_nobody_else(cli, recipe_file, tmp_path):
    result = cli("run", recipe_file(RECIPE))
    assert result.code == 0, result.err
    (run,) = tmp_path.glob("runs/*/*")
    lines = read_lines(run / "metrics.jsonl")
    epochs = [line for line in lines if line["kind"] == "epoch"]
    record = json.loads((run / "run.json").read_text())
    assert all(line["test/acc"] >= 0 and line["train/acc"] >= 0 for line in epochs)
    assert record["best"]["value"] == max(line["test/acc"] for line in epochs)
    assert record["test_accuracy"] == pytest.approx(epochs[-1]["test/acc"])
    assert f"{record['best']['value']:.4f}" in result.out
    seen = read_lines(run / "seen.jsonl")  # by either callback
    assert [one["test/acc"] for one in seen] == [epochs[0]["test/acc"]] * 2 + [epochs[1]["test/acc"]] * 2
    logged = read_lines(run / "logged.jsonl")  # by either tracker
    losses = [one.get("train/loss", one.get("train/loss_step")) for one in logged]
    assert losses == [line["train/loss"] for line in lines for _ in range(2)]
    losses = [json.loads((run / "analysis" / name / "result.json").read_text()) for name in ("history", "history_2")]
    assert [one["scalars"]["loss"] for one in losses] == [epochs[-1]["train/loss"]] * 2
    assert record["failed_analyzers"] == len(ARRAYS)
    assert result.err.count("read-only") == len(ARRAYS)


def test_a_transform_that_writes_into_its_image_leaves_the_dataset_alone(recipe_file):
    recipe = load_recipe(str(recipe_file(RECIPE)), ["data.train_transforms=[{use: black}]"]).recipe
    data = load_data(recipe)
    before = np.array(data.train.images)
    batch = next(build(recipe, data).training.training(0, 1))
    assert torch.equal(batch.images, batch.images[:1].expand_as(batch.images))  # it did paint
    np.testing.assert_array_equal(data.train.images, before)
