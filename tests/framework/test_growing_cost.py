"""What grows with a training's length is bounded: the page's share of the time, its size, and what it is made from."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from frame import AnalyzerResult, Chart, Mark, Series, Table
from frame.analysis.after_training import explain_so_far
from frame.analysis.analyze import save_result
from frame.recipe.load import load_recipe
from frame.report.thinning import POINTS, course, evenly
from frame.rundir.folder import RunDir, write_json
from frame.training.throttle import Throttle

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_gets_dearer_keeps_to_its_share_of_the_time():
    clock, done = Clock(), []
    throttle = Throttle(0.05, clock)
    began = clock.now

    def page() -> None:
        clock.now += 0.001 * epoch  # as a page that is longer with every epoch
        done.append(epoch)

    for epoch in range(1, 3001):
        clock.now += 0.1
        throttle(page, must=epoch <= 3)
        spent = 0.001 * sum(done)
        assert spent <= 0.05 * (clock.now - began) + 0.001 * epoch
    assert done[:3] == [1, 2, 3]
    assert 3000 - done[-1] < 300  # and it does go on
    assert sum(done) < sum(range(3001)) / 10


def test_a_long_line_keeps_its_ends_and_every_extreme():
    rng = np.random.default_rng(0)
    y = [float(value) for value in rng.normal(size=20_000)]
    y[7_003], y[15_001], y[15_002] = 50.0, -50.0, -50.0
    y[100], y[200], y[300] = math.nan, None, math.inf
    places = course(y)
    assert len(places) <= POINTS
    assert places == sorted(set(places))
    assert {0, 19_999, 7_003, 15_001} <= set(places)
    assert not {100, 200, 300} & set(places)
    assert course(y[:POINTS]) == list(range(POINTS))
    assert course([math.nan] * 5000) == [0, 4999]


def test_rows_are_spaced_evenly_with_both_ends_and_what_is_asked_for():
    assert evenly(5, 9, 3) == [0, 1, 2, 3, 4]
    assert evenly(1001, 11, 7) == [0, 7, *range(100, 1001, 100)]
    assert len(evenly(3000, 500)) == 500


@pytest.fixture
def long(tmp_path) -> RunDir:
    """A run of 4,000 epochs, as it stands while the next one goes on; the best epoch is 1,238."""
    folder = RunDir(tmp_path / "run")
    folder.analysis.mkdir(parents=True)
    known = {"id": "run", "name": "long", "state": "running", "started": "2026-11-23T10:00:00+00:00", "epochs": 5000}
    best = {"metric": "test/acc", "value": 0.99, "epoch": 1238}
    write_json(folder.record, known | {"best": best})
    lines = []
    for epoch in range(1, 4001):
        values = {"train/loss": 1 / epoch, "train/acc": 0.5, "test/loss": 2 / epoch, "test/acc": 0.5}
        if epoch == best["epoch"]:
            values["test/acc"] = best["value"]
        lines.append(json.dumps({"kind": "epoch", "epoch": epoch, "step": epoch, "lr": 0.1, **values}) + "\n")
    folder.metrics.write_text("".join(lines))
    return folder


def charts(page: str) -> dict:
    found = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["charts"]
    return {chart["name"]: chart for chart in found.values()}


def test_the_page_of_a_long_run_is_short_and_says_what_it_leaves_out(cli, long):
    explain_so_far(load_recipe(str(TINY), ["analyzers=[{use: curves}]"]).recipe, long)
    assert (long.analysis / "curves/result.json").stat().st_size < 400_000  # of about 3 MB
    assert cli("report", long.path).code == 0
    page = long.report.read_text()
    assert len(page) < 700_000
    assert "<dt>Epochs</dt><dd>4,000 of 5,000<small>" in page  # of a run that was killed: no process has its folder
    assert "501 of 4,000 epochs, evenly spaced, with the first, the last and the best; all are in" in page
    assert [f"<tr><td>{epoch}</td>" in page for epoch in (1, 2, 1238, 4000)] == [True, False, True, True]
    chart = charts(page)["acc_epochs"]
    held = next(series for series in chart["series"] if series["name"] == "test, as logged")
    assert len(held["x"]) <= POINTS
    assert dict(zip(held["x"], held["y"], strict=True))[1238] == 0.99
    assert {1, 4000} <= set(held["x"])
    assert re.search(r"in epoch 1238\. Of [\d,]+ points [\d,]+ are shown: the first, the last, and", chart["caption"])


def test_a_long_table_is_cut_in_the_page_and_whole_in_its_file(cli, long):
    rows = [(number, f"name {number}") for number in range(2500)]
    (long.analysis / "names").mkdir()
    save_result(long.analysis / "names", 0, AnalyzerResult("Names", tables=(Table("all", "All", ("a", "b"), rows),)))
    assert cli("report", long.path).code == 0
    page = long.report.read_text()
    assert "The first 1,000 of 2,500 rows; all are in the run's folder, in analysis/*/all.csv." in page
    assert ("name 999<" in page, "name 1000<" in page) == (True, False)
    assert len((long.analysis / "names/all.csv").read_text().splitlines()) == 2501


def test_points_and_bars_are_not_thinned(tmp_path):
    x = list(range(3000))
    series = [Series("a", x, x, kind="points"), Series("b", x, x, kind="bars"), Series("c", x, x)]
    save_result(tmp_path, 0, AnalyzerResult("A", figures=(Chart("a", "A", "x", "y", series),)), draw=False)
    (chart,) = json.loads((tmp_path / "result.json").read_text())["figures"]
    assert [len(line["x"]) for line in chart["series"]] == [3000, 3000, POINTS - 2]  # its ends are extremes


def test_points_and_marks_that_have_no_place_in_a_chart_are_left_out_and_the_page_shows_the_rest(cli, long):
    series = [Series("a", [1, math.nan, math.inf, 4], [1, 2, 3, math.nan])]
    chart = Chart("a", "A", "x", "y", series, marks=[Mark(math.nan, "nowhere"), Mark(4, "here")])
    place = long.analysis / "gaps"
    place.mkdir()
    save_result(place, 0, AnalyzerResult("Gaps", figures=(chart,)), draw=False)
    assert cli("report", long.path).code == 0
    shown = charts(long.report.read_text())["a"]
    assert (shown["series"][0]["x"], shown["series"][0]["y"]) == ([1, 4], [1, None])
    assert [mark["label"] for mark in shown["marks"]] == ["here"]


def test_a_result_of_an_earlier_version_with_every_point_is_thinned_and_one_without_end_left_out(cli, long):
    place = long.analysis / "curves"
    place.mkdir()
    x = list(range(50_000))
    save_result(
        place, 0, AnalyzerResult("Curves", figures=(Chart("a", "A", "x", "y", [Series("a", x, x)]),)), draw=False
    )
    result = json.loads((place / "result.json").read_text())
    chart = result["figures"][0]
    chart["series"][0] |= {"x": x, "y": x}
    chart["caption"] = "All of it."
    write_json(place / "result.json", result)
    shutil.copytree(place, long.analysis / "huge")
    with (long.analysis / "huge/result.json").open("a") as file:
        file.truncate(100 * 10**6)  # sparse: 100 MB
    done = cli("report", long.path)
    assert done.code == 0
    assert "huge/result.json: damaged: it has more than 33,554,432 bytes" in done.err
    page = long.report.read_text()
    assert len(charts(page)["a"]["series"][0]["x"]) <= POINTS
    assert charts(page)["a"]["caption"].startswith("All of it. Of 50,000 points 998 are shown: ")
    assert '<h2 id="huge">' not in page


def test_a_run_of_many_short_epochs_ends_with_a_whole_page(cli, tmp_path):
    """Its first epochs are shown at once; the page of its end, and of an interruption, has every epoch."""
    settings = ["train.epochs=12", "data.test_fraction=0.9", "analyzers=[{use: curves}]"]
    stop = "callbacks=[{use: keeps_pages}, {use: interrupt, epoch: 8}]"
    assert cli("run", TINY, *settings, stop).code == 130
    (run,) = (tmp_path / "runs/tiny").iterdir()
    for epoch in (1, 2, 3):
        assert f"{epoch} of 12 epochs are done" in (run / f"page{epoch}.html").read_text()
    losses = charts((run / "report.html").read_text())["loss_epochs"]["series"][0]
    assert losses["x"] == list(range(1, 9))
    assert cli("resume", run).code == 0
    page = (run / "report.html").read_text()
    assert charts(page)["loss_epochs"]["series"][0]["x"] == list(range(1, 13))
    assert "still training" not in page
    assert "<tr><td>12</td>" in page
