"""No step waits for the device: between two readings of the loss, nothing reads a value back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

FIXTURES = Path(__file__).parent / "fixtures"
STEPS = 9
"""Steps that are watched: those after the first, before the first reading."""
TRANSFORMS = (
    "{use: random_crop}, {use: random_crop, mode: reflect, padding: 2}, {use: random_flip, alternate: true}, "
    "{use: cutout}, {use: cutmix}, {use: mixup}"
)
RECIPE = f"""
extends: {FIXTURES / "tiny.yaml"}
name: tiny
plugins: [{FIXTURES / "helpers.py"}, {FIXTURES / "syncs.py"}]
data:
  train_transforms: [{TRANSFORMS}]
model: {{norm: true}}
optimizer: {{use: sgd}}
scheduler: {{use: one_cycle, max_lr: 0.01}}
callbacks: [{{use: ema, decay: 0.9}}, {{use: find_syncs}}]
train: {{epochs: 1, log_every: 11, clip_grad_norm: 1}}
"""


def syncs(cli, recipe_file, folder: Path, *settings: str) -> dict[str, int]:
    """Run the recipe; return what read a value back during its steps, and how often."""
    result = cli("run", recipe_file(RECIPE), *settings)
    assert result.code == 0, result.err
    (found,) = (folder / "runs" / "tiny").glob("*/syncs.json")
    watched = json.loads(found.read_text())
    assert watched["calls"] > 50 * STEPS
    return watched["syncs"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_step_reads_a_value_back(cli, recipe_file, tmp_path, precision, optimizer):
    settings = (f"train.precision={precision}", f"optimizer.use={optimizer}", "train.device=cpu")
    assert syncs(cli, recipe_file, tmp_path, *settings) == {}


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("item", "_local_scalar_dense"),
        ("if", "_local_scalar_dense"),
        ("mask", "index by a mask"),
        ("nonzero", "nonzero"),
    ],
)
def test_a_step_that_reads_a_value_back_is_found(cli, recipe_file, tmp_path, how, name):
    planted = (f"loss={{use: reads_back, how: {how}}}", "data.train_transforms=[]", "train.device=cpu")
    assert syncs(cli, recipe_file, tmp_path, *planted)[name] == STEPS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_step_waits_for_a_gpu(cli, recipe_file, tmp_path, precision):
    assert syncs(cli, recipe_file, tmp_path, f"train.precision={precision}", "train.device=cuda") == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_step_that_waits_for_a_gpu_is_found(cli, recipe_file):
    planted = ("loss={use: reads_back}", "data.train_transforms=[]", "train.device=cuda")
    result = cli("run", recipe_file(RECIPE), *planted)
    torch.cuda.set_sync_debug_mode("default")
    assert (result.code, "synchroniz" in result.err) == (1, True)
