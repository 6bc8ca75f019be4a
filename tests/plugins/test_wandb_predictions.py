"""The table of predictions at W&B: which images are chosen for it, and what its rows say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fakes.wandb_run import alone, analysis, labelled, read_offline, training_run
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.predictions import Selection, table

pytestmark = pytest.mark.usefixtures(alone.__name__)
FACTS = ["image", "index", "target", "predicted", "confidence", "loss", "source", "right", "found by"]


def test_one_table_of_predictions_merges_all_analyzers(tmp_path):
    run, _ = training_run(tmp_path / "run")
    logits = np.log(np.array([[0.9, 0.1]] * 8 + [[0.25, 0.75]] * 2, np.float32))
    save_file({"logits": logits, "targets": np.array([0, 1] * 5)}, run.folder / "predictions.safetensors")
    tracker = Wandb(mode="offline").build(run)
    tracker.log_result("errors", analysis(figures=(), tables=(), images=(labelled(9), labelled(7))))
    heats = ("deep · true cat", "deep · predicted dog")
    tracker.log_result("cam", analysis(figures=(), tables=(), images=(labelled(7, heats), labelled(8, heats[:1]))))
    tracker.finish("interrupted")

    log = read_offline(run.folder)
    (row,) = [row for row in log.history if "predictions" in row]
    assert row["predictions"]["nrows"] == 3
    entries = [entry for artifact in log.artifacts for entry in artifact.manifest.contents]
    (file,) = [Path(entry.local_path) for entry in entries if entry.path == "predictions.table.json"]
    found = json.loads(file.read_text())
    assert found["columns"] == [*FACTS, "p(cat)", "p(dog)", "deep · true", "deep · predicted"]
    assert [line[1:11] for line in found["data"]] == [
        [index, "cat", "dog", 0.9, 2.3, f"{index}.png", False, by, *shares]
        for index, by, shares in (
            (7, "errors, cam", (0.9, 0.1)), (8, "cam", (0.25, 0.75)), (9, "errors", (0.25, 0.75)),
        )
    ]  # fmt: skip
    assert [[cell and (cell["width"], cell["height"]) for cell in line[11:]] for line in found["data"]] == [
        [(128, 128), (128, 128)],
        [(128, 128), None],
        [None, None],
    ]
    about = log.summary["predictions/notes"]
    assert about.startswith("A selection: 3 of the 10 test images, those that errors, cam show. Rows with")
    assert about in (log.files / row["predictions/about"]["path"]).read_text()


def images(target, predicted, first, count, heats=()):
    return [replace(labelled(first + i, heats), target=target, predicted=predicted) for i in range(count)]


def test_analyzers_and_classes_share_the_rows_and_those_with_maps_come_first():
    selection = Selection(8)
    selection.add("many", images("cat", "dog", 0, 40) + images("dog", "cat", 40, 40) + images("dog", "dog", 80, 2))
    selection.add("few", images("eel", "cat", 100, 1))
    selection.add("maps", images("cat", "dog", 2, 1, ["deep"]) + images("eel", "eel", 200, 20, ["deep"]))
    selection.add("none", [])
    chosen = selection.chosen()
    # Taken were: 2 and 100 (2 is of `maps` too), 0 and 200, 40 and 201, 80 and 202.
    assert [item.index for item in chosen] == [2, 200, 201, 202, 100, 0, 40, 80]
    about = selection.about(chosen, 500)
    assert about.startswith("A selection: 8 of the 500 test images, those that many, few, maps show. They show 103;")
    assert "table_images allows 8" in about
    assert about.endswith(
        "Rows with activation maps come first. It is no sample: shares of it say nothing of the test set."
    )


def test_no_images_make_no_table():
    assert Selection(8).chosen() == []
    none = Selection(0)
    none.add("errors", images("cat", "dog", 0, 3))
    assert none.chosen() == []


def test_of_many_classes_the_likeliest_are_told():
    classes = [f"c{number}" for number in range(30)]
    shares = np.full((4, 30), 0.01)
    shares[3, [7, 2, 9]] = 0.5, 0.125, 0.105
    selection = Selection(2)
    selection.add("errors", images("c2", "c7", 3, 1) + images("c2", "c7", 99, 1))
    made = table(selection, selection.chosen(), shares, classes)
    assert made.columns == [*FACTS, "p(target)", "top 5"]
    assert made.data[0][9:] == [0.125, "c7 50.0%, c2 12.5%, c9 10.5%, c29 1.0%, c28 1.0%"]
    assert made.data[1][9:] == [None, None]  # no such test image: the analyzer's own number
