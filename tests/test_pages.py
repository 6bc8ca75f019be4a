"""The pages of several runs in a real browser: of a sweep, of a repeat, and of a comparison."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from statistics import mean, stdev
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from safetensors.numpy import load_file, save_file

from frame.api.results import Chart, Series
from frame.report.comparison import compare
from frame.report.comparison.repeats import Repeat, spread, with_spread, write_repeat
from frame.rundir.folder import open_run, write_json
from frame.sweep.page import write_page
from frame.sweep.record import Record, Trial
from test_report import ANALYZERS, SETTINGS, TINY

POINTS = [(0.001, "relu"), (0.003, "relu"), (0.01, "relu"), (0.001, "gelu"), (0.003, "gelu"), (0.01, "gelu")]
SPACE = {"optimizer.lr": {"loguniform": [1e-3, 1e-1]}, "model.act": {"choice": ["relu", "gelu"]}}


def again(run: Path, number: int, wrong: list[int], **changes) -> Path:
    """Return a copy of a run with another seed, all test images right but these."""
    copy = run.with_name(f"20261128-15100{number}-000{number}")
    path = copy / "predictions.safetensors"
    arrays = load_file(path) if path.is_file() else load_file(run / path.name)
    shutil.copytree(run, copy, dirs_exist_ok=True)
    answers = arrays["targets"].copy()
    answers[wrong] = (answers[wrong] + number) % 10
    save_file({**arrays, "logits": 5 * np.eye(10, dtype=np.float32)[answers]}, path)
    recipe = yaml.safe_load((copy / "recipe.resolved.yaml").read_text())
    (copy / "recipe.resolved.yaml").write_text(yaml.safe_dump(recipe | {"seed": number}, sort_keys=False))
    record = json.loads((copy / "run.json").read_text())
    record |= {"id": copy.name, "group": "two", "test_accuracy": 1 - len(wrong) / len(answers), **changes}
    write_json(copy / "run.json", record)
    return copy


@pytest.fixture(scope="module")
def many(trained, tmp_path_factory):
    """A folder with three runs of one repeat, and a sweep of six trials; made of copies of one run."""
    (made,) = (trained(TINY, *SETTINGS, f"analyzers={ANALYZERS}", "train.epochs=3") / "runs" / "tiny").iterdir()
    home = tmp_path_factory.mktemp("many")
    run = home / "runs" / "tiny" / made.name
    shutil.copytree(made, run)
    kept = [image["index"] for image in json.loads((run / "analysis/misclassified/result.json").read_text())["images"]]
    wrong = [kept[:3], kept[2:5], [kept[0], kept[5]]]
    runs = [again(run, number, each) for number, each in enumerate(wrong, start=1)]
    shutil.rmtree(run)
    trials = [
        Trial(number=n, point={"optimizer.lr": lr, "model.act": act}, state="finished", run=str(runs[n % 3]), epochs=3,
              value=0.5 + 20 * lr + 0.01 * (act == "gelu"))
        for n, (lr, act) in enumerate(POINTS, start=1)
    ]  # fmt: skip
    trials.append(Trial(number=7, point={"optimizer.lr": 0.1, "model.act": "gelu"}, state="failed", error="<b>no"))
    sweep = {"recipe": ["tiny.yaml", "data.validation=0.1"], "method": "grid", "scheduler": None, "space": SPACE}
    record = Record(sweep=sweep, metric="val/acc", mode="max", trials=trials)
    (home / "sweeps" / "search").mkdir(parents=True)
    write_json(home / "sweeps" / "search" / "sweep.json", record.model_dump(mode="json"))
    page, damaged = write_page(home / "sweeps" / "search")
    assert damaged == []
    repeat = write_repeat(home / "runs", Repeat(name="tiny", group="two", runs=3))
    (home / "compare.html").write_text(compare([open_run(each) for each in runs]).page())
    return SimpleNamespace(home=home, runs=runs, wrong=wrong, sweep=page, repeat=repeat, compare=home / "compare.html")


@pytest.fixture
def opened(many, browser):
    """Open a page; the test fails if it complains in its console, or asks for anything but itself."""
    messages: list[str] = []
    pages = []

    def show(name: str, width: int = 1200, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda each: each.url.startswith(("file:", "data:")) or messages.append(each.url))
        page.goto(getattr(many, name).as_uri())
        pages.append(page)
        return page

    yield show
    for page in pages:
        page.close()
    assert messages == []


def accessible(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [each["id"] for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.browser
@pytest.mark.parametrize("name", ["sweep", "repeat", "compare"])
def test_everybody_can_read_it_at_any_width(opened, name):
    for width, scheme in ((380, "dark"), (1900, "light")):
        page = opened(name, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        targets = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').slice(1))")
        assert all(page.evaluate("id => document.getElementById(id) !== null", target) for target in targets)
        assert accessible(page) == []


@pytest.mark.browser
def test_a_sweeps_lines_are_read_by_pointer_and_keyboard(opened):
    page = opened("sweep")
    said, lines = page.locator("#parallel-at"), page.locator("#parallel [data-trial]")
    assert lines.count() == 6
    assert said.inner_text() == "Trial 6, number 1 of 6: val/acc 71.00 %, with optimizer.lr 0.01, model.act gelu."
    assert page.locator("#parallel .top").get_attribute("data-trial") == "6"
    page.locator("#parallel").focus()
    page.keyboard.press("ArrowRight")
    assert said.inner_text().startswith("Trial 3, number 2 of 6: val/acc 70.00 %")
    page.locator("#parallel [data-trial='2']").dispatch_event("pointerenter")
    assert said.inner_text().startswith("Trial 2, number 4 of 6")
    page.locator("#parallel-options input").fill("2")
    assert page.locator("#parallel [data-trial]:not([hidden])").count() == 2
    assert said.inner_text().startswith("Trial 3, number 2 of 6")
    points = page.locator("[data-chart=key-1]").evaluate("place => place.plot.data[1].filter(y => y !== null).length")
    assert points == 6  # of each choice several, at one x


def test_a_sweeps_page_says_what_is_best_and_what_mattered(many, cli):
    page = many.sweep.read_text()
    assert "Trial 6 is the best: val/acc 71.00 %" in page
    shares = re.findall(r'<meter min="0" max="1" value="(.*?)" aria-label="(.*?): ', page)
    assert [key for _, key in shares] == ["optimizer.lr", "model.act"]
    assert sum(float(share) for share, _ in shares) == pytest.approx(1)
    assert "6 finished, 1 failed" in page
    assert "&lt;b&gt;no" in page
    link = re.search(r'<a href="(.*?)" title="report of trial 1"', page)[1]
    assert (many.sweep.parent / link).is_file()
    assert "# the sweep" in page
    for made in (many.sweep, many.repeat):
        made.unlink()
    result = cli("report", many.sweep.parent, many.repeat.parent)
    assert (result.code, result.out.split()) == (0, [str(many.sweep), str(many.repeat)])
    assert many.sweep.is_file()
    assert many.repeat.is_file()


def test_a_sweep_of_few_trials_says_nothing_of_importance(many, tmp_path):
    record = json.loads((many.sweep.parent / "sweep.json").read_text())
    write_json(tmp_path / "sweep.json", record | {"trials": record["trials"][:4]})
    page = write_page(tmp_path)[0].read_text()
    assert "It takes 5 trials with a result, and there are 4." in page
    write_json(tmp_path / "sweep.json", record | {"trials": record["trials"][6:]})
    page = write_page(tmp_path)[0].read_text()
    assert "No trial has a result." in page
    assert "parallel-options" not in re.sub("<script.*?</script>", "", page, flags=re.DOTALL)


def test_a_repeats_page_has_mean_and_spread(many):
    page = re.sub(r"\s+", " ", many.repeat.read_text())
    accuracies = [1 - len(each) / 360 for each in many.wrong]
    low, high = spread(accuracies)["interval"]
    assert f"Test accuracy {100 * mean(accuracies):.2f} % ± {100 * stdev(accuracies):.2f} %" in page
    assert f"{100 * low:.2f} to {100 * high:.2f} %<small>95 % interval" in page
    wrong = set().union(*many.wrong)
    assert f"Of the test images {360 - len(wrong)} are right in every run, 0 in none, and {len(wrong)} in some" in page


def test_spread_is_of_what_is_known():
    assert spread([None, float("nan")]) is None
    assert spread([0.5, None])["deviation"] is None
    found = spread([0.90, 0.91, 0.95])  # by hand: t(0.975, 2) = 4.3027
    assert found["mean"] == pytest.approx(0.92)
    assert found["deviation"] == pytest.approx(0.0264575)
    assert found["interval"] == pytest.approx((0.854276, 0.985724), abs=1e-5)


def test_a_mean_is_of_the_runs_that_have_the_epoch():
    lines = [Series("1 a", [1, 2], [0.5, 0.9]), Series("2 a", [1, 2], [0.7, 0.9]), Series("3 a", [1], [0.6])]
    chart = with_spread(Chart("acc", "A", "epoch", "a", lines, percent=True), {f"{n} a": f"seed {n}" for n in "123"})
    *each, average = chart.series
    assert [(line.name, line.pale) for line in each] == [("seed 1", True), ("seed 2", True), ("seed 3", True)]
    assert average.y == pytest.approx([0.6, 0.9])
    assert (average.low[0], average.high[1]) == pytest.approx((0.5, 0.9))
    assert "those that went on" in chart.caption


@pytest.mark.browser
def test_a_band_goes_with_its_line_and_is_read_with_it(opened):
    page = opened("repeat")
    chart = page.locator(".chart", has=page.get_by_role("heading", name="Test accuracy")).first
    plot, button = chart.locator(".plot"), chart.get_by_role("button", name="mean of 3 runs")
    assert plot.evaluate("place => place.plot.bands.length") == 1
    plot.focus()
    page.keyboard.press("ArrowRight")
    value, low, high = (float(part) for part in re.findall(r"([\d.]+) %", button.inner_text()))
    assert low <= value <= high
    button.click()
    assert plot.evaluate("place => place.plot.series.filter(line => !line.show).length") == 3


@pytest.mark.browser
@pytest.mark.parametrize("name", ["compare", "repeat"])
def test_the_answers_that_changed_are_shown_with_those_of_all_runs(opened, many, name):
    page = opened(name)
    first, second, _ = map(set, many.wrong)
    form, tiles, count = (
        page.locator("#changed-options"),
        page.locator("#changed button"),
        page.locator("#changed-count"),
    )

    def shown(kind: str) -> set[int]:
        form.locator("[name=show]").select_option(kind)
        return {int(tile.get_attribute("data-image")) for tile in tiles.all()}

    assert shown("gained") == first - second
    assert shown("lost") == second - first
    assert count.inner_text() == f"{len(second - first)} of {len(second - first)} images are in this page."
    assert shown("other") == first & second  # wrong by 1 in the first, by 2 in the second
    assert shown("") == first | second
    tiles.first.click()
    viewer = page.locator("#viewer")
    assert viewer.locator("tbody tr").count() == 3
    before = viewer.locator("h3").inner_text()
    page.keyboard.press("ArrowRight")
    assert viewer.locator("h3").inner_text() != before
    assert accessible(page) == []
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.closest('#changed') !== null")
    form.locator("[name=second]").select_option("0")
    assert count.inner_text() == "Choose two different runs."


@pytest.mark.browser
def test_a_narrow_comparison_shows_that_there_is_more(opened):
    page = opened("compare", 380)
    table = page.locator("[aria-label='Table of metrics']")
    assert table.evaluate("place => place.scrollWidth > place.clientWidth")
    assert "scroll" in table.evaluate("place => getComputedStyle(place).backgroundAttachment")  # a shade at the edge
    table.evaluate("place => (place.scrollLeft = place.scrollWidth)")
    head, region = table.locator("tbody th").first.bounding_box(), table.bounding_box()
    assert head["x"] == pytest.approx(region["x"], abs=1)  # what a row is of stays in view
