"""The documentation is true: its examples run, and it mentions every setting, hook, component, file and command."""

import ast
import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import pages
import pytest
import yaml
from PIL import Image
from pydantic_core import PydanticUndefined

import frame as public
from conftest import clean_environment
from fakes import launching
from frame.api import hookspecs
from frame.api.kinds import KINDS
from frame.cli import cli
from frame.recipe.settings import DATA, CheckpointSettings, Normalization, RecipeSettings, TrainSettings
from frame.rundir.folder import Name, RunDir
from frame.sweep.spec import SweepSettings, load_sweep

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
DOCS = {path.stem: path.read_text() for path in (REPOSITORY / "docs").glob("*.md")}

SETTINGS = {
    "": RecipeSettings,
    "data.": DATA,
    "data.normalize.": Normalization,
    "train.": TrainSettings,
    "checkpoint.": CheckpointSettings,
}
FIELDS = [(prefix + name, field) for prefix, model in SETTINGS.items() for name, field in model.model_fields.items()]
SAID_OTHERWISE = {"name": "the file's name", "checkpoint": "see [below](#checkpoint)"}


def rows(text):
    """The cells of every table row whose first cell begins with a name in backticks, by that name."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].split("`")[1]: row for row in cells}


def blocks(text):
    """File name -> content of the code blocks that carry one."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(("key", "field"), FIELDS, ids=[key for key, _ in FIELDS])
def test_every_setting_of_the_host_is_documented_with_its_default(key, field):
    said = rows(DOCS["recipes"])[key][1]
    if key in SAID_OTHERWISE:
        assert said == SAID_OTHERWISE[key]
    elif field.default is PydanticUndefined:
        assert said == "required"
    else:
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        assert yaml.safe_load(said.strip("`")) == default


def test_no_setting_is_documented_that_does_not_exist():
    variables = {"FRAME_DATA_DIR", "FRAME_DISABLE_PLUGINS", "FRAME_STRICT_PLUGINS"}
    known = {key for key, _ in FIELDS} | {"extends", "x-...", "plugins"} | variables
    assert set(rows(DOCS["recipes"])) == known


def test_every_hook_is_documented():
    hooks = {name for name in vars(hookspecs) if name.startswith("frame_")}
    assert hooks == {name for name in rows(DOCS["plugins"]) if name.startswith("frame_")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_in_the_table_of_contracts(kind):
    for base in kind.variants or (kind.base,):
        assert re.search(rf"^\| {kind.name}\b.*\| `{base.__name__}` \|", DOCS["plugins"], re.MULTILINE), base
    for section in kind.sections:
        assert f"`{section.name}{'[]' * section.many}`" in DOCS["plugins"]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_the_pages_that_are_written_from_the_code_are_up_to_date(page):
    advice = "write it again: uv run python tests/docs/pages.py"
    assert page.read_text() == f"{pages.PAGES[page]().rstrip()}\n", advice


def test_every_public_name_is_in_the_api_or_the_page_on_plugins():
    tree = ast.parse(Path(public.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level and node.module]
    origins = {alias.name: node.module for node in imports for alias in node.names}
    assert set(origins) == set(dir(public)) - {"__version__"}
    assert set(public.__all__) == {alias.name for node in imports if node in tree.body for alias in node.names}
    for topic in ("figures", "images"):
        assert origins.pop(topic) == "api"
        tree = ast.parse(Path(getattr(public, topic).__file__).read_text())
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        names = {alias.name: f"api.{topic}.{node.module}" for node in imports for alias in node.names}
        assert set(names) == set(getattr(public, topic).__all__)
        origins |= names
    shown = set(re.findall(r"^### `(\w+)`$", DOCS["api"], re.MULTILINE))
    assert [name for name in origins if name not in shown and not re.search(rf"\b{name}\b", DOCS["plugins"])] == []


def test_what_plugins_of_version_1_imported_is_there_or_the_table_of_changes_says_where():
    changes = DOCS["plugins"].partition("#### From version 1 to 2")[2].partition("\n## ")[0]
    before = Path(__file__).with_name("public_names_of_version_1.txt").read_text().split()
    gone = [name for name in before if not hasattr(public, name)]
    assert gone
    assert [name for name in gone if not re.search(rf"^\| `from frame import .*\b{name}\b.*` \|", changes, re.M)] == []
    for module, name in re.findall(r"`(figures|images)\.(\w+)`", changes):
        assert hasattr(getattr(public, module), name)


def test_every_file_of_a_runs_folder_is_documented():
    names = [name for name, value in vars(RunDir).items() if isinstance(value, Name)]
    assert len(names) >= 10
    said = {name.rstrip("/") for name in rows(DOCS["run-folder"])}
    assert {getattr(RunDir(Path("run")), name).name for name in names} <= said


@pytest.mark.parametrize("command", sorted(cli.places))
def test_every_command_is_in_the_readme(command):
    assert re.search(rf"^\| `frame {command}\b", README, re.MULTILINE)


def test_links_between_pages_lead_somewhere():
    pages = {REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")}
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text())]
    assert len(links) > 10
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


@pytest.fixture
def examples(tmp_path):
    """A folder with the files that README and the pages on plugins and recipes show, beside the shipped recipes."""
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    for name, content in (blocks(README) | blocks(DOCS["plugins"]) | blocks(DOCS["recipes"])).items():
        (tmp_path / name).write_text(content)
    return tmp_path


def commands(text):
    shell = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    return re.findall(r"^(?:.*uv run )?frame run (.+)$", shell, re.MULTILINE)


SHOWN = commands(README + DOCS["recipes"] + DOCS["reports"])


@pytest.mark.parametrize("arguments", [*SHOWN, "my_longer.yaml", " ".join(blocks(DOCS["recipes"]))])
def test_commands_as_shown_are_valid(arguments, examples, cli):
    done = cli("validate", *shlex.split(arguments))
    assert done.out.endswith(": ok\n"), done.err


def test_mistakes_are_reported_as_the_readme_shows(examples, cli):
    recipe = examples / "my_cifar10.yaml"
    wrong = recipe.read_text().replace("{use: custom_resnet}", "{use: custom_resnet, widht: 1}")
    recipe.write_text(wrong.replace("use: one_cycle", "use: one_cycl"))
    done = cli("validate", recipe.name, "train.epochs=-1")
    assert done.code == 2
    assert f"```text\n{done.err}```" in README


def test_plugins_as_shown_run(examples, cli):
    done = cli("run", "my_explained.yaml", "--dry-run")
    assert "one batch went through training, evaluation and 1 analyzers" in done.out, done.err
    for shown in ("use: linear", "use: brightness", "use: hardest_classes"):
        assert shown in done.out
    assert not (examples / "runs").exists()


def test_the_tests_that_reliability_names_exist():
    named = set(re.findall(r"`(test_\w+)`", DOCS["reliability"]))
    code = "\n".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert len(named) > 30
    assert named - set(re.findall(r"def (test_\w+)\(", code)) == set()


@pytest.fixture(scope="module")
def after_the_run(trained):
    """A folder with a finished run, and what the examples of that page name."""
    tiny = REPOSITORY / "tests" / "framework" / "fixtures" / "tiny.yaml"
    analyzers = "[{use: curves}, {use: confusion, pairs: 0}, {use: misclassified}]"
    return trained(tiny, "train.epochs=1", f"analyzers={analyzers}")


EXAMPLES = re.findall(r"^(.*\$RUN.*)$", "".join(re.findall(r"```sh\n(.*?)```", DOCS["after-the-run"], re.DOTALL)), re.M)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_shown_of_finished_runs_works(example, after_the_run, cli, monkeypatch, tmp_path):
    shutil.copytree(after_the_run, tmp_path, dirs_exist_ok=True)
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    (tmp_path / "photos").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "photos" / "7.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"photos/7.png\n")))
    command = example.partition("| ")[2] or example
    done = cli(*shlex.split(command.replace("$RUN", str(run)))[1:])
    assert done.code == 0, done.err
    assert done.out


def test_the_notebook_as_shown_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOCS["after-the-run"], re.DOTALL)
    recipe = REPOSITORY / "tests" / "framework" / "fixtures" / "tiny.yaml"
    environment = {**clean_environment(tmp_path), "MPLBACKEND": "Agg"}
    (tmp_path / "notebook.py").write_text(code.replace('"quickstart"', repr(str(recipe))))
    done = launching.run([], tmp_path, environment, module="notebook")
    assert done.returncode == 0, done.stderr


SWEEPS = [line for line in DOCS["sweeps"].splitlines() if line.startswith("frame sweep ")]


def test_the_sweep_as_shown_is_right_and_its_mistakes_are_reported_as_shown(cli, tmp_path):
    (example,) = blocks(DOCS["sweeps"]).values()
    (tmp_path / "search.yaml").write_text(example)
    for command in SWEEPS:
        _, _, recipe, file, *overrides = command.split(" --out")[0].split()
        sweep = load_sweep(recipe, tmp_path / file, overrides)
        assert (sweep.trials, sweep.epochs, sweep.metric) == (6, 5, "test/acc")
    wrong = example.replace("max_lr", "max_l").replace("[3, 5]", "[0, 5]")
    (tmp_path / "search.yaml").write_text(wrong)
    assert f"```text\n{cli('sweep', 'quickstart', 'search.yaml').err}```" in DOCS["sweeps"]


def test_every_setting_of_a_sweep_is_documented_with_its_default():
    said = rows(DOCS["sweeps"])
    for name, field in SweepSettings.model_fields.items():
        if isinstance(field.default, int | None) and name not in ("name", "trials", "metric", "mode"):
            assert yaml.safe_load(said[name][1].strip("`")) == field.default
        assert name in said


@pytest.mark.slow
def test_the_sweep_as_shown_runs(frame, tmp_path):
    (example,) = blocks(DOCS["sweeps"]).values()
    (tmp_path / "search.yaml").write_text(example)
    done = frame(*SWEEPS[-1].split()[1:])
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs/quickstart").glob("*/run.json"))) == 6
    again = frame("run", "sweeps/search/best.yaml", "--dry-run")
    assert again.returncode == 0, again.stderr


def test_every_entry_of_why_frame_has_a_test_that_exists_and_a_thread_of_another_project():
    entries = re.split(r"^- ", DOCS["why"], flags=re.MULTILINE)[1:]
    assert len(entries) > 10
    for entry in entries:
        promise = entry.partition("\n")[0]
        (test,) = re.findall(r"Test: `(.+)`$", entry, re.MULTILINE)
        path, *names = test.split("::")
        code = (REPOSITORY / path).read_text()
        assert names, promise
        assert [name for name in names if not re.search(rf"^ *(def|class) {name}\b", code, re.M)] == [], promise
        links = re.findall(r"\]\((.*?)\)", entry.partition("Met elsewhere: ")[2].partition("Test: ")[0])
        assert links, promise
        assert all(re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", link) for link in links)
