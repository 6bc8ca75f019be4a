"""`frame validate` over several recipes, and for programs. What it says of one recipe: test_recipe_errors.py."""

from __future__ import annotations

import json

import pytest

RIGHT = """\
data: {use: digits}
model: {use: custom_resnet}
loss: {use: cross_entropy}
optimizer: {use: adam}
train: {epochs: 2}
"""
WRONG = RIGHT.replace("custom_resnet", "custom_resnt").replace("epochs: 2", "epochs: 2, epoch: 3")


@pytest.fixture
def three(recipe_file):
    recipe_file(RIGHT, "a.yaml")
    recipe_file(WRONG, "b.yaml")
    recipe_file(RIGHT, "c.yaml")


IN_B = [
    "error: b.yaml:2: model.use: unknown model 'custom_resnt'; did you mean 'custom_resnet'?",
    "error: b.yaml:5: train.epoch: unknown setting; did you mean 'epochs'?",
]


@pytest.mark.parametrize("arguments", [["a.yaml", "b.yaml", "c.yaml"], ["*.yaml"], ["[ab].yaml", "b.yaml", "c.yaml"]])
def test_every_recipe_is_checked_and_its_result_shown(cli, three, arguments):
    result = cli("validate", *arguments)
    assert result.code == 2
    assert result.out.splitlines() == ["a.yaml: ok", "b.yaml: 2 mistakes", "c.yaml: ok"]
    assert result.err.splitlines() == IN_B


def test_all_right(cli, three):
    result = cli("validate", "a.yaml", "quickstart", "c.yaml")
    assert (result.code, result.out, result.err) == (0, "a.yaml: ok\nquickstart: ok\nc.yaml: ok\n", "")


def test_an_override_that_is_written_as_an_option_is_told_how(cli, three):
    for command, option in (("run", "--train.epochs=3"), ("validate", "--trackers.0.use"), ("sweep", "--seed")):
        result = cli(command, "quickstart", option)
        assert result.code == 2
        right = option.removeprefix("--") + ("" if "=" in option else "=VALUE")
        assert result.err.splitlines()[-1] == f"A setting is overridden without dashes: {right}"
    assert "overridden" not in cli("run", "quickstart", "--dry-rum").err + cli("list", "--seed=3").err


def test_a_recipe_that_is_not_there_does_not_keep_the_others_back(cli, three):
    result = cli("validate", "a.yaml", "quickstrat")
    assert (result.code, result.out) == (2, "a.yaml: ok\nquickstrat: 1 mistake\n")
    assert result.err == "error: there is no recipe quickstrat; did you mean 'quickstart'?\n"


def test_overrides_apply_to_all_and_their_mistakes_say_to_which(cli, three):
    result = cli("validate", "a.yaml", "seed=-1", "c.yaml", "train.device=cpu")
    assert (result.code, result.out) == (2, "a.yaml: 1 mistake\nc.yaml: 1 mistake\n")
    assert result.err.splitlines() == [
        f"error: {name}.yaml: command line: seed: must be at least 0, got -1" for name in "ac"
    ]


def test_a_file_with_an_equals_sign_in_its_name_is_a_recipe(cli, recipe_file):
    recipe_file(RIGHT, "lr=0.1.yaml")
    result = cli("validate", "lr=0.1.yaml", "train.epochs=3")
    assert (result.code, result.out) == (0, "lr=0.1.yaml: ok\n")


def test_an_override_too_long_for_a_file_name_is_one(cli, three):
    result = cli("validate", "a.yaml", f"name={'x' * 5000}")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: command line: name: must be up to 100 letters")


def test_warnings_say_which_recipe_they_are_about(cli, three):
    result = cli("validate", "quickstart", "s10_resnet", "scheduler.use=constant", "lr_finder=null")
    assert (result.code, result.out) == (0, "quickstart: ok\ns10_resnet: ok\n")
    assert [line.partition(" 'one_cycle'")[0] for line in result.err.splitlines()] == [
        f"warning: {name}: command line: scheduler.use:" for name in ("quickstart", "s10_resnet")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.yaml", "*.yml"], "error: there is no recipe *.yml"),
        (["train.epochs=1"], "Error: name a recipe before the overrides\n"),
        (["a.yaml", "nonsense"], "error: there is no recipe nonsense"),
    ],
)
def test_what_is_no_recipe(cli, three, arguments, message):
    result = cli("validate", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_for_programs(cli, three):
    result = cli("validate", "--json", "*.yaml", "seed=-1")
    assert (result.code, result.err) == (2, "")
    found = json.loads(result.out)
    assert [(one["recipe"], one["key"]) for one in found] == [
        ("a.yaml", "seed"),
        ("b.yaml", "model.use"),
        ("b.yaml", "train.epoch"),
        ("b.yaml", "seed"),
        ("c.yaml", "seed"),
    ]
    assert next(one for one in found if one["key"] == "train.epoch") == {
        "recipe": "b.yaml",
        "level": "error",
        "code": "unknown-key",
        "file": "b.yaml",
        "line": 5,
        "key": "train.epoch",
        "message": "unknown setting; did you mean 'epochs'?",
        "suggestion": "epochs",
    }
    assert found[0] | {"message": ""} == {
        "recipe": "a.yaml",
        "level": "error",
        "code": "bad-value",
        "file": None,
        "line": None,
        "key": "seed",
        "message": "",
        "suggestion": None,
    }


def test_for_programs_when_all_is_right(cli, three):
    result = cli("validate", "--json", "a.yaml", "c.yaml")
    assert (result.code, json.loads(result.out)) == (0, [])


def test_for_programs_warnings_have_their_level_and_are_no_failure(cli):
    result = cli("validate", "--json", "s10_resnet_original")
    (warning,) = json.loads(result.out)
    assert (result.code, warning["level"], warning["key"]) == (0, "warning", "lr_finder")
