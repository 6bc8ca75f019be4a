"""The report in a real browser: one file, no network, no errors, no page wider than its window."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from frame.rundir import write_json

TINY = Path(__file__).parent / "framework" / "fixtures" / "tiny.yaml"
ANALYZERS = "analyzers=[{use: fails}, {use: model_summary}, {use: confusion}, {use: misclassified}, {use: grad_cam}]"


@pytest.fixture
def run(cli, tmp_path) -> Path:
    assert cli("run", TINY, ANALYZERS).code == 0
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    return folder


@pytest.fixture
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.browser
def test_the_page_needs_nothing_but_itself_and_fits_its_window(run, browser, tmp_path):
    alone = tmp_path / "alone" / "report.html"
    alone.parent.mkdir()
    shutil.copyfile(run / "report.html", alone)
    for width in (380, 1200):
        page = browser.new_page(viewport={"width": width, "height": 900})
        messages, requests = [], []
        page.on("console", lambda message, messages=messages: messages.append(message.text))
        page.on("pageerror", lambda error, messages=messages: messages.append(str(error)))
        page.on("request", lambda request, requests=requests: requests.append(request.url))
        page.goto(alone.as_uri())
        assert messages == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        images = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth, image.alt])")
        assert len(images) == 5
        assert all(complete and wide > 0 and alt for complete, wide, alt in images)
        targets = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').slice(1))")
        assert targets
        assert all(page.evaluate("id => document.getElementById(id) !== null", target) for target in targets)
        assert page.get_by_text("This analyzer failed: RuntimeError: no such luck").is_visible()
        page.close()


def test_the_page_is_made_again_from_the_folder_alone(cli, run):
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert cli("report", run).code == 0
    assert (run / "report.html").read_text() == before


def test_a_partial_run_shows_what_there_is_and_says_what_is_missing(cli, tmp_path):
    folder = tmp_path / "runs" / "partial"
    folder.mkdir(parents=True)
    record = {"id": "partial", "name": "<b>x</b>", "state": "failed", "error": "<script>1</script>"}
    write_json(folder / "run.json", {**record, "started": "2026-11-23T10:00:00+00:00"})
    assert cli("report", folder).code == 0
    page = (folder / "report.html").read_text()
    assert "No epoch has been finished." in page
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert "<script>" not in page
    assert "<b>x</b>" not in page


def test_a_folder_that_is_no_run(cli, tmp_path):
    result = cli("report", tmp_path)
    assert result.code == 2
    assert "is no run: it has no run.json" in result.err
