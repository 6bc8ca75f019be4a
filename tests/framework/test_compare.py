"""`frame compare`: what differs between runs, whatever became of them, and whether their answers differ."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from safetensors.numpy import load_file, save_file
from scipy.stats import binomtest, chi2

from frame.report.comparison.mcnemar import mcnemar
from frame.rundir.folder import RunDir

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
DOCS = Path(__file__).parents[2] / "docs" / "comparing.md"


@pytest.fixture
def train(cli, tmp_path):
    """Train the tiny recipe with overrides; return the run's folder."""

    def trained(*overrides: str, code: int = 0) -> Path:
        before = set(tmp_path.glob("runs/*/*"))
        assert cli("run", TINY, *overrides).code == code
        (folder,) = set(tmp_path.glob("runs/*/*")) - before
        return folder

    return trained


def compared(cli, *runs: Path) -> dict:
    result = cli("compare", *runs, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def rows(found: dict) -> dict:
    return {row["name"]: row for row in found["metrics"]}


def answered(run: Path, wrong: list[int]) -> Path:
    """Return a copy of a run that has all test images right but these."""
    copy = run.with_name(f"copy{len(list(run.parent.iterdir()))}")
    shutil.copytree(run, copy)
    path = RunDir(copy).predictions
    arrays = load_file(path)
    answers = arrays["targets"].copy()
    answers[wrong] = (answers[wrong] + 1) % 10
    save_file({**arrays, "logits": np.eye(10, dtype=np.float32)[answers]}, path)
    return copy


class TestMcNemar:
    @pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 12), (24, 0), (0, 7), (12, 12)])
    def test_few_discordant_images_are_tested_exactly(self, b, c):
        result = mcnemar(*_answers(b, c))
        assert (result.only_first, result.only_second, result.method) == (b, c, "exact binomial")
        assert result.statistic is None
        assert result.p == pytest.approx(binomtest(b, b + c).pvalue if b + c else 1)

    @pytest.mark.parametrize(("b", "c"), [(25, 0), (13, 13), (121, 59), (2000, 2100)])
    def test_many_are_by_chi_square_with_the_correction_for_continuity(self, b, c):
        result = mcnemar(*_answers(b, c))
        assert result.method == "chi-square with continuity correction"
        assert result.statistic == pytest.approx(max(0, abs(b - c) - 1) ** 2 / (b + c))
        assert result.p == pytest.approx(chi2.sf(result.statistic, 1), rel=1e-9)

    def test_a_textbook_example(self):
        # approval ratings, Agresti (1990), p. 350, as in R's help on mcnemar.test: 794, 150; 86, 570
        result = mcnemar(*_answers(150, 86))
        assert result.statistic == pytest.approx(16.82, abs=0.005)
        assert result.p == pytest.approx(4.12e-5, rel=0.01)


def _answers(b: int, c: int):
    """Answers with b images that the first model alone has right, and c of the second; they agree on 40."""
    first = np.repeat([True, False, True, False], [b, c, 30, 10])
    second = np.repeat([False, True, True, False], [b, c, 30, 10])
    return first, second


def test_two_runs_side_by_side(cli, train):
    first = train()
    second = train("seed=4", "optimizer.lr=0.001", "train.epochs=3", "train.clip_grad_norm=1.0")
    found = compared(cli, first, second)
    assert {line["key"]: line["values"] for line in found["recipes"]} == {
        "seed": [3, 4],
        "optimizer.lr": [0.01, 0.001],
        "train.epochs": [2, 3],
        "train.clip_grad_norm": [None, 1.0],
    }
    records = [json.loads((run / "run.json").read_text()) for run in (first, second)]
    accuracy = [record["test_accuracy"] for record in records]
    row = rows(found)["test accuracy"]
    assert row["values"] == pytest.approx(accuracy, rel=1e-5)
    assert row["best"] == [accuracy.index(max(accuracy))]
    assert rows(found)["train/loss in the last epoch"]["best"] == []
    (curve,) = [chart for chart in found["curves"] if chart["title"] == "Test accuracy"]
    assert [series["x"] for series in curve["series"]] == [[1, 2], [1, 2, 3]]
    right = [
        load_file(run / "predictions.safetensors")["logits"].argmax(1)
        == load_file(run / "predictions.safetensors")["targets"]
        for run in (first, second)
    ]
    (test,) = found["tests"]
    assert test["images"] == 360
    assert test["only_first"] == (right[0] & ~right[1]).sum()
    assert test["only_second"] == (~right[0] & right[1]).sum()

    text = cli("compare", first, second).out
    assert re.search(r"^optimizer\.lr +0\.01 +0\.001$", text, re.MULTILINE)
    assert re.search(r"^test accuracy +[\d.]+%(\* +[\d.]+%| +[\d.]+%\*)$", text, re.MULTILINE)
    assert re.search(r"^A, B  p = .* \((exact binomial|chi-square with)", text, re.MULTILINE)
    assert re.search(r"\|.*[AB*]", text)


def test_the_same_answers_do_not_differ_and_few_other_ones_are_tested_exactly(cli, train):
    run = train()
    one, two, three = answered(run, [1, 2]), answered(run, [1, 2]), answered(run, [2, 7, 8, 9, 10, 11])
    tests = {(test["first"], test["second"]): test for test in compared(cli, one, two, three)["tests"]}
    assert tests["A", "B"]["p"] == 1
    assert (tests["A", "C"]["only_first"], tests["A", "C"]["only_second"]) == (5, 1)
    assert tests["A", "C"]["p"] == pytest.approx(binomtest(1, 6).pvalue)
    assert tests["A", "C"]["method"] == "exact binomial"


def test_other_test_sets_are_not_tested_and_nothing_is_best(cli, train):
    first, second = train(), train("data.test_fraction=0.3")
    found = compared(cli, first, second)
    assert [test["refused"] for test in found["tests"]] == ["the test sets differ: 360 and 540 images"]
    assert not any(row["best"] for row in found["metrics"])
    assert any("different data" in note for note in found["notes"])


def test_other_targets_are_not_tested(cli, train):
    run = train()
    other = answered(run, [])
    path = RunDir(other).predictions
    arrays = load_file(path)
    arrays["targets"][:3] = (arrays["targets"][:3] + 1) % 10
    save_file(arrays, path)
    (test,) = compared(cli, run, other)["tests"]
    assert test["refused"] == "the test sets differ: 3 of 360 targets are not the same"


def test_unfinished_and_damaged_runs_are_shown_with_what_they_have(cli, train, tmp_path):
    done = train()
    died = train("callbacks=[{use: dies, step: 13}]", code=1)
    begun, broken = tmp_path / "runs" / "tiny" / "begun", answered(done, [])
    begun.mkdir()
    record = json.loads((done / "run.json").read_text())
    kept = {name: record[name] for name in ("id", "name", "started")}
    (begun / "run.json").write_text(json.dumps(kept | {"state": "running"}))
    (broken / "predictions.safetensors").write_bytes(b"rubbish")
    (broken / "recipe.resolved.yaml").write_text("[")
    result = cli("compare", done, died, begun, broken, "--html", "page.html", "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert [run["state"] for run in found["runs"]] == ["finished", "failed", "killed", "finished"]
    assert rows(found)["epochs"]["values"] == [2, 1, 0, 2]
    assert [line["key"] for line in found["recipes"]] == ["callbacks.0.use", "callbacks.0.step"]
    assert found["recipes"][0]["set"] == [False, True, False, False]
    assert [test["refused"] for test in found["tests"]][:3] == [f"no predictions of {run}" for run in "BCD"]
    assert len(result.err.splitlines()) == len(found["damaged"]) == 2
    assert "begun" in (tmp_path / "page.html").read_text()


def test_other_training_images_are_a_note_and_values_that_are_no_numbers_a_gap(cli, train, tmp_path):
    first, second = train(), train("seed=4")
    environment = json.loads((second / "environment.json").read_text())
    (second / "environment.json").write_text(json.dumps(environment | {"data_checksum": "another"}))
    with (second / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "epoch", "epoch": NaN, "step": 99, "test/acc": 0.5, "test/loss": NaN}\n')
        file.write('{"kind": "epoch", "epoch": 3, "step": 99, "test/acc": 0.5, "test/loss": Infinity}\n')
    result = cli("compare", first, second, "--json")
    found = json.loads(result.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (test,) = found["tests"]
    assert "checksums are not" in test["note"]
    assert rows(found)["test accuracy"]["best"]
    curves = {chart["title"]: chart["series"][1]["x"] for chart in found["curves"]}
    assert (curves["Test accuracy"], curves["Test loss"]) == ([1, 2, 3], [1, 2])


@pytest.mark.parametrize(("count", "last"), [(27, "a"), pytest.param(50, "x", marks=pytest.mark.slow)])
def test_more_runs_than_capital_letters_are_compared(cli, train, tmp_path, count, last):
    run = train("train.epochs=1")
    runs = [run, *(answered(run, [wrong]) for wrong in range(count - 1))]
    result = cli("compare", *runs, "--html", tmp_path / "page.html")
    assert (result.code, result.err) == (0, "")
    assert f"A, {last}  p = " in result.out
    assert f"B, {last}  p = 1 (exact binomial); of 360 images B alone has 1 right, {last} alone 1" in result.out
    assert result.out.count("  p = ") == count * (count - 1) // 2
    assert (tmp_path / "page.html").stat().st_size < 20_000_000


def answer(result) -> str:
    """Return what a program is told, the message of the error event; nothing where nothing is printed."""
    return json.loads(result.out)["message"] if result.out else ""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_cannot_be_compared_is_an_error(cli, train, tmp_path, options):
    run = train()
    result = cli("compare", run, f"{run}/../{run.name}", *options)
    assert (result.code, answer(result)) == (2, "2 to 52 different runs can be compared, not 1" if options else "")
    assert result.err == "error: 2 to 52 different runs can be compared, not 1\n"
    assert "is no run" in cli("compare", run, tmp_path, *options).err
    other = answered(run, [])
    assert "page.html cannot be written: No such file or directory" in (
        cli("compare", run, other, "--html", "nowhere/page.html").err
    )
    (other / "run.json").write_text("{")
    result = cli("compare", run, other, *options)
    assert result.code == 2
    assert ("damaged" in answer(result)) == bool(options)
    assert result.err.startswith(f"error: {other}/run.json: damaged: ")


def test_the_commands_of_the_page_on_comparing_run(cli, train, tmp_path):
    shell = "".join(re.findall(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL))
    commands = [shlex.split(line)[1:] for line in shell.splitlines() if line]
    assert len(commands) == 6
    runs = tmp_path / "runs" / "tiny"
    train().rename(runs / "20261124-204549-1f36")
    train("seed=4").rename(runs / "20261124-204556-b085")
    for command in sorted(commands, key=lambda words: "rm" in words):
        result = cli(*command, *(["--yes"] if "rm" in command else []))
        assert result.code == 0, (command, result.err)
    assert (tmp_path / "comparison.html").is_file()
    assert [path.name for path in runs.iterdir()] == ["20261124-204556-b085"]


@pytest.mark.browser
def test_the_page_needs_nothing_but_itself_and_everybody_can_read_it(cli, train, tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    first = train("train.epochs=3")
    record = json.loads((first / "run.json").read_text())
    (first / "run.json").write_text(json.dumps(record | {"name": "<b>bold</b>"}))
    runs = [first, train("seed=4"), train("callbacks=[{use: dies, step: 13}]", code=1)]
    assert cli("compare", *runs, "--html", "page.html").code == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((380, "dark"), (1200, "light"), (1900, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            messages, requests = [], []
            page.on("console", lambda message, seen=messages: seen.append(message.text))
            page.on("pageerror", lambda error, seen=messages: seen.append(str(error)))
            page.on("request", lambda request, seen=requests: seen.append(request.url))
            page.goto((tmp_path / "page.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator(".u-over").count() == 5  # loss and accuracy of both sets, learning rate
            legend = page.locator(".legend").first.get_by_role("button")
            assert [name.strip() for name in legend.all_inner_texts()][:2] == ["A <b>bold</b>", "B tiny"]
            assert page.get_by_text("not tested: no predictions of C").count() == 2
            assert page.locator("td.best").count() > 0
            if width < 1900:  # it takes seconds, and has seen both colour schemes
                found = Axe().run(page).response["violations"]
                assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
            assert messages == []
            assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        browser.close()
