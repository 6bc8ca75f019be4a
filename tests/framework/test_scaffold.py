"""`frame plugin new`: what it makes of every kind passes its own tests, ruff and mypy as it is, and trains."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import CACHE, clean_environment, on_path
from frame import __version__
from frame.api.hookspecs import API_VERSION
from frame.cli.plugin_new import new
from frame.cli.scaffold import KINDS, Names, names, package, single_file, write
from frame.errors import UserError
from frame.plugins.load import load_plugins
from frame.plugins.registry import Registries

PLUGINS = load_plugins()


def made_names(kind: str) -> Names:
    return names(f"own-{kind}", PLUGINS)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A package of every kind, and a folder that stands for where they are installed."""
    folder = tmp_path_factory.mktemp("made")
    site = folder / "site"
    for kind in KINDS:
        own = made_names(kind)
        write(package(own, kind), folder)
        info = site / f"{own.name}-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {own.distribution}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[frame.plugins]\n{own.name} = {own.name}\n")
        (site / own.name).symlink_to(folder / own.distribution / "src" / own.name)
    return folder


def tool(packages: Path, *arguments: object) -> None:
    """Run a development tool over the packages as their author would, and expect it to be content."""
    environment = clean_environment(packages) | {**on_path(packages / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=packages, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def folders(packages: Path, *names: str) -> list[Path]:
    return [packages / made_names(kind).distribution / name for kind in KINDS for name in names]


class TestPackagesOfEveryKind:
    def test_there_is_one_for_every_kind_and_base(self):
        expected = {registry.kind for registry in Registries()} - {"transform"}
        assert set(KINDS) == expected | {"sample_transform", "batch_transform"}

    def test_ruff_finds_nothing(self, packages):
        tool(packages, "ruff", "check", "--no-cache", *folders(packages, "."))
        tool(packages, "ruff", "format", "--no-cache", "--check", *folders(packages, "."))

    def test_mypy_finds_nothing(self, packages):
        config = packages / made_names("model").distribution / "pyproject.toml"
        options = ("--config-file", config, "--cache-dir", CACHE / "mypy", *folders(packages, "src", "tests"))
        tool(packages, "mypy", *options)

    @pytest.mark.slow
    def test_their_own_tests_pass(self, packages):
        config = packages / made_names("model").distribution / "pyproject.toml"
        options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error::frame.testing.Advice", "-c", config)
        tool(packages, "pytest", *options, "--rootdir", packages, *folders(packages, "tests"))

    def test_frame_lists_them_without_importing_torch(self, packages, frame):
        script = (
            "import sys; from frame.plugins.load import load_plugins; plugins = load_plugins(); "
            "print([str(error) for error in plugins.errors], 'torch' in sys.modules, 'numpy' in sys.modules); "
            "print(*(f'{r.kind}/{name}' for r in plugins.registries for name in r))"
        )
        environment = clean_environment(packages) | on_path(packages / "site")
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        first, listed = done.stdout.splitlines()
        assert first == "[] False False"
        kinds = {f"{'transform' if 'transform' in kind else kind}/{made_names(kind).name}" for kind in KINDS}
        assert kinds <= set(listed.split())

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_setting_of_the_recipe_is_one_of_the_component(self, packages, kind):
        """The recipe names the component, and tells the schema's place and what to expect on top."""
        own = made_names(kind)
        text = (packages / own.distribution / "src" / own.name / "recipes" / f"{own.name}.yaml").read_text()
        assert text.startswith("# yaml-language-server: $schema=frame-recipe.schema.json\n")
        assert "# Expected: about " in text
        assert f"use: {own.name}" in text
        assert yaml.safe_load(text)["name"] == own.name

    def test_names_of_any_length_are_formatted_alike(self, tmp_path):
        for name in ("ab", "a_name_of_forty_letters_which_is_longest"):
            for kind in KINDS:
                write(package(names(name, PLUGINS), kind), tmp_path)
                (tmp_path / name.replace("_", "-")).rename(tmp_path / f"{name}_{kind}")
        write(single_file(names("alone", PLUGINS), "model"), tmp_path)
        tool(tmp_path, "ruff", "check", "--no-cache", tmp_path)
        tool(tmp_path, "ruff", "format", "--no-cache", "--check", "--line-length", "120", tmp_path)


@pytest.mark.slow
def test_a_package_as_pip_installs_it(cli, frame, tmp_path):
    """The wheel holds plugin, recipe and py.typed; the recipe trains by its name."""
    made = cli("plugin", "new", "Own Net")
    assert made.code == 0, made.err
    target = tmp_path / "target"
    command = ["uv", "pip", "install", "--python", sys.executable, "--target", target, "--no-deps"]
    command += ["--no-build-isolation", "--offline", "--no-cache", tmp_path / "own-net"]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.relative_to(target / "own_net").as_posix() for path in (target / "own_net").rglob("*.*")) == [
        "__init__.py",
        "py.typed",
        "recipes/own_net.yaml",
    ]
    environment = on_path(target)
    assert frame("show", "model/own_net", env=environment).stdout.startswith("model/own_net  from own-net 0.1.0\n")
    done = frame("run", "own_net", "train.epochs=1", "analyzers=[]", env=environment)
    assert done.returncode == 0, done.stderr
    assert "model     own_net: 94,186 parameters" in done.stdout + done.stderr
    (run,) = (tmp_path / "runs" / "own_net").iterdir()
    assert "own-net 0.1.0" in (run / "environment.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_of_each_kind_trains(packages, frame, tmp_path, kind):
    own = made_names(kind)
    done = frame("run", own.name, env=on_path(packages / "site"))
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr
    (run,) = (tmp_path / "runs" / own.name).iterdir()
    accuracy = yaml.safe_load((run / "run.json").read_text())["test_accuracy"]
    assert accuracy > (0.85 if kind in ("model", "dataset") else 0.95)


class TestSingleFile:
    @pytest.mark.parametrize("kind", KINDS)
    def test_its_recipe_is_right(self, cli, tmp_path, kind):
        made = cli("plugin", "new", "own_thing", "--kind", kind, "--single-file")
        assert made.code == 0, made.err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["own_thing.py", "own_thing.yaml"]
        assert cli("validate", "own_thing.yaml").out == "own_thing.yaml: ok\n"


def test_what_it_says(cli, tmp_path):
    (tmp_path / "some where").mkdir()
    made = cli("plugin", "new", "Small Steps", "--kind", "lr_finder", "--to", "some where")
    assert (made.code, made.err) == (0, "")
    assert (
        made.out
        == """\
made the LR finder 'small_steps':
  some where/small-steps/pyproject.toml
  some where/small-steps/README.md
  some where/small-steps/.gitignore
  some where/small-steps/.github/workflows/ci.yml
  some where/small-steps/src/small_steps/__init__.py
  some where/small-steps/src/small_steps/py.typed
  some where/small-steps/src/small_steps/recipes/small_steps.yaml
  some where/small-steps/tests/test_small_steps.py
next:
  cd 'some where/small-steps'       # the plugin's folder
  pip install --editable .          # or: uv pip install --editable .
  frame show lr_finder/small_steps  # frame knows it
  frame run small_steps             # trains src/small_steps/recipes/small_steps.yaml
  python -m pytest                  # its tests
  frame plugin check small_steps    # the contract of its kind alone
"""
    )
    module = (tmp_path / "some where/small-steps/src/small_steps/__init__.py").read_text()
    assert "class SmallSteps(LRFinderComponent):" in module
    assert f"FRAME_API = {API_VERSION}\n" in module
    project = (tmp_path / "some where/small-steps/pyproject.toml").read_text()
    assert f'dependencies = ["frame-train>={__version__}"]' in project


@pytest.mark.parametrize("given", ["tiny-net", "tiny_net", "TinyNet", "Tiny Net", "tiny.net", " tiny--net "])
def test_spellings_of_one_name(given):
    assert names(given, PLUGINS) == Names("tiny_net", "TinyNet")


@pytest.mark.parametrize(("given", "cls"), [("SGDR", "SGDR"), ("ResNet18", "ResNet18"), ("s10_net", "S10Net")])
def test_a_class_keeps_its_capitals(given, cls):
    assert names(given, PLUGINS).cls == cls


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("3d-net", "'3d-net' is no name for a Python module; did you mean 'my_3d_net'?"),
        ("tiny/net", "'tiny/net' is no name for a Python module; did you mean 'tiny_net'?"),
        ("../net", "'../net' is no name for a Python module; did you mean 'net'?"),
        ("größe", "'größe' is no name for a Python module; did you mean 'groe'?"),
        ("?", "'?' is no name for a Python module; did you mean 'my_plugin'?"),
        ("", "'' is no name for a Python module; did you mean 'my_plugin'?"),
        ("class", "'class' is a word of the Python language; did you mean 'my_class'?"),
        ("torch", "'torch' is already a Python module, which the new one would hide; did you mean 'my_torch'?"),
        ("json", "'json' is already a Python module, which the new one would hide; did you mean 'my_json'?"),
        ("frame", "'frame' is already a Python module, which the new one would hide; did you mean 'my_frame'?"),
        ("custom-resnet", f"'custom-resnet' is already a model, from frame-train {__version__}; did you mean 'my_custom_resnet'?"),
        ("Digits", f"'Digits' is already a dataset, from frame-train {__version__}; did you mean 'my_digits'?"),
        ("data-info", "'data-info' would make a class DataInfo, and frame has something of this name; did you mean 'my_data_info'?"),
        ("field", "'field' would make a class Field, and frame has something of this name; did you mean 'my_field'?"),
        ("x" * 41, f"'{'x' * 41}' has more than 40 characters; did you mean '{'x' * 40}'?"),
    ],
)  # fmt: skip
def test_names_that_cannot_be(cli, tmp_path, given, message):
    result = cli("plugin", "new", given)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_recipes_name_is_taken_too(cli):
    assert cli("plugin", "new", "quickstart").err.startswith("error: 'quickstart' is already a recipe, ")


class TestNothingIsOverwritten:
    @pytest.mark.parametrize(("options", "there"), [([], "own-net"), (["--single-file"], "own_net.yaml")])
    def test_what_is_there_stays(self, cli, tmp_path, options, there):
        (tmp_path / there).write_text("mine")
        result = cli("plugin", "new", "own-net", *options)
        assert result.code == 2
        assert result.err == f"error: {there} exists; nothing is overwritten: take another name, or another --to\n"
        assert [path.name for path in tmp_path.iterdir()] == [there]
        assert (tmp_path / there).read_text() == "mine"

    def test_twice(self, cli, tmp_path):
        assert cli("plugin", "new", "own-net").code == 0
        assert cli("plugin", "new", "own-net").code == 2

    def test_nothing_half_written_stays(self, cli, tmp_path, monkeypatch):
        """The second of two files cannot be put in its place: the first goes again."""
        rename = Path.rename

        def full(self, target):
            if Path(target).suffix == ".yaml":
                raise OSError(28, os.strerror(28))
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", full)
        result = cli("plugin", "new", "own-net", "--single-file")
        assert (result.code, result.err) == (2, "error: the plugin cannot be written into .: No space left on device\n")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_may_not_be_written_to(self, tmp_path):
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o555)
        with pytest.raises(UserError, match="closed cannot be written to: Permission denied"):
            write({"a.py": ""}, closed)

    def test_a_folder_that_is_not_there(self, cli):
        result = cli("plugin", "new", "own-net", "--to", "nowhere")
        assert result.code == 2
        assert "nowhere" in result.err
        assert "Traceback" not in result.err


def test_the_command_offers_every_kind():
    (kind,) = [option for option in new.params if option.name == "kind"]
    assert list(kind.type.choices) == list(KINDS)
