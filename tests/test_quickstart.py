"""The README's first command, as a user runs it: a process of its own, all the way to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
def test_the_quickstart_reaches_97_percent_and_leaves_everything_there_is_to_see(frame, tmp_path):
    result = frame("run", "quickstart", timeout=850)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    (run,) = (tmp_path / "runs" / "quickstart").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert record["test_accuracy"] >= 0.97
    assert record["failed_analyzers"] == 0
    right = record["test_accuracy"] == 1  # with some processors, some numbers of threads
    pictures = {path.relative_to(run / "analysis").as_posix() for path in (run / "analysis").glob("*/*.png")}
    assert pictures >= {
        "samples/samples.png",
        "lr_finder_curve/lr_finder.png",
        "curves/loss_epochs.png",
        "curves/loss_steps.png",
        "curves/acc_epochs.png",
        "curves/acc_steps.png",
        "curves/lr.png",
        "curves/grad_norm.png",
        "confusion/confusion.png",
        "correct/correct.png",
        "grad_cam/grad_cam_correct.png",
    }
    of_mistakes = {"misclassified.png", "grad_cam_misclassified.png", "grad_cam_overlays.png", "confused_pairs.png"}
    drawn = {Path(picture).name for picture in pictures} & of_mistakes
    assert drawn == (set() if right else of_mistakes)
    assert (", without a mistake (" in result.stdout) == right
    assert ("model_graph/graph.png" in pictures) == bool(shutil.which("dot"))
    assert (run / "analysis" / "model_summary" / "layers.csv").is_file()
    page = (run / "report.html").read_text()
    places = ("<img", "<div data-thumbnails=", "data-chart=", 'class="matrix')
    assert sum(map(page.count, places)) == len(pictures)
    assert len(page) < 3_000_000
    assert list((run / "wandb").rglob("*.wandb"))  # no key: kept offline
