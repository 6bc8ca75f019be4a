"""The tutorial is true: each file it shows keeps its contract, its recipe is right, and all of them train together."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import clean_environment
from fakes import launching
from frame.api import components, hookspecs
from frame.cli.scaffold import KINDS

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "writing-plugins.md").read_text()
REFERENCE = (REPOSITORY / "docs" / "plugins.md").read_text()

NAMED = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
PLUGINS = [name for name, text in NAMED.items() if "@hookimpl" in text]
FRAGMENTS = re.findall(r"(?<!:\n\n)^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = dict(zip(PLUGINS, FRAGMENTS, strict=True))
MAKES_DATA = "make_digits.py"


def values(text):
    return OmegaConf.to_container(OmegaConf.create(text))


def laid_over(recipe, fragment):
    """The recipe with a fragment's lines added: lists grow, sections merge, and another component takes the place."""
    result = deepcopy(recipe)
    for key, value in fragment.items():
        if isinstance(value, list):
            result[key] = result.get(key, []) + value
        elif isinstance(value, dict) and (key == "data" or "use" not in value):
            result[key] = laid_over(result.get(key, {}), value)
        else:
            result[key] = value
    return result


def shown(command):
    """What the page shows of a command's output."""
    return CONSOLE.split(f"$ {command}\n")[1].split("\n$ ")[0].rstrip("\n") + "\n"


@pytest.fixture
def tutorial(tmp_path):
    for name, text in NAMED.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The folder `data` that the page's script writes, its file also under the name that the dataset looks for."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / MAKES_DATA).write_text(NAMED[MAKES_DATA])
    subprocess.run([sys.executable, MAKES_DATA], cwd=folder, check=True)
    (folder / "data" / "images.npz").symlink_to("digits.npz")
    return folder / "data"


def test_there_is_a_section_for_every_kind():
    bases = {base for base in re.findall(r"`(\w+)`", REFERENCE) if inspect.isabstract(getattr(components, base, None))}
    used = {base for text in NAMED.values() for base in re.findall(r"^class \w+\((\w+)\):$", text, re.MULTILINE)}
    assert len(PLUGINS) == len(KINDS)
    assert bases - used == {"AnalyzerComponent"}  # the reference has an example of its own


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_keeps_its_contract(tutorial, digits, cli, plugin):
    (tutorial / "data").symlink_to(digits)
    checked = cli("plugin", "check", f"./{plugin}")
    assert checked.code == 0, checked.out
    assert re.search(r"(\d+) checks of 1 component: \1 ok\n$", checked.out), checked.out


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_recipe_is_right(tutorial, cli, plugin):
    recipe = laid_over(values(NAMED["tutorial.yaml"]), values(EXAMPLES[plugin]))
    recipe["plugins"] = [f"./{plugin}"]
    OmegaConf.save(recipe, tutorial / "tutorial.yaml")
    result = cli("validate", "tutorial.yaml")
    assert (result.code, result.out, result.err) == (0, "tutorial.yaml: ok\n", "")


@pytest.mark.slow
def test_all_of_them_train_together(tutorial, digits, frame):
    (tutorial / "data").symlink_to(digits)
    recipe = values(NAMED["tutorial.yaml"]) | {"plugins": [f"./{plugin}" for plugin in PLUGINS]}
    for fragment in FRAGMENTS:
        recipe = laid_over(recipe, values(fragment))
    OmegaConf.save(recipe, tutorial / "tutorial.yaml")
    done = frame("run", "tutorial.yaml")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr
    (run,) = (tutorial / "runs" / "tutorial").iterdir()
    latest = json.loads((run / "latest.json").read_text())
    assert (latest["status"], latest["epoch"]) == ("finished", 2)
    assert latest["test/acc"] > 0.3
    assert latest["epoch_seconds/slowest (s)"] > 0
    assert "the lowest loss after 8 steps" in (run / "lr_finder.json").read_text()


def test_its_tests_pass(tutorial):
    arguments = ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "test_plugins.py"]
    done = launching.run(arguments, tutorial, clean_environment(tutorial), module="pytest")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("command", ["frame plugin new tiny-net", "frame plugin new my-model --single-file"])
def test_what_new_prints_is_as_shown(cli, command):
    assert cli(*command.split()[1:]).out == shown(command)


def test_what_show_prints_is_as_shown(cli, tmp_path, monkeypatch):
    """From the package's own folder, installed as `pip install --editable` does."""
    cli("plugin", "new", "tiny-net")
    info = tmp_path / "tiny-net" / "src" / "tiny_net-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-net\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[frame.plugins]\ntiny_net = tiny_net\n")
    monkeypatch.syspath_prepend(tmp_path / "tiny-net" / "src")
    try:
        printed = cli("show", "model/tiny_net").out.replace("Defined in tiny-net/", "Defined in ")
    finally:
        sys.modules.pop("tiny_net", None)
    assert printed == shown("frame show model/tiny_net")


def test_what_check_prints_begins_as_shown(tutorial, cli):
    lines = shown("frame plugin check mlp.py").splitlines()
    assert lines[-1] == "..."
    assert cli("plugin", "check", "mlp.py").out.splitlines()[: len(lines) - 1] == lines[:-1]


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("frame_")])
def test_every_hook_is_implemented_by_a_plugin_of_the_tests(hook):
    """A new hook needs a plugin that implements it in the tests, a line in the reference, and one in the API."""
    tests = [REPOSITORY / "tests" / name for name in ("framework/test_plugins.py", "fakes/distributions.py")]
    assert re.search(rf"@hookimpl(\n|\\n)def {hook}\(", "".join(test.read_text() for test in tests))
    assert re.search(rf"^\| `{hook}` \|", REFERENCE, re.MULTILINE)
    api = (REPOSITORY / "docs" / "api.md").read_text()
    assert re.search(rf"^### `{hook}`$", api, re.MULTILINE)
