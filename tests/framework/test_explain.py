"""`frame explain`: every value of a recipe with its origin."""

from __future__ import annotations

import json

import pytest

from frame.recipe.load import load_recipe

BASE = """\
data: {use: digits, batch_size: 64}
model:
  use: custom_resnet
  widths:
    - 16
    - 32
    - 64
    - 128
loss: {use: cross_entropy}
optimizer: {use: adamw, lr: auto}
lr_finder: {use: lr_range_test}
callbacks: [{use: freeze, after_epochs: {'*.bias': 1}}]
train: {epochs: 2}
"""
TOP = """\
extends: base.yaml
data:
  train_transforms:
    - use: torchvision
      pipeline:
        - {use: RandomErasing, scale: [0.02, 0.3]}
    - {use: random_flip, p: 0.2}
analyzers:
  - use: robustness
"""


@pytest.fixture
def explain(cli, recipe_file, monkeypatch):
    """Explain a recipe that extends another one, at so many columns; return the lines."""
    recipe_file(BASE, "base.yaml")
    recipe_file(TOP, "top.yaml")

    def call(*arguments: str, columns: int = 80) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        result = cli("explain", "top.yaml", *arguments)
        assert (result.code, result.err) == (0, "")
        return result.out.splitlines()

    return call


def origins(lines: list[str]) -> dict[str, str]:
    """What stands on a line, without its indent, and the origin beside it."""
    return {text.strip(): origin for text, _, origin in (line.partition("  # ") for line in lines)}


def test_each_value_says_where_it_is_from(explain):
    found = origins(explain("train.device=cpu", "data.batch_size=32"))
    assert found["name: top"] == "default"
    assert found["- use: random_flip"] == "top.yaml:7"
    assert found["p: 0.2"] == "top.yaml:7"
    assert found["scale: [0.02, 0.3]"] == "top.yaml:6"
    assert found["batch_size: 32"] == "command line"
    assert found["device: cpu"] == "command line"
    assert found["epochs: 2"] == "base.yaml:13"
    assert found["'*.bias': 1"] == "base.yaml:12"
    assert found["betas: [0.9, 0.999]"] == "default"
    assert found["scheduler: null"] == "default"
    assert found["trackers: []"] == "default"
    assert found["data:"] == found["model:"] == ""  # the head of a section is nobody's


def test_a_list_of_plain_values_is_one_unless_it_is_from_several_places(explain):
    assert origins(explain())["widths: [16, 32, 64, 128]"] == "base.yaml:4"
    assert origins(explain("model.widths=[1, 2, 3, 4]"))["widths: [1, 2, 3, 4]"] == "command line"
    found = origins(explain("model.widths.1=33"))
    assert [found[f"- {width}"] for width in (16, 33, 64, 128)] == [
        "base.yaml:5",
        "command line",
        "base.yaml:7",
        "base.yaml:8",
    ]


def test_what_the_lr_finder_will_find_says_so(explain):
    lines = explain()
    at = next(number for number, line in enumerate(lines) if line.startswith("  lr: auto"))
    assert lines[at - 1] == "  # lr waits for the LR finder"
    assert lines[at].endswith("# base.yaml:10")
    assert not any("waits" in line for line in explain("optimizer.lr=0.1", "lr_finder=null"))


@pytest.mark.parametrize("columns", [80, 160])
def test_it_fits_the_terminal_in_two_columns(explain, columns):
    lines = explain("checkpoint.monitor=test/loss", columns=columns)
    assert max(map(len, lines)) <= columns
    assert len({line.index("  # ") for line in lines if "  # " in line.lstrip()}) == 1
    corruptions = [line for line in lines if "gaussian_noise" in line]
    assert corruptions[0].strip().startswith("corruptions: [" if columns == 160 else "- gaussian_noise")


def test_what_is_shown_is_a_recipe_that_comes_to_the_same(explain, cli, tmp_path, monkeypatch):
    (tmp_path / "shown.yaml").write_text("\n".join(explain("model.widths.1=33", "optimizer.lr=1e-3", "lr_finder=null")))
    monkeypatch.chdir(tmp_path)
    again = load_recipe("shown.yaml").recipe
    first = load_recipe("top.yaml", ("model.widths.1=33", "optimizer.lr=1e-3", "lr_finder=null")).recipe
    assert again.values() == first.values()


def test_files_from_elsewhere_are_called_by_their_names(cli, recipe_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    recipe_file("extends: s10_resnet_original\ntrain: {epochs: 6}\n")
    result = cli("explain", "recipe.yaml")
    lines = result.out.splitlines()
    assert [line.partition(" is ")[0] for line in lines[:2]] == ["# s10_resnet.yaml", "# s10_resnet_original.yaml"]
    assert all(line.endswith(f"/recipes/{line.split()[1]}") for line in lines[:2])
    found = origins(lines[2:])
    assert found["epochs: 6"] == "recipe.yaml:2"
    assert found["batch_size: 512"].startswith("s10_resnet.yaml:")
    assert found["softmax: true"].startswith("s10_resnet_original.yaml:")
    assert max(map(len, lines[2:])) <= 80
    assert result.err.startswith("warning: ")  # the finder's suggestion is asked for by nobody


def test_plugins_are_where_they_are_named(cli, recipe_file, tmp_path):
    recipe_file("from frame import hookimpl\n@hookimpl\ndef frame_components(): return {}\n", "mine.py")
    recipe_file("extends: quickstart\nplugins:\n  - ./mine.py\n")
    found = origins(cli("explain", "recipe.yaml").out.splitlines())
    assert found[f"- {tmp_path / 'mine.py'}"] == "recipe.yaml:3"


def test_a_default_that_an_interpolation_leads_to(cli, recipe_file):
    recipe_file("extends: quickstart\ntrain: {log_every: '${data.eval_batch_size}'}\nname: '${train.epochs}-${seed}'\n")
    found = origins(cli("explain", "recipe.yaml", "seed=3").out.splitlines())
    assert found["log_every: 500"] == "recipe.yaml:2, default of data.eval_batch_size"
    assert found["name: 5-3"] == "recipe.yaml:3"
    values = {one["key"]: one for one in json.loads(cli("explain", "recipe.yaml", "--json").out)}
    assert values["train.log_every"]["defaults"] == ["data.eval_batch_size"]
    assert "defaults" not in values["train.epochs"]


def test_for_programs(explain, cli):
    explain()
    values = {one["key"]: one for one in json.loads(cli("explain", "top.yaml", "train.device=cpu", "--json").out)}
    assert values["optimizer.lr"] == {
        "key": "optimizer.lr",
        "value": "auto",
        "origin": "file",
        "file": "base.yaml",
        "line": 10,
        "waits": True,
    }
    nowhere = {"file": None, "line": None, "waits": False}
    assert values["train.device"] == {"key": "train.device", "value": "cpu", "origin": "command line", **nowhere}
    assert values["seed"] == {"key": "seed", "value": 0, "origin": "default", **nowhere}
    assert values["data.train_transforms.0.pipeline.0.scale"]["value"] == [0.02, 0.3]


def test_a_wrong_recipe_is_told_as_ever(cli):
    result = cli("explain", "quickstart", "train.epoch=1")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: command line: train.epoch: unknown setting; did you mean 'epochs'?\n"
