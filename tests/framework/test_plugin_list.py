"""`frame plugin list`: every plugin, where it is from, what it provides, and why one did not load."""

from __future__ import annotations

import json

import pytest

import frame as package
from conftest import on_path
from fakes.distributions import install_distribution, model
from frame.plugins.load import load_plugins

FRAME = f"frame-train {package.__version__}"


@pytest.fixture
def listed(frame, tmp_path):
    """List the plugins with some distributions beside frame's own: a process of its own, as its modules are."""

    def listed(*arguments, **distributions):
        for name, text in distributions.items():
            install_distribution(tmp_path / "site", name.replace("_", "-"), text)
        return frame("plugin", "list", *arguments, env=on_path(tmp_path / "site"))

    return listed


def test_everything_that_is_loaded_is_in_it(cli):
    result = cli("plugin", "list")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == FRAME
    plugins = load_plugins()
    for registry in plugins.registries:
        for name, entry in registry.entries.items():
            (line,) = [line for line in result.out.splitlines() if line.startswith(f"  {entry.plugin}: ")]
            assert f"{registry.kind}/{name}" in line.partition(": ")[2].split(", ")
    for recipe in plugins.recipes:
        assert f"recipe {recipe}" in result.out


def test_a_strangers_plugins_and_those_that_did_not_load(listed, tmp_path):
    result = listed(some_models="FRAME_API = 2\n" + model("some_net"), not_this_one="raise RuntimeError('no luck')\n")
    assert result.returncode == 0
    site = "site"  # the command runs in the folder that it lies in
    loaded, _, failed = result.stdout.partition("failed to load\n")
    assert loaded.endswith(
        f"some-models 0.3\n  some_models: model/some_net\n      some_models, {site}/some_models.py, for plugin API 2\n"
    )
    file = tmp_path / "site" / "not_this_one.py"
    assert failed == (f"  not_this_one of not-this-one 0.3 (not_this_one)\n      RuntimeError: no luck ({file}:1)\n")
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.rstrip().endswith("RuntimeError: no luck")


def test_as_json(listed, tmp_path):
    result = listed(
        "--json", some_models="FRAME_API = 2\n" + model("some_net"), not_this_one="FRAME_API = 3\n" + model("x")
    )
    assert (result.returncode, result.stderr) == (0, "")
    said = json.loads(result.stdout)
    (mine,) = [one for one in said["plugins"] if one["plugin"] == "some_models"]
    assert mine == {
        "plugin": "some_models",
        "distribution": "some-models",
        "version": "0.3",
        "entry_point": "some_models",
        "file": str(tmp_path / "site" / "some_models.py"),
        "api": 2,
        "components": {"model": ["some_net"]},
        "recipes": [],
    }
    assert {one["plugin"] for one in said["plugins"]} == {*load_plugins().origins, "some_models"}
    (recipes,) = [one for one in said["plugins"] if one["plugin"] == "shipped_recipes"]
    assert recipes["recipes"] == sorted(load_plugins().recipes)
    (error,) = said["errors"]
    assert error.pop("traceback").startswith("Traceback")
    assert error == {
        "plugin": "not_this_one",
        "distribution": "not-this-one",
        "version": "0.3",
        "entry_point": "not_this_one",
        "cause": "site/not_this_one.py was written for plugin API 3, and this frame has plugin API 2; upgrade frame",
    }
    assert said["disabled"] == []


def test_those_that_are_turned_off_are_named(frame):
    result = frame("plugin", "list", env={"FRAME_DISABLE_PLUGINS": "digits,ema,unheard_of"})
    assert result.stdout.endswith("turned off by FRAME_DISABLE_PLUGINS\n  digits, ema\n")
    assert "dataset/digits" not in result.stdout
