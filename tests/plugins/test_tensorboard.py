"""The TensorBoard tracker: its event files are read back by TensorBoard itself."""

import io
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from frame import (
    AnalyzerResult,
    Chart,
    DataInfo,
    LabelledImage,
    Picture,
    Series,
    Steps,
    Table,
    TrainingRun,
    UserError,
)
from frame_plugins.trackers.tensorboard_tracker import TensorBoard

TINY = Path(__file__).parents[1] / "framework" / "fixtures" / "tiny.yaml"
RECIPE = {"name": "tiny", "optimizer": {"use": "adam", "lr": 0.01}, "trackers": [{"use": "tensorboard"}]}


def training_run(folder: Path, **changes) -> TrainingRun:
    folder.mkdir(exist_ok=True)
    info = DataInfo(("cat", "dog"), (8, 8, 3), (0.5,) * 3, (0.5,) * 3, 64)
    fields = {
        "name": "tiny", "run_id": "20261123-142501-3f2a", "folder": folder, "recipe": RECIPE, "data": info,
        "steps": Steps(64, 32, 2), "model": None, "eval_model": None, "optimizers": [], "schedulers": [],
        "device": None, "warn": pytest.fail,
    }  # fmt: skip
    return TrainingRun(**fields | changes)


class Events:
    """What TensorBoard finds in a run's folder, all of it: without limits it thins out what is long."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray

        found = EventAccumulator(str(folder / "tensorboard"), dict.fromkeys(("scalars", "images", "tensors"), 0))
        found.Reload()
        tags = found.Tags()
        self.scalars = {tag: [(e.step, round(e.value, 6)) for e in found.Scalars(tag)] for tag in tags["scalars"]}
        self.images = {tag: found.Images(tag) for tag in tags["images"]}
        self.texts = {
            tag.removesuffix("/text_summary"): [(e.step, make_ndarray(e.tensor_proto)[0].decode()) for e in events]
            for tag, events in ((tag, found.Tensors(tag)) for tag in tags["tensors"])
        }

    def pixels(self, tag: str) -> np.ndarray:
        (event,) = self.images[tag]
        return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def result(*charts: Chart, rows: int = 2) -> AnalyzerResult:
    red = io.BytesIO()
    Image.new("RGB", (4, 2), "red").save(red, "png")
    pixels = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8, 1)
    return AnalyzerResult(
        "Mistakes",
        figures=(
            Picture("red", "Red", red.getvalue(), "Four by two."),
            *charts,
        ),
        tables=(Table("worst", "Worst", ("class", "n", "note"), [("a|b", i, None) for i in range(rows)], "By n."),),
        images=tuple(LabelledImage(image, i, "cat", "dog", 0.9, 2.25, f"{i}.png") for i, image in enumerate(pixels)),
        scalars={"errors": 4.0},
        notes=("No eel was found.",),
    )


def test_metrics_stand_over_the_steps(tmp_path):
    tracker = TensorBoard().build(training_run(tmp_path))
    tracker.log({"train/loss_step": 2.5, "lr": 0.1, "perf/images_per_s": 900.0}, epoch=0.5, step=1)
    tracker.log({"train/loss_step": 2.0, "lr": 0.2, "perf/images_per_s": 800.0}, epoch=1.0, step=2)
    tracker.log({"train/loss": 2.25, "test/acc": 0.5, "lr": 0.2, "perf/seconds": 3.0}, epoch=1, step=2)
    tracker.finish("finished")

    events = Events(tmp_path)
    assert events.scalars == {
        "train/loss_step": [(1, 2.5), (2, 2.0)],
        "train/loss": [(2, 2.25)],
        "test/acc": [(2, 0.5)],
        "lr": [(1, 0.1), (2, 0.2)],
        "epoch": [(1, 0.5), (2, 1.0)],
        "perf/images_per_s": [(1, 900.0), (2, 800.0)],
        "perf/seconds": [(2, 3.0)],
    }
    ((step, recipe),) = events.texts["recipe"]
    assert step == 0
    assert "optimizer:\n  use: adam\n  lr: 0.01\n" in recipe
    assert [status for _, status in events.texts["status"]] == ["finished"]


@pytest.mark.sharp
def test_results_are_images_text_and_scalars(tmp_path):
    run = training_run(tmp_path)
    tracker = TensorBoard(images=2).build(run)
    run.step = 4
    chart = Chart("curve", "Curve", "epoch", "loss", [Series("train", [1, 2], [2.0, 1.0])])
    tracker.log_result("errors", result(chart, rows=203))
    tracker.log_result("empty", AnalyzerResult("Empty"))
    tracker.finish("finished")

    events = Events(tmp_path)
    assert events.scalars["errors/errors"] == [(4, 4.0)]
    assert set(events.images) == {f"errors/{name}" for name in ("red", "curve", "labelled_images")}
    red = events.pixels("errors/red")
    assert red.shape == (2, 4, 3)
    assert (red == (255, 0, 0)).all()
    assert events.pixels("errors/curve").shape[1] == 1800
    grid = events.pixels("errors/labelled_images")  # two images of 8 x 8 and 2 pixels around them
    assert grid.shape == (12, 22, 3)
    assert (grid[2:10, 2:10, 0] == np.arange(64).reshape(8, 8)).all()
    ((_, facts),) = events.texts["errors/labelled_images"]
    assert facts.splitlines()[2:] == [
        "| 0 | cat | dog | 0.9 | 2.25 | 0.png |",
        "| 1 | cat | dog | 0.9 | 2.25 | 1.png |",
    ]
    ((_, worst),) = events.texts["errors/worst"]
    assert worst.startswith("### Worst\n\n| class | n | note |\n| --- | --- | --- |\n| a\\|b | 0 |  |\n")
    assert worst.endswith("| a\\|b | 199 |  |\n\n3 more rows are in the run's folder, in worst.csv.\n\nBy n.")
    ((_, about),) = events.texts["errors/about"]
    assert about.startswith("### Mistakes\n\nNo eel was found.\n\n**Red** Four by two.")
    assert events.texts["empty/about"] == [(4, "### Empty")]


def test_a_resumed_run_doubles_nothing(tmp_path):
    killed = TensorBoard().build(training_run(tmp_path))
    for step in (10, 20, 30, 40):  # the checkpoint is at step 20
        killed.log({"train/loss": 1.0, "test/acc": 0.1}, epoch=step / 10, step=step)
    killed.finish("failed")
    resumed = TensorBoard().build(training_run(tmp_path, resumed=True))
    for step in (30, 40, 50):
        resumed.log({"train/loss": 2.0, "test/acc": 0.2}, epoch=step / 10, step=step)
    resumed.finish("finished")

    events = Events(tmp_path)
    assert events.scalars["test/acc"] == [(10, 0.1), (20, 0.1), (30, 0.2), (40, 0.2), (50, 0.2)]
    assert [step for step, _ in events.scalars["train/loss"]] == [10, 20, 30, 40, 50]
    assert len(events.texts["recipe"]) == 1


def test_a_run_that_ended_in_its_analysis_keeps_its_metrics_and_doubles_no_result(tmp_path):
    for resumed in (False, True):
        run = training_run(tmp_path, resumed=resumed)
        tracker = TensorBoard().build(run)
        run.step = 40
        if not resumed:
            tracker.log({"test/acc": 0.1}, epoch=4, step=40)
        tracker.log_result("errors", result())
        tracker.finish("finished" if resumed else "interrupted")
    events = Events(tmp_path)
    assert [status for _, status in events.texts["status"]] == ["interrupted", "finished"]
    assert events.scalars["test/acc"] == [(40, 0.1)]
    assert events.scalars["errors/errors"] == [(40, 4.0)]
    assert all(len(found) == 1 for found in events.images.values())
    assert len(events.texts["errors/worst"]) == 1


def test_what_was_logged_is_soon_on_the_disk(tmp_path):
    tracker = TensorBoard(flush_s=0.05).build(training_run(tmp_path))
    tracker.log({"train/loss": 2.5}, epoch=0.5, step=1)
    deadline = time.monotonic() + 60
    while "train/loss" not in Events(tmp_path).scalars and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Events(tmp_path).scalars["train/loss"] == [(1, 2.5)]
    tracker.finish("finished")


@pytest.mark.parametrize("module", [None, ModuleType("tensorboard")], ids=["missing", "an empty folder"])
def test_without_the_package_the_error_says_so(tmp_path, monkeypatch, module):
    loaded = [name for name in sys.modules if name.startswith(("tensorboard.", "torch.utils.tensorboard"))]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", module)
    with pytest.raises(UserError, match=r"pip install 'frame-train\[tensorboard\]'"):
        TensorBoard().build(training_run(tmp_path))


def test_a_real_run_that_is_interrupted_and_resumed(cli, tmp_path):
    started = cli("run", TINY, "trackers=[{use: tensorboard}]", "callbacks=[{use: interrupt, step: 15}]")
    assert started.code == 130, started.err
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    assert Events(folder).texts["status"] == [(15, "interrupted")]
    assert cli("resume", folder).code == 0

    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    events = Events(folder)
    for kind, tag, key in (
        ("step", "train/loss_step", "train/loss"),
        ("epoch", "train/loss", "train/loss"),
        ("epoch", "test/acc", "test/acc"),
    ):
        wanted = [(line["step"], round(line[key], 4)) for line in lines if line["kind"] == kind]
        # Two event files of one second, as here, are read in the order of their names.
        assert sorted((step, round(value, 4)) for step, value in events.scalars[tag]) == wanted
    assert [status for _, status in events.texts["status"]] == ["interrupted", "finished"]
