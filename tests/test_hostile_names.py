"""Names of classes and files that want to be more than names: HTML, scripts, paths, formulas, other lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from safetensors import safe_open

from conftest import clean_environment
from fakes import launching

TINY = Path(__file__).parent / "framework" / "fixtures" / "tiny.yaml"
NAMES = (
    "<img src=x onerror=\"window.pwned='img'\">",
    "</script><script>window.pwned='script'</script>",
    "</option><svg onload=window.pwned='svg'>",
    "javascript:window.pwned='link'",
    "two\nlines",
    "\u202egpj.exe",
    "\"quotes\" and 'others' & `more` ${window.pwned=1} {{ 7 * 7 }} {% raw %}",
    "../../../escaped",
    "/etc/frame-escaped",
    "$\\frac$ =1+1",
)
PLUGIN = f"""
import dataclasses
from frame import AnalyzerComponent, AnalyzerResult, DatasetComponent, Picture, Table, figures, hookimpl
from frame_plugins.data.digits import Digits

NAMES = {NAMES!r}


class Hostile(DatasetComponent):
    '''The digits, under other names.'''

    def build(self, root):
        data = Digits().build(root)
        train, test = (
            dataclasses.replace(part, sources=[f"{{NAMES[t]}}/{{NAMES[t]}}.png" for t in part.targets])
            for part in (data.train, data.test)
        )
        return dataclasses.replace(data, train=train, test=test, classes=NAMES)


class Writes(AnalyzerComponent):
    '''Names a figure and a table.'''

    figure: str = "figure"
    table: str = "table"

    def build(self, run):
        picture = Picture(self.figure, NAMES[0], figures.new_figure(1.0), NAMES[1])
        rows = [(name, 1) for name in run.data.classes]
        return AnalyzerResult(NAMES[2], (picture,), (Table(self.table, NAMES[3], NAMES[4:6], rows),), notes=NAMES)


@hookimpl
def frame_components():
    return {{"hostile": Hostile, "writes": Writes}}
"""
ANALYZERS = (
    "[{use: curves}, {use: confusion}, {use: misclassified}, {use: correct, count: 20}, {use: samples},"
    " {use: label_errors}, {use: calibration},"
    " {use: grad_cam, correct: 1, misclassified: 1, overlays: 2}, {use: writes, figure: ../../x}, {use: writes}]"
)


def train(home: Path, *settings: str) -> str:
    """Run a recipe of a dataset with such names in `home`; return what it says to standard error."""
    home.mkdir(parents=True)
    (home / "hostile.py").write_text(PLUGIN)
    recipe = TINY.read_text().replace("./helpers.py", f"{TINY.parent / 'helpers.py'}, ./hostile.py")
    (home / "hostile.yaml").write_text(recipe.replace("use: digits", "use: hostile"))
    done = launching.run(["run", "hostile.yaml", "train.epochs=1", *settings], home, clean_environment(home))
    assert done.returncode == 0, done.stderr
    return done.stderr


def written_outside(home: Path) -> set[str]:
    """What a run in `home` wrote beside its own folder, up to three folders above, without the libraries' caches."""
    top, caches = home.parents[2], {".cache", ".config", ".local"}
    files = [path for path in top.rglob("*") if not path.is_dir() and home / "runs" not in path.parents]
    names = {path.relative_to(top).as_posix() for path in files if not caches & set(path.parts)}
    return names - {"a/b/c/hostile.py", "a/b/c/hostile.yaml"}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a finished run of a dataset with such names."""
    home = tmp_path_factory.mktemp("home") / "a" / "b" / "c"
    train(home, f"analyzers={ANALYZERS}")
    return home


@pytest.fixture(scope="module")
def run(home) -> Path:
    (run,) = (home / "runs" / "tiny").iterdir()
    return run


def test_nothing_is_written_outside_the_runs_folder(home, run):
    assert written_outside(home) == set()
    assert not Path("/etc/frame-escaped").exists()
    files = [path.name for path in (run / "analysis").rglob("*") if path.is_file()]
    assert all(name.isascii() and name.isprintable() for name in files)


@pytest.mark.slow
def test_trackers_write_nothing_outside_the_runs_folder(tmp_path):
    home = tmp_path / "a" / "b" / "c"
    trackers = "trackers=[{use: wandb, mode: offline}, {use: tensorboard}]"
    said = train(home, f"analyzers={ANALYZERS}", trackers)
    assert "is off from here on" not in said
    assert written_outside(home) == set()


def test_every_shipped_analyzer_takes_such_names(run):
    failed = {path.parent.name for path in run.glob("analysis/*/error.txt")}
    assert failed == {"writes"}


def test_a_figure_whose_name_is_a_path_fails_its_analyzer_alone(run):
    said = json.loads((run / "analysis/writes/result.json").read_text())["error"]
    assert said.startswith("ValueError: '../../x' cannot name a file")
    assert not (run / "x.png").exists()


def test_class_names_with_line_breaks_survive(run):
    with safe_open(run / "model.safetensors", framework="numpy") as weights:
        assert tuple(json.loads(weights.metadata()["classes"])) == NAMES


def test_tables_have_names_as_they_are(run):
    with (run / "analysis/confusion/per_class.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows} >= set(NAMES)


@pytest.mark.browser
def test_the_report_shows_names_as_text_and_runs_none(run, browser):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    wrong, requests = [], []
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run / "report.html").as_uri())
    heads = page.locator(".matrix thead th span").evaluate_all("all => all.map(each => each.textContent)")
    assert tuple(heads) == NAMES
    assert set(page.evaluate("data.classes")) == set(NAMES)
    options = page.locator("select[name=target] option").evaluate_all("all => all.map(each => each.value)")
    assert set(options) - {""} <= set(NAMES)
    assert len(options) > len(NAMES) / 2
    for number in range(min(12, page.locator("#grid button").count())):
        page.locator("#grid button").nth(number).click()
        shown = page.locator("#viewer-body").evaluate("place => place.textContent")
        image = page.evaluate("list[current]")
        assert image["source"] in shown
        assert image["target"] in shown
        page.keyboard.press("Escape")
    for name in NAMES:
        cell = page.locator(".matrix [data-true]").evaluate_all(
            "(all, name) => all.filter(each => each.dataset.true === name).map(each => each.click()).length", name
        )
        assert cell > 0
    assert page.locator("img:not([src^='data:'])").count() == 0
    assert page.locator("script").count() == 3
    assert page.locator("svg, iframe, object, embed, link:not([rel=icon]), base, form[action]").count() == 0
    assert page.locator("a[href]:not([href^='#'])").count() == 0
    assert page.evaluate("window.pwned") is None
    assert wrong == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", "", ".hidden", "a\nb", "x\0"])
def test_a_component_whose_name_is_a_path_is_refused(cli, recipe_file, name):
    plugin = PLUGIN.replace('"writes": Writes', f"{name!r}: Writes")
    recipe_file(plugin, "hostile.py")
    recipe = recipe_file(TINY.read_text().replace("./helpers.py", f"{TINY.parent / 'helpers.py'}, ./hostile.py"))
    result = cli("validate", recipe)
    assert result.code == 2
    assert "is no name for a component: letters, digits" in result.err
