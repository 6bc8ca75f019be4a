"""The report in a real browser: one file, no network, no errors, and everything on it does what it says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from frame import report, wilson_interval
from frame.report import images, write_report
from frame.report.headline import verdict
from frame.report.recipe import changes, read_recipe
from frame.report.shapes import Damaged
from frame.rundir.folder import RunDir, write_json
from frame.rundir.lock import hold

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
    shown = page.evaluate(
        "[...document.images].map(image => [image.complete, image.naturalWidth,"
        " image.alt || image.matches('.over > :first-child')])"  # the map that lies over it has the words
    )
    assert len(shown) > 30
    assert all(complete and wide > 0 and alt for complete, wide, alt in shown)
    targets = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').slice(1))")
    assert targets
    assert all(page.evaluate("id => document.getElementById(id) !== null", target) for target in targets)
    assert page.get_by_text("This analyzer failed: RuntimeError: no such luck").is_visible()
    page.locator("#grid button").first.click()
    assert page.evaluate("viewer.scrollWidth <= viewer.clientWidth")
    found = Axe().run(page, "#viewer").response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.keyboard.press("Escape")
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.mark.browser
def test_the_list_of_contents_covers_no_heading_and_marks_the_section(page):
    page.set_viewport_size({"width": 820, "height": 900})
    for section in ("confusion", "images"):
        page.locator(f"nav a[href='#{section}']").click()
        page.wait_for_selector(f"nav a[href='#{section}'][aria-current=true]")
        heading, bar = page.locator(f"#{section}").bounding_box(), page.locator("nav").bounding_box()
        assert heading["y"] >= bar["y"] + bar["height"]
    assert page.locator("nav a[aria-current=true]").count() == 1


@pytest.mark.browser
def test_a_section_that_cannot_come_to_the_top_is_marked_when_it_is_chosen(page):
    page.set_viewport_size({"width": 1280, "height": 2500})
    for section in ("environment", "again", "recipe"):
        page.locator(f"nav a[href='#{section}']").click()
        page.wait_for_selector(f"nav a[href='#{section}'][aria-current=true]")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("input (MiB)", 0.00391, ("input", "4.0038 KiB")),
        ("total (MiB)", 25.5, ("total", "25.5000 MiB")),
        ("slowest (s)", 3.0, ("slowest", "3 s")),
        ("share", 0.8722, ("share", "87.22 %")),
        ("top-1_accuracy", 1.0, ("top-1 accuracy", "100.00 %")),
        ("Brier score", 0.25, ("Brier score", "0.2500")),
        ("expected calibration error", 0.0312, ("expected calibration error", "3.12 %")),
        ("worst", None, ("worst", "–")),
    ],
)
def test_a_scalar_is_written_with_its_unit(name, value, said):
    assert report._measured(value, name) == said


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
def test_charts_of_a_section_are_shown_on_a_log_scale_smoothed_and_over_steps(page):
    section = page.locator("section[aria-labelledby=curves]")
    plot = section.locator("[data-chart=curves-0]")
    losses = page.evaluate("data.charts['curves-0'].series[0].y")
    section.get_by_label("Log scale").check()
    assert plot.evaluate("place => place.plot.scales.y.distr") == 3
    accuracy = page.evaluate(
        "$$('[data-chart]').filter(p => data.charts[p.dataset.chart].percent)[0].plot.scales.y.distr"
    )
    assert accuracy == 1
    section.get_by_label("Smoothing").fill("50")
    names = plot.evaluate("place => place.plot.series.slice(1).map(each => each.label)")
    assert names == ["training, as logged", "training", "test, as logged", "test"]
    mean = plot.evaluate("place => place.plot.data[2]")
    assert mean[:2] == pytest.approx([losses[0], (losses[0] / 4 + losses[1] / 2) / 0.75])
    section.get_by_label("Over").select_option("steps")
    assert plot.evaluate("place => place.plot.data[0]") == [12, 24, 36]
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert section.locator(".at").first.inner_text() == "step 24"


@pytest.mark.browser
def test_filters_show_the_images_they_say(page):
    everything = page.evaluate("data.images")
    filters = page.locator("#filters")
    tiles = page.locator("#grid button")
    count = page.locator("#count")
    assert count.inner_text() == f"{len(everything)} of 360 are in this page."
    rights = ["✓" in text for text in tiles.all_inner_texts()]
    assert rights == sorted(rights)  # mistakes first

    filters.get_by_label("Answer right and").select_option("wrong")
    wrong = [image for image in everything if image["target"] != image["predicted"]]
    assert tiles.count() == min(60, len(wrong))
    assert all("✗" in text for text in tiles.all_inner_texts())

    target = wrong[0]["target"]
    filters.get_by_label("True class").select_option(target)
    of_class = [image for image in wrong if image["target"] == target]
    least = round(100 * max(image["confidence"] for image in of_class)) - 1
    filters.get_by_label("Confidence from").fill(str(least))
    left = [image for image in of_class if image["confidence"] >= least / 100]
    assert tiles.count() == len(left)
    assert count.inner_text() == f"{len(left)} of {len(everything)} images in this page match."

    filters.get_by_label("Confidence from").fill("101")
    assert count.inner_text() == "No image matches: widen the filters, or reset them."
    filters.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelectorAll('#grid button').length > 1")
    filters.get_by_label("Order mistakes").select_option("-loss")
    page.locator("#more").click()
    worst = max(everything, key=lambda image: image["loss"])
    assert tiles.count() == min(120, len(everything))
    assert worst["target"] in tiles.first.inner_text()


@pytest.mark.browser
def test_a_cell_of_the_confusion_matrix_leads_to_its_images(page):
    image = next(image for image in page.evaluate("data.images") if image["target"] != image["predicted"])
    cell = page.locator(f'.matrix [data-true="{image["target"]}"][data-predicted="{image["predicted"]}"]')
    before = cell.inner_text()
    counts = page.evaluate("data.matrices['confusion-0'].counts")
    true, predicted = (int(image[name]) for name in ("target", "predicted"))
    assert before == str(counts[true][predicted])
    show, order = page.locator(".matrix [name=show]"), page.locator(".matrix [name=order]")
    show.select_option("row")
    assert cell.inner_text() == f"{100 * counts[true][predicted] / sum(counts[true]):.1f}"
    show.select_option("column")
    assert cell.inner_text() == f"{100 * counts[true][predicted] / sum(row[predicted] for row in counts):.1f}"
    show.select_option("counts")
    assert cell.inner_text() == before
    order.select_option("mistakes")
    mistakes = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in range(10)]
    shown = page.locator(".matrix thead th").all_inner_texts()
    assert [mistakes[int(name)] for name in shown] == sorted(mistakes, reverse=True)
    heads, cells = (page.locator(f".matrix {part}").all() for part in ("thead th span", "tbody tr:first-child td"))
    for head, below in zip(heads, cells, strict=True):
        over, under = head.bounding_box(), below.bounding_box()
        assert over["x"] + over["width"] / 2 == pytest.approx(under["x"] + under["width"] / 2, abs=1)
    cell.click()
    label = f"✗ {image['target']} → {image['predicted']}"
    texts = page.locator("#grid button").all_inner_texts()
    assert 0 < len(texts) <= int(before)
    assert all(label in text for text in texts)
    assert page.locator("#count").inner_text() == f"{len(texts)} of {before} are in this page."
    assert page.evaluate("location.hash") == f"#images?target={image['target']}&predicted={image['predicted']}"
    page.get_by_role("link", name="back to Confusion matrix").click()
    assert page.evaluate("document.activeElement.dataset.true") == image["target"]
    assert page.evaluate("location.hash") == "#confusion"


@pytest.mark.browser
def test_galleries_are_live_and_every_view_has_an_address(page, run):
    result = json.loads((run / "analysis" / "misclassified" / "result.json").read_text())
    tiles = page.locator("section[aria-labelledby=misclassified] .thumbnails button")
    numbers = [int(tile.get_attribute("data-image")) for tile in tiles.all()]
    assert numbers == [image["index"] for image in result["images"]]
    tiles.nth(1).click()
    assert page.evaluate("location.hash") == f"#misclassified?image={numbers[1]}"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("location.hash") == f"#misclassified?image={numbers[2]}"
    sent = page.url
    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash.includes('image=')")  # the dialog says a little later that it was closed
    assert page.evaluate("[location.hash, document.activeElement.dataset.image]") == ["#misclassified", str(numbers[2])]
    page.goto("about:blank")
    page.goto(sent)
    assert page.locator("#viewer-title").inner_text().startswith(f"Test image {numbers[2]}:")
    page.goto(sent.split("#")[0] + f"#images?answer=wrong&order=-loss&image={numbers[0]}")
    assert page.locator("#viewer-title").inner_text().startswith(f"Test image {numbers[0]}:")
    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash.includes('image=')")
    assert page.locator("#filters [name=answer]").input_value() == "wrong"
    assert page.evaluate("location.hash") == "#images?answer=wrong&order=-loss"
    page.go_back()
    assert page.locator("#viewer-title").inner_text().startswith(f"Test image {numbers[2]}:")


@pytest.mark.browser
def test_pairs_and_maps_are_shown_in_their_sections(page):
    groups = page.locator("section[aria-labelledby=confusion] .group")
    assert groups.count() == 10
    wanted = re.fullmatch(r"(\S+) → (\S+) (\d+) of (\d+) are in this page", groups.first.inner_text())
    cell = page.locator(f'.matrix [data-true="{wanted[1]}"][data-predicted="{wanted[2]}"]')
    assert cell.inner_text() == wanted[4]
    groups.first.get_by_role("button").click()
    assert page.locator("#grid button").count() == int(wanted[3])
    first = page.locator("section[aria-labelledby=grad_cam] .maps > li").first
    assert first.locator(".was-wrong").count() == 1  # mistakes first
    assert first.locator("figcaption").count() >= 2


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
    row = r"<tr><td[^>]*><code>(.*?)</code></td><td[^>]*><code>(.*?)</code></td><td[^>]*>(.*?)</td>"
    table = {key: (value, origin) for key, value, origin in re.findall(row, page)}
    assert table["train.epochs"] == ("3", "command line")
    assert float(table["scheduler.max_lr"][0]) > 0
    assert table["analyzers"][0].startswith("[{&#34;use&#34;: &#34;fails&#34;")


def test_changed_values_have_their_whole_key_and_lists_and_nulls_too(tmp_path):
    (tmp_path / "r.yaml").write_text("model: {widths: [1, 2], act: null}\ntrain: {lrs: []}\nlist: [{a: 1}]\n")
    recipe = read_recipe(tmp_path / "r.yaml")
    overrides = ["model.widths", "model.act", "train.lrs", "list.0.a", "scheduler"]
    found = changes(recipe, {"overrides": overrides, "found": ["model.widths.1"]})
    assert [(change.key, change.value) for change in found] == [
        ("model.widths", "[1, 2]"), ("model.act", "null"), ("train.lrs", "[]"), ("list.0.a", "1"),
        ("scheduler", "null"), ("model.widths.1", "2"),
    ]  # fmt: skip


def test_shares_in_tables_are_in_percent(run):
    page = (run / "report.html").read_text()
    for title, percent in (("Scores of each class", (1, 2, 3)), ("Bins of the reliability diagram", (2, 3))):
        body = page[page.index(f"<summary>{title}") :].partition("<tbody>")[2]
        row = re.findall("<td[^>]*>(.*?)</td>", body.partition("</tr>")[0])
        assert all(re.fullmatch(r"\d+\.\d\d %", row[column]) for column in percent), row
    scores = dict(re.findall('<td class="left">([^<]*)</td>\\s*<td class="">(.*?)</td></tr>', page))
    assert scores["top-1 accuracy"].endswith(" %")
    assert "%" not in scores["Brier score"]


def test_the_head_says_what_was_trained_and_how_sure_its_accuracy_is(run):
    page = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", (run / "report.html").read_text()))
    record = json.loads((run / "run.json").read_text())
    right = round(360 * record["test_accuracy"])
    low, high = wilson_interval(right, 360)
    assert f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, n = 360" in page
    assert f"{right} of 360 test images are right" in page
    assert "1,437 training, 360 test, 10 classes" in page
    assert f"Model tiny {record['parameters']:,} parameters" in page
    assert "Optimizer adam one_cycle, learning rate up to " in page
    assert "training images/s (median)" in page
    counts = json.loads((run / "data.json").read_text())["class_counts"]
    assert sum(counts["training"]) == 1437
    assert f"class training test 0 {counts['training'][0]} {counts['test'][0]} 1 " in page


@pytest.mark.parametrize(
    ("right", "images", "expected"),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_the_interval_is_wilsons(right, images, expected):
    assert wilson_interval(right, images) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("right", "lines", "said"),
    [
        (60, [], "60 of 100 test images are right, which may be chance: always naming the most frequent class"),
        (90, [], "90 of 100 test images are right; of all images like them, 82.6 to 94.5 %."),
        (
            90,
            [(0.99, 0.9, 0.4)],
            "It overfits: in the last epoch it got 99.0 % of the training images right, 90.0 % of",
        ),
        (90, [(0.7, 0.8, 0.6), (0.9, 0.9, 0.4)], "The test loss was still falling: longer training may help."),
        (90, [(0.7, 0.8, 0.4), (0.9, 0.9, 0.39)], "Training and test accuracy are close together at the end."),
    ],
)
def test_the_verdict_of_a_run(right, lines, said):
    targets = np.repeat([0, 1], [60, 40])
    answers = np.where(np.arange(100) < 60, 0, 1) if right > 60 else np.zeros(100, int)
    answers[: 100 - right if right > 60 else 0] = 1
    epochs = [{"train/acc": train, "test/acc": test, "test/loss": loss} for train, test, loss in lines]
    assert said in verdict(images.SavedPredictions(np.eye(2)[answers], targets, ["a", "b"]), epochs)


def test_a_killed_run_is_called_so(cli, tmp_path):
    folder = tmp_path / "runs" / "killed"
    folder.mkdir(parents=True)
    record = {"id": "killed", "name": "x", "state": "running", "watched": "test", "epochs": 3}
    write_json(folder / "run.json", {**record, "started": "2026-11-23T10:00:00+00:00"})
    with hold(folder / ".lock"):
        write_report(RunDir(folder), "running")
    page = (folder / "report.html").read_text()
    assert "This run is still training: 0 of 3 epochs are done after " in page
    assert "take about" not in page
    assert cli("report", folder).code == 0
    page = (folder / "report.html").read_text()
    assert "This run was <strong>killed</strong>" in page
    assert f"frame resume {folder}" in page
    assert "optimistic" not in page  # there is no best value


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
        assert f"This run is still training: {done} of 3 epochs are done after " in page
        assert "; the others take about " in page
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
