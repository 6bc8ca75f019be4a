"""`frame init`: a shipped recipe to begin with, and the schema beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frame.plugins.load import load_plugins
from frame.recipe.load import load_recipe
from frame.recipe.schema import SCHEMA_FILE

RECIPES = load_plugins().recipes


def test_the_first_recipe(cli, tmp_path):
    result = cli("init")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"wrote quickstart.yaml, and {SCHEMA_FILE} beside it for your editor\n"
        "next: frame validate quickstart.yaml\n"
        "      frame run quickstart.yaml\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [SCHEMA_FILE, "quickstart.yaml"]
    assert (tmp_path / "quickstart.yaml").read_text() == RECIPES["quickstart"].read_text()
    assert json.loads((tmp_path / SCHEMA_FILE).read_text())["properties"]["model"]
    header = (tmp_path / "quickstart.yaml").read_text().splitlines()[0]
    assert (tmp_path / header.removeprefix("# yaml-language-server: $schema=")).is_file()
    assert cli("validate", "quickstart.yaml").out == "quickstart.yaml: ok\n"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_copy_comes_to_the_same_as_what_was_copied(cli, name, tmp_path):
    assert cli("init", name, "--to", "somewhere/else").code == 0
    copy = tmp_path / "somewhere" / "else" / f"{name}.yaml"
    assert load_recipe(str(copy)).recipe.values() == load_recipe(name).recipe.values()
    assert copy.with_name(SCHEMA_FILE).is_file()


def test_a_recipe_that_extends_another_one_by_its_file_finds_it_by_its_name(cli, tmp_path):
    cli("init", "s10_resnet_original")
    lines = (tmp_path / "s10_resnet_original.yaml").read_text().splitlines()
    assert "extends: s10_resnet" in lines
    shipped = RECIPES["s10_resnet_original"].read_text().splitlines()
    assert [line for line in lines[1:] if line not in shipped] == ["extends: s10_resnet"]


def test_a_name_of_its_own(cli, tmp_path):
    result = cli("init", "s10_resnet", "--to", "my recipes/mine.yaml")
    assert result.out.splitlines()[1] == "next: frame validate 'my recipes/mine.yaml'"
    assert (tmp_path / "my recipes" / "mine.yaml").is_file()


def test_nothing_is_overwritten(cli, tmp_path):
    (tmp_path / "quickstart.yaml").write_text("mine")
    result = cli("init")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: quickstart.yaml is there already and stays as it is; --to names another file\n"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("quickstart.yaml", "mine")]


def test_a_schema_that_is_there_is_brought_up_to_date(cli, tmp_path):
    (tmp_path / SCHEMA_FILE).write_text("{}")
    assert cli("init").code == 0
    assert "definitions" in json.loads((tmp_path / SCHEMA_FILE).read_text())


@pytest.mark.parametrize(
    ("name", "hint"),
    [("quickstrat", "did you mean 'quickstart'? "), ("s10_resnt.yaml", "did you mean 's10_resnet'? "), ("?", "")],
)
def test_an_unknown_recipe(cli, tmp_path, name, hint):
    result = cli("init", name)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"error: there is no shipped recipe '{name}'; {hint}"
        "there is cifar10_muon, cifar10_page, cifar10_speedrun, quickstart, s10_resnet, s10_resnet_original\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_half_of_it_does_not_stay(cli, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("init", "--to", "file/mine.yaml")
    assert result.code == 2
    assert result.err.startswith("error: file/mine.yaml cannot be written: ")
    (tmp_path / "folder" / SCHEMA_FILE).mkdir(parents=True)  # so that the schema cannot be written
    result = cli("init", "--to", "folder")
    assert result.code == 2
    assert result.err.startswith(f"error: folder/{SCHEMA_FILE} cannot be written: ")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [SCHEMA_FILE]


def test_the_real_command_in_an_empty_folder(frame, tmp_path):
    assert frame("init", "--to", "a").returncode == 0
    done = frame("validate", "a/quickstart.yaml", "train.epochs=1", "scheduler=null", "optimizer.lr=auto")
    assert (done.returncode, done.stdout) == (0, "a/quickstart.yaml: ok\n"), done.stderr
    assert Path(tmp_path, "a", SCHEMA_FILE).stat().st_size > 10_000
