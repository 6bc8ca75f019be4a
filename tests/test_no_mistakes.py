"""What a run shows where the model makes no mistake, and where mistakes are certain, whatever the processor."""

from __future__ import annotations

import json
from pathlib import Path

GREYS = Path(__file__).parent / "framework" / "fixtures" / "greys.yaml"
OF_MISTAKES = {
    "confusion/confused_pairs.png",
    "misclassified/misclassified.png",
    "grad_cam/grad_cam_misclassified.png",
    "grad_cam/grad_cam_overlays.png",
}


def results(run: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in run.glob("analysis/*/result.json")}


def pictures(run: Path) -> set[str]:
    return {path.relative_to(run / "analysis").as_posix() for path in run.glob("analysis/*/*.png")}


def test_a_run_without_a_mistake_says_so_and_misses_nothing(cli, tmp_path):
    done = cli("run", GREYS)
    assert (done.code, done.err) == (0, "")
    assert "result    test accuracy 100.00%, without a mistake (" in done.out
    (run,) = (tmp_path / "runs" / "greys").iterdir()
    none = "The model made no mistake on the test images"
    found = results(run)
    assert found["misclassified"]["notes"] == found["grad_cam"]["notes"] == [f"{none}: there is none to show."]
    assert not pictures(run) & OF_MISTAKES
    page = (run / "report.html").read_text()
    assert page.count(none) == 3  # the third is the table of confused pairs
    assert "It has no rows." not in page
    places = ("<img", "<div data-thumbnails=", "data-chart=", 'class="matrix')
    assert sum(map(page.count, places)) == len(pictures(run))


def test_a_run_whose_mistakes_are_certain_shows_each(cli, tmp_path):
    done = cli("run", GREYS, "data.mislabelled=3")
    assert (done.code, done.err) == (0, "")
    assert "result    test accuracy 97.00% (" in done.out
    (run,) = (tmp_path / "runs" / "greys").iterdir()
    found = results(run)
    assert [image["index"] for image in sorted(found["misclassified"]["images"], key=lambda one: one["index"])] == [
        0,
        1,
        2,
    ]
    assert pictures(run) >= OF_MISTAKES
    assert "made no mistake" not in (run / "report.html").read_text()
