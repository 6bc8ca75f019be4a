"""Runs that go wrong: the message, the exit code, and what is kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frame.rundir.checkpoints import load_last
from frame.rundir.folder import RunDir
from frame.rundir.history import read_lines

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "tiny").iterdir()
    return run


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def test_a_loss_that_is_no_number_stops_the_run_with_step_rate_and_advice(cli, tmp_path):
    result = cli("run", TINY, "train.epochs=3", "optimizer={use: sgd, lr: 0.1}", "callbacks=[{use: spike}]")
    assert result.code == 1
    run = only_run(tmp_path)
    (line,) = result.err.splitlines()
    assert "the training loss became" in line
    assert "at step" in line
    assert "at a learning rate of 1e+30" in line
    assert "Try a lower learning rate" in line
    assert record(run)["state"] == "failed"
    assert "the training loss became" in (run / "report.html").read_text()
    kept = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert kept["epoch"] == 1
    assert all(torch.isfinite(tensor).all() for tensor in kept["model"].values())


def test_an_analyzer_that_fails_is_named_and_loses_nothing_else(cli, tmp_path):
    result = cli("run", TINY, "analyzers=[{use: fails}, {use: meddles}, {use: confusion, pairs: 0}]")
    assert result.code == 0
    assert "warning: analyzer 'fails' failed: RuntimeError: no such luck" in result.err
    run = only_run(tmp_path)
    assert record(run)["failed_analyzers"] == 1
    assert "RuntimeError: no such luck" in (run / "analysis" / "fails" / "error.txt").read_text()
    page = (run / "report.html").read_text()
    assert "This analyzer failed: RuntimeError: no such luck" in page
    assert (run / "analysis" / "confusion" / "confusion.png").is_file()


def test_an_analyzer_that_runs_the_model_says_so(cli, tmp_path):
    result = cli("run", TINY, "analyzers=[{use: sneaks}]")
    assert result.code == 0
    assert "analyzer 'sneaks' failed: RuntimeError: this analyzer runs the model without declaring it" in result.err


def test_a_tracker_that_fails_is_named_once_and_still_told_to_finish(cli, tmp_path):
    result = cli("run", TINY, "trackers=[{use: broken}]")
    assert result.code == 0
    assert result.err.count("tracker 'broken' failed") == 1
    assert "ConnectionError: server gone" in result.err
    run = only_run(tmp_path)
    assert (run / "finished.txt").read_text() == "finished"
    assert len([line for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch"]) == 2


def test_two_trackers_of_one_kind_are_refused(cli):
    result = cli("validate", TINY, "trackers=[{use: broken}, {use: tensorboard}, {use: broken}]")
    assert result.code == 2
    message = "trackers: has 'broken' twice, and both would write the same files; leave one out"
    assert f"error: command line: {message}" in result.err


def test_a_model_with_other_outputs_than_classes_is_refused_before_anything_is_written(cli, tmp_path):
    result = cli("run", TINY, "model.extra=3")
    assert result.code == 2
    assert (
        "model 'tiny' answers 2 images with a tensor of shape (2, 13); the data's 10 classes need (2, 10)" in result.err
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_transform_that_does_not_fit_the_images_is_named_before_anything_is_written(cli, tmp_path, workers):
    crop = "data.train_transforms=[{use: albumentations, pipeline: [{use: RandomCrop, height: 64, width: 64}]}]"
    result = cli("run", TINY, crop, f"data.workers={workers}")
    assert result.code in (1, 2)
    assert "RandomCrop" in result.err or "Crop" in result.err
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_missing_data_says_what_to_put_where(cli, tmp_path):
    result = cli("run", TINY, "data.use=cifar10", "data.root=nowhere", "data.train_transforms=[]")
    assert result.code == 2
    assert "c58f30108f718f92721af3b95e74349a" in result.err
    assert "cifar-10-python.tar.gz" in result.err
    assert "FRAME_DATA_DIR" in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "runs").exists()


def image_tree(root: Path, size: int = 32) -> None:
    for split in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for index in range(3):
                pixels = np.full((size, size, 3), 40 * index + 100 * number, dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")


def test_an_image_that_cannot_be_read_is_named(cli, tmp_path):
    image_tree(tmp_path / "pets")
    (tmp_path / "pets" / "train" / "dog" / "1.png").write_bytes(b"no image")
    result = cli("run", TINY, "data.use=image_folder", "data.root=pets")
    assert result.code == 2
    assert "train/dog/1.png" in result.err
    assert "Traceback" not in result.err


def test_images_that_are_read_one_by_one_cannot_stay_on_the_device(cli, tmp_path):
    result = cli("run", TINY, "data.use=lazy_digits", "data.pipeline=device")
    message = "device needs images that are one array, and 'lazy_digits' reads them one by one; take auto"
    assert (result.code, result.err) == (2, f"error: data.pipeline: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_no_classes_is_an_error(cli, tmp_path):
    (tmp_path / "pets" / "train").mkdir(parents=True)
    (tmp_path / "pets" / "test").mkdir()
    result = cli("run", TINY, "data.use=image_folder", "data.root=pets")
    assert result.code == 2
    assert "class" in result.err


def test_too_few_images_for_a_batch(cli, tmp_path):
    image_tree(tmp_path / "pets")
    result = cli("run", TINY, "data.use=image_folder", "data.root=pets", "data.size=32", "data.drop_last=true")
    assert result.code == 2
    assert "an epoch has no batch: 6 training images, batches of 128" in result.err


def test_an_unwritable_out_folder(cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in ("file", "file/below"):
        result = cli("run", TINY, "--out", out)
        assert result.code == 2
        assert "file" in result.err
        assert "Traceback" not in result.err


def test_a_device_that_is_not_there(cli, tmp_path):
    result = cli("run", TINY, "train.device=cuda:9")
    assert result.code == 2
    assert "train.device: cuda:9 is not there" in result.err


@pytest.mark.parametrize("size", ["180k", "230k"], ids=["at a checkpoint", "at a metrics line"])
def test_a_full_disk_fails_the_run_and_keeps_what_was_saved(frame, tmp_path, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")
    try:
        result = frame("run", TINY, "train.epochs=400", "train.log_every=1", "--out", disk)
        assert result.returncode == 1
        assert "No space left on device" in result.stderr
        assert "Traceback" not in result.stderr
        (run,) = (disk / "tiny").iterdir()
        state, notes = load_last(RunDir(run))
        assert state is not None
        assert state["epoch"] >= 0
        assert notes == []
        assert not list(run.rglob("*.tmp"))
        assert read_lines(run / "metrics.jsonl")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_second_ctrl_c_is_not_needed_and_the_first_is_quiet(frame, tmp_path):
    result = frame("run", TINY, "callbacks=[{use: interrupt, step: 3}]")
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
    assert "continue with: frame resume runs/tiny/" in result.stdout
    assert record(only_run(tmp_path))["state"] == "interrupted"


def test_a_bug_in_a_plugin_is_reported_with_its_place_and_its_traceback_is_kept(cli, tmp_path):
    plugin = tmp_path / "buggy.py"
    plugin.write_text(
        "from frame import Callback, CallbackComponent, hookimpl\n"
        "class Buggy(CallbackComponent):\n"
        "    def build(self, run):\n"
        "        class Inner(Callback):\n"
        "            def on_epoch_end(self, metrics):\n"
        "                return metrics['nothing/like/it']\n"
        "        return Inner()\n"
        "@hookimpl\n"
        "def frame_components():\n"
        "    return {'buggy': Buggy}\n"
    )
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"extends: {TINY}\nplugins: [./buggy.py]\ncallbacks: [{{use: buggy}}]\n")
    result = cli("run", recipe)
    assert result.code == 1
    assert "KeyError: 'nothing/like/it'" in result.err
    assert "Traceback" not in result.err
    assert "on_epoch_end" in (only_run(tmp_path) / "error.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_out_folder(cli, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    result = cli("run", TINY, "--out", locked)
    assert result.code == 2
    assert "Permission denied" in result.err
