"""Data workers that die, images that cannot be read, memory that runs out: the message, and how the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from fakes.faulty_run import FAULTY, only_run, record
from frame.rundir.history import read_lines

LAZY = ("data.use=lazy_folder", "data.root=pets", "data.batch_size=4", "train.epochs=3")


def image_tree(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 7), ("test", 3)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")


SHORT = """
from frame import DatasetComponent, DataSplits, Split, hookimpl


class Short(DatasetComponent):
    def build(self, root):
        import numpy as np

        images, targets = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4) % 2
        train, test = Split(images, targets, ["a", "b", "c"]), Split(images, targets[:3])
        return DataSplits(train, test, ("cat", "dog"), (8, 8, 3), (0.5,) * 3, (0.3,) * 3)


@hookimpl
def frame_components():
    return {"short": Short}
"""


def shell(command: str, epoch: int = 1) -> str:
    return f"callbacks=[{{use: shell, epoch: {epoch}, command: '{command}'}}]"


def transform(how: str) -> str:
    return f"data.train_transforms=[{{use: dies, file: now, how: {how}}}]"


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_a_data_worker_that_dies_ends_the_run_which_can_go_on_without_workers(cli, tmp_path, how):
    result = cli("run", FAULTY, "train.epochs=3", "data.workers=2", transform(how), shell("touch now"))
    assert result.code == 1
    run = only_run(tmp_path)
    (line,) = result.err.splitlines()
    assert re.match(r"error: a data worker \(process [0-9, ]+\) died( \(Killed\))?\. Mostly memory", line)
    kept = run.relative_to(tmp_path)
    assert "data.workers=0 (now 2) or fewer need less and change no result. Continue with: " in line
    assert f"frame resume {kept} data.workers=0" in line
    assert "smaller data.batch_size (now 128)" in line
    assert record(run)["state"] == "failed"
    (tmp_path / "now").unlink()
    assert cli("resume", run, "data.workers=0").code == 0
    assert [line["epoch"] for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch"] == [1, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_transform_raises_in_the_middle_is_one_line(cli, tmp_path, workers):
    result = cli("run", FAULTY, f"data.workers={workers}", transform("raise"), shell("touch now"))
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "error: transform 'dies' failed: ValueError: no such colour (" in line
    assert "faulty.py:" in line


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_any_more_stops_the_run_until_it_is_put_right(cli, tmp_path, workers):
    image_tree(tmp_path / "pets")
    whole = tmp_path / "pets" / "train" / "dog" / "1.png"
    content = whole.read_bytes()
    result = cli("run", FAULTY, *LAZY, f"data.workers={workers}", shell("echo x > pets/train/dog/1.png"))
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "pets/train/dog/1.png: cannot be used: not an image. Put it right and continue with frame resume" in line
    assert "data.unreadable=skip" in line
    whole.write_bytes(content)
    run = only_run(tmp_path)
    assert cli("resume", run).code == 0
    assert record(run)["state"] == "finished"
    assert "skipped_images" not in record(run)


LOST = "image number 3: cannot be read: OSError: [Errno 5] Input/output error"


def test_skipped_images_are_counted_alike_with_workers_and_over_an_interruption(cli, tmp_path):
    data = "data={use: flaky, lost: [3, 17], batch_size: 4, unreadable: skip, train_transforms: [{use: random_crop}]}"
    settings = (data, "train.epochs=3", "train.accumulate=3", "train.log_every=1")
    lose = shell("touch lost")
    stop_in_the_third_epoch = lose[:-1] + ", {use: interrupt, step: 9}]"  # of 4 steps an epoch
    ways = {"plain": (lose, 0), "workers": (lose, 2), "interrupted": (stop_in_the_third_epoch, 0)}
    for way, (callbacks, workers) in ways.items():
        (tmp_path / "lost").unlink(missing_ok=True)
        result = cli("run", FAULTY, *settings, callbacks, f"data.workers={workers}", "--out", way)
        lines = result.err.splitlines()
        assert len(lines) == 2
        assert f"warning: {LOST}; it is left out" in lines
        if way == "interrupted":
            assert result.code == 130
            (run,) = (tmp_path / way / "faulty").iterdir()
            result = cli("resume", run)
            assert result.err == ""  # they have been named
        assert result.code == 0
        assert "skipped   2 training images that could not be read" in result.out
    runs = [next((tmp_path / way / "faulty").iterdir()) for way in ways]
    assert [record(run)["skipped_images"] for run in runs] == [2, 2, 2]
    assert "Images left out</dt><dd>2<" in (runs[0] / "report.html").read_text()
    for name in ("model.safetensors", "metrics.jsonl"):
        assert len({(run / name).read_bytes() for run in runs}) == 1


def test_a_batch_that_lost_an_image_weighs_as_planned(cli, tmp_path):
    data = "data={use: flaky, lost: [0, 17, 30], batch_size: 4, unreadable: skip, train_transforms: []}"
    settings = (data, "train.epochs=1", "train.accumulate=3", "loss.use=pull", "optimizer={use: sgd, lr: 1}")
    biases = []
    for out in ("whole", "less"):
        assert cli("run", FAULTY, *settings, "--out", out).code == 0
        (run,) = (tmp_path / out / "faulty").iterdir()
        biases.append(load_file(run / "model.safetensors")["7.bias"].tolist())
        (tmp_path / "lost").touch()
    assert record(run)["skipped_images"] == 3
    assert biases[0] == biases[1]
    assert biases[0][0] < -3  # four steps of 1


def test_only_the_first_images_that_are_skipped_are_named(cli, tmp_path):
    image_tree(tmp_path / "pets")
    most = shell("for i in 0 1 2 3; do for c in cat dog; do echo > pets/train/$c/$i.png; done; done")
    result = cli("run", FAULTY, *LAZY, "data.batch_size=14", "data.unreadable=skip", most)
    assert result.code == 0
    assert result.err.count("it is left out") == 5
    assert result.err.count("further images that cannot be read are counted only") == 1
    assert record(only_run(tmp_path))["skipped_images"] == 8


def test_a_batch_of_which_nothing_is_left_stops_the_run(cli, tmp_path):
    image_tree(tmp_path / "pets")
    lose_all = shell("for image in pets/train/*/*; do echo > $image; done")
    result = cli("run", FAULTY, *LAZY, "data.unreadable=skip", lose_all)
    assert result.code == 1
    assert f"error: none of a batch's 4 images can be read; the first: {tmp_path}/pets/train/" in result.err


def test_a_test_image_that_cannot_be_read_stops_the_run_always(cli, tmp_path):
    image_tree(tmp_path / "pets")
    result = cli("run", FAULTY, *LAZY, "data.unreadable=skip", shell("echo x > pets/test/dog/1.png"))
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "pets/test/dog/1.png: cannot be used: not an image. Put it right" in line
    assert "results over fewer images do not compare" in line


@pytest.mark.parametrize("use", ["image_folder", "lazy_folder"])
def test_an_image_that_is_cut_off_means_the_same_however_much_data_there_is(cli, tmp_path, use):
    image_tree(tmp_path / "pets")
    cut = tmp_path / "pets" / "train" / "cat" / "0.png"
    content = cut.read_bytes()
    cut.write_bytes(content[:-200])  # its header is whole: of much data, only the statistics notice it at the start
    settings = (FAULTY, f"data.use={use}", *LAZY[1:], "analyzers=[{use: samples, count: 14}]")
    stopped = cli("run", *settings)
    assert stopped.code == 2
    assert stopped.err.splitlines()[0] == (
        "error: data: 1 of 14 training images cannot be used; replace them or take them out, or leave them out with "
        "data.unreadable=skip:"
    )
    assert f"error: data: {cut}: cannot be used: " in stopped.err
    result = cli("run", *settings, "data.unreadable=skip")
    assert result.code == 0, result.err
    (line,) = result.err.splitlines()
    assert line.startswith(f"warning: {cut}: cannot be used: ")
    assert "skipped   1 training image that could not be read" in result.out
    run = only_run(tmp_path)
    assert record(run)["skipped_images"] == 1
    assert "1 of the samples that were drawn cannot be read" in (run / "analysis/samples/result.json").read_text()
    (tmp_path / "pets" / "test" / "dog" / "1.png").write_text("x")
    result = cli("run", *settings, "data.unreadable=skip")
    assert result.code == 2
    assert "1 of 6 test images cannot be used; replace them or take them out:" in result.err


def test_the_same_run_whether_images_are_in_memory_or_not(cli, tmp_path):
    image_tree(tmp_path / "pets")
    (tmp_path / "pets" / "train" / "cat" / "3.png").write_text("x")
    size = {"image_folder": ("data.size=16",), "lazy_folder": ()}
    runs = []
    for use, more in size.items():
        settings = (FAULTY, f"data.use={use}", *LAZY[1:], "data.unreadable=skip", *more, "--out", use)
        assert cli("run", *settings).code == 0
        (run,) = (tmp_path / use / "faulty").iterdir()
        runs.append(run)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert len({(run / name).read_bytes() for run in runs}) == 1


def test_a_split_whose_parts_are_of_different_lengths_is_refused(cli, tmp_path):
    (tmp_path / "short.py").write_text(SHORT)
    (tmp_path / "short.yaml").write_text(f"extends: {FAULTY}\nplugins: [./short.py]\ndata: {{use: short}}\n")
    done = cli("run", "short.yaml")
    assert done.code == 2
    assert done.err.splitlines() == [
        "error: data: 'short': its training part has 4 images and 3 sources: it needs as many, or none",
        "error: data: 'short': its test part has 4 images and 3 targets: it needs one an image",
    ]


TRAINING = "lower data.batch_size (now 128; half of it with train.accumulate=2 takes the same steps)"
EVALUATION = "lower data.eval_batch_size (now 500)"
REST = ", take train.precision=bf16 (now fp32) or a smaller model (greedy)"


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("build", f"error: out of memory (32,768.00 GiB were asked for): {TRAINING}{REST}"),
        ("train", f"error: out of memory (32,768.00 GiB were asked for): {TRAINING}{REST}"),
        ("eval", f"error: out of memory in evaluation (32,768.00 GiB were asked for): {EVALUATION}{REST}"),
    ],
)
def test_memory_that_runs_out_says_what_to_lower(cli, tmp_path, at, says):
    result = cli("run", FAULTY, f"model={{use: greedy, at: {at}}}")
    assert result.code == 1
    assert result.err.splitlines() == [says]
    assert (tmp_path / "runs").exists() == (at != "build")


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_that_runs_out_in_a_transform_says_what_to_lower(cli, tmp_path, workers):
    result = cli("run", FAULTY, f"data.workers={workers}", transform("memory"), shell("touch now"))
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "error: out of memory (1.00 PiB were asked for): lower data.batch_size (now 128" in line
