"""The report in a real browser: one file, no network, no errors, and everything on it does what it says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from frame.report import images
from frame.report.shapes import Damaged
from frame.rundir.folder import RunDir, write_json

TINY = Path(__file__).parent / "framework" / "fixtures" / "tiny.yaml"
ANALYZERS = (
    "[{use: fails}, {use: curves}, {use: lr_finder_curve}, {use: confusion}, {use: calibration}, {use: misclassified},"
    " {use: correct, count: 30}, {use: grad_cam, correct: 2, misclassified: 2, overlays: 2}, {use: model_summary}]"
)
SETTINGS = ("scheduler={use: one_cycle, max_lr: auto}", "lr_finder={use: lr_range_test, num_steps: 20}")


@pytest.fixture(scope="module")
def run(trained) -> Path:
    """A finished run with everything on its page, and one analyzer that failed."""
    (folder,) = (trained(TINY, *SETTINGS, f"analyzers={ANALYZERS}", "train.epochs=3") / "runs" / "tiny").iterdir()
    return folder


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(run, browser):
    """The report, opened in a wide window; the test fails if the page complains in its console."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto((run / "report.html").as_uri())
    yield page
    page.close()
    assert messages == []


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (1900, "light")])
def test_the_page_needs_nothing_but_itself_and_everybody_can_read_it(run, browser, tmp_path, width, scheme):
    alone = tmp_path / "report.html"
    shutil.copyfile(run / "report.html", alone)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(alone.as_uri())
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth, image.alt])")
    assert len(shown) > 30
    assert all(complete and wide > 0 and alt for complete, wide, alt in shown)
    targets = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').slice(1))")
    assert targets
    assert all(page.evaluate("id => document.getElementById(id) !== null", target) for target in targets)
    assert page.get_by_text("This analyzer failed: RuntimeError: no such luck").is_visible()
    page.locator("#grid button").first.click()
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.keyboard.press("Escape")
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.mark.browser
def test_curves_answer_to_pointer_and_keyboard(page):
    chart = page.locator(".chart", has=page.get_by_role("heading", name="Loss per epoch")).first
    plot = chart.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = chart.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    training = chart.get_by_role("button", name="training")
    losses = page.evaluate("data.charts['curves-0'].series[0].y")
    assert training.inner_text() == f"training {float(f'{losses[-1]:.4g}'):g}"
    assert chart.locator(".at").inner_text() == "epoch 3"

    training.click()
    assert training.get_attribute("aria-pressed") == "false"
    assert plot.evaluate("place => place.plot.series[1].show") is False

    box = chart.locator(".u-over").bounding_box()  # the click may have scrolled
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.mouse.up()
    assert plot.evaluate("place => place.plot.scales.x.min") > 1.5
    chart.get_by_role("button", name="Reset zoom").click()
    assert plot.evaluate("place => [place.plot.scales.x.min, place.plot.scales.x.max]") == [1, 3]

    plot.focus()
    page.keyboard.press("ArrowRight")
    assert chart.locator(".at").inner_text() == "epoch 2"
    page.keyboard.press("+")
    assert plot.evaluate("place => place.plot.scales.x.max - place.plot.scales.x.min") == pytest.approx(1)


@pytest.mark.browser
def test_filters_show_the_images_they_say(page):
    everything = page.evaluate("data.images")
    tiles = page.locator("#grid button")
    count = page.locator("#count")
    assert count.inner_text().startswith(f"{len(everything)} images")

    page.get_by_label("Answer right and").select_option("wrong")
    wrong = [image for image in everything if image["target"] != image["predicted"]]
    assert tiles.count() == min(60, len(wrong))
    assert all("✗" in text for text in tiles.all_inner_texts())

    target = wrong[0]["target"]
    page.get_by_label("True class").select_option(target)
    of_class = [image for image in wrong if image["target"] == target]
    least = round(100 * max(image["confidence"] for image in of_class)) - 1
    page.get_by_label("Confidence from").fill(str(least))
    left = [image for image in of_class if image["confidence"] >= least / 100]
    assert tiles.count() == len(left)
    assert count.inner_text() == f"{len(left)} of {len(everything)} images match."

    page.get_by_label("Confidence from").fill("101")
    assert count.inner_text() == "No image matches: widen the filters, or reset them."
    page.locator("#filters").get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelectorAll('#grid button').length > 1")
    page.get_by_label("Order most").select_option("-loss")
    page.locator("#more").click()
    worst = max(everything, key=lambda image: image["loss"])
    assert tiles.count() == min(120, len(everything))
    assert worst["target"] in tiles.first.inner_text()


@pytest.mark.browser
def test_a_cell_of_the_confusion_matrix_leads_to_its_images(page):
    image = next(image for image in page.evaluate("data.images") if image["target"] != image["predicted"])
    cell = page.locator(f'.matrix [data-true="{image["target"]}"][data-predicted="{image["predicted"]}"]')
    before = cell.inner_text()
    page.get_by_role("button", name="rates").click()
    assert cell.inner_text() == cell.get_attribute("data-rates")
    page.get_by_role("button", name="counts").click()
    assert cell.inner_text() == before
    cell.click()
    label = f"✗ {image['target']} → {image['predicted']}"
    texts = page.locator("#grid button").all_inner_texts()
    assert 0 < len(texts) <= int(before)
    assert all(label in text for text in texts)


@pytest.mark.browser
def test_an_image_opens_in_place_with_its_activation_maps(page):
    page.get_by_role("button", name=re.compile("^Browse these")).last.click()
    focused = page.evaluate("document.activeElement.closest('#grid') !== null")
    assert focused
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    assert viewer.is_visible()
    first = viewer.locator("h3").inner_text()
    for text in ("true class", "confidence", "loss (cross-entropy)", "source file", "Likeliest classes"):
        assert viewer.get_by_text(text, exact=True).is_visible()
    maps = viewer.locator(".heats .over")
    assert maps.count() >= 2
    assert all(maps.nth(i).locator("img").count() == 2 for i in range(maps.count()))
    page.keyboard.press("ArrowRight")
    assert viewer.locator("h3").inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert viewer.locator("h3").inner_text() == first
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert page.evaluate("document.activeElement.closest('#grid') !== null")


def test_the_page_says_what_was_overridden_and_found(run):
    page = (run / "report.html").read_text()
    marked = re.findall(r"<mark>\s*(\S+) .*?<i># (.*?)</i>", page)
    assert ("epochs:", "command line") in marked
    assert ("max_lr:", "found by the LR finder") in marked
    assert not any(key == "seed:" for key, _ in marked)


def test_the_page_is_made_again_from_the_folder_alone(cli, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "report.html").unlink()
    assert cli("report", copy).code == 0
    again = (copy / "report.html").read_text()
    assert again.replace(str(copy), str(run)) == (run / "report.html").read_text()


def test_while_a_run_goes_on_each_epoch_writes_the_page_anew(cli, tmp_path):
    settings = ["callbacks=[{use: keeps_pages}]", "train.epochs=3", "analyzers=[{use: curves}, {use: confusion}]"]
    assert cli("run", TINY, *settings).code == 0
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    pages = [(run / f"page{epoch}.html").read_text() for epoch in (1, 2)]
    for done, page in enumerate(pages, start=1):
        assert f"This run is still training: {done} of 3 epochs are done." in page
        assert len(charts(page)["curves-0"]["series"][0]["x"]) == done
        assert "Confusion matrix" not in page
    last = (run / "report.html").read_text()
    assert "still training" not in last
    assert "Confusion matrix" in last


def test_a_run_interrupted_in_its_first_epoch_shows_its_steps(cli, tmp_path):
    settings = ["callbacks=[{use: interrupt, step: 11}]", "analyzers=[{use: curves}]"]
    assert cli("run", TINY, *settings).code == 130
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    page = (run / "report.html").read_text()
    losses = next(chart for chart in charts(page).values() if chart["name"] == "loss_steps")
    assert losses["series"][0]["x"] == pytest.approx([5 / 12, 10 / 12], abs=1e-5)
    assert "This run is <strong>interrupted</strong>" in page
    assert f"frame resume {run}" in page


def charts(page: str) -> dict:
    """The data of the page's charts."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["charts"]


def test_images_that_do_not_fit_are_left_out_and_counted(run, monkeypatch):
    folder = RunDir(run)
    results = [json.loads(path.read_text()) | {"name": path.parent.name} for path in run.glob("analysis/*/result.json")]
    results = [{"images": []} | result for result in results]
    every, none_left_out = images.browsable(folder, results, images.SavedPredictions.read(folder), Damaged())
    assert none_left_out == 0
    monkeypatch.setattr(images, "BUDGET", 30_000)
    some, left_out = images.browsable(folder, results, images.SavedPredictions.read(folder), Damaged())
    assert 0 < len(some) < len(every)
    assert left_out > 0
    assert some[0]["heats"]  # those with activation maps come first


def test_a_partial_run_shows_what_there_is_and_says_what_is_missing(cli, tmp_path):
    folder = tmp_path / "runs" / "partial"
    folder.mkdir(parents=True)
    record = {"id": "partial", "name": "<b>x</b>", "state": "failed", "error": "<script>1</script>"}
    write_json(folder / "run.json", {**record, "started": "2026-11-23T10:00:00+00:00"})
    assert cli("report", folder).code == 0
    page = (folder / "report.html").read_text()
    for said in ("No epoch has been finished.", "There is no analysis: the run ended before it.", "Not recorded."):
        assert said in page
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert "<script>1" not in page
    assert "<b>x</b>" not in page


def test_a_folder_that_is_no_run(cli, tmp_path):
    result = cli("report", tmp_path)
    assert result.code == 2
    assert "is no run: it has no run.json" in result.err
