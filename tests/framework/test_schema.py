"""The JSON Schema of recipes: what it accepts and what `frame validate` accepts agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from jsonschema import Draft7Validator
from pydantic import BaseModel

from frame import LossComponent, ModelComponent, UserError
from frame.plugins.load import Plugins, load_plugins
from frame.recipe.load import load_recipe, resolve
from frame.recipe.schema import HEADER, recipe_schema
from frame.recipe.settings import RecipeSettings
from frame.recipe.source import Source
from frame.recipe.yaml_text import read_yaml

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "recipes").glob("*.yaml"))
PLUGINS = load_plugins()
GONE = object()

# What `frame validate` refuses and the schema accepts, by what the message says: it takes more than one value to
# judge, or an interpolation's value, or it is checked in Python.
LEFT_TO_VALIDATE = (
    "is not measured",  # checkpoint.monitor and the like depend on data.validation
    "is auto, and the recipe has no lr_finder",
    "cannot stand after a batched transform",
    "cannot be resolved",
    "optimizer.lrr: ",  # a key with dots
    "each step needs `use`",
    "has no transform",  # nor argument, nor classifier: what the installed libraries have
    "has no argument",
    "has no classifier",
    "is required by",
    "must be above start_lr",
    "nesterov needs a momentum above 0",
    "ascending",  # robustness.severities
    "no valid interpolation",
    "got 8.0",  # a whole number to JSON Schema, none to a recipe
    "finite number",  # .nan and .inf are no JSON
)


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = recipe_schema(PLUGINS)
    Draft7Validator.check_schema(schema)
    return Draft7Validator(json.loads(json.dumps(schema)))


@pytest.fixture
def agree(validator, tmp_path, monkeypatch):
    """Assert that schema and `frame validate` agree on a recipe; return whether they accept it."""
    monkeypatch.setattr(
        "frame.recipe.load.load_plugins", lambda named=(), trust=False: load_plugins(named) if named else PLUGINS
    )
    monkeypatch.chdir(tmp_path)

    def check(values: dict) -> bool:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return compare(validator, values, lambda: load_recipe(str(path)))

    return check


def compare(validator: Draft7Validator, values: dict, validate: Callable[[], object]) -> bool:
    accepted, problems = validator.is_valid(values), []
    try:
        validate()
    except UserError as error:
        problems = [str(problem) for problem in error.problems]
    if not problems:
        assert accepted, [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(values)]
    elif accepted:
        left = [one for one in problems if not any(text in one for text in LEFT_TO_VALIDATE)]
        assert left == [], "the schema accepts what validate does not"
    return not problems


def shipped(name: str) -> dict:
    return read_yaml(REPOSITORY / "recipes" / f"{name}.yaml")[0]


def changed(recipe: str | dict, *changes: tuple[str, object]) -> dict:
    """A shipped recipe with some values changed: dotted key, new value (GONE takes it out)."""
    values = deepcopy(recipe) if isinstance(recipe, dict) else shipped(recipe)
    for dotted, new in changes:
        *above, last = (int(part) if part.isdecimal() else part for part in dotted.split("."))
        node = values
        for part in above:
            node = node[part]
        if new is GONE:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(new)
        else:
            node[last] = new
    return values


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_accepted(validator, path):
    assert [error.message for error in validator.iter_errors(read_yaml(path)[0])] == []


RIGHT = [
    ("quickstart", ("seed", 2**32 - 1)),
    ("quickstart", ("name", GONE)),
    ("quickstart", ("scheduler", None), ("lr_finder", None), ("evaluate", None)),
    ("quickstart", ("scheduler", GONE), ("lr_finder", GONE)),
    ("quickstart", ("scheduler.max_lr", 0.1), ("scheduler.peak_epoch", None)),
    ("quickstart", ("evaluate", {"use": "mirror"})),
    ("quickstart", ("callbacks", [{"use": "ema"}, {"use": "early_stopping", "mode": "max"}])),
    ("quickstart", ("data.normalize", {"mean": [0.5], "std": [0.25]})),
    ("quickstart", ("data.normalize", False)),
    ("quickstart", ("data.root", None), ("data.validation", 0.25)),
    ("quickstart", ("data.test_fraction", 0.5)),
    ("quickstart", ("data.eval_transforms", "${data.train_transforms}")),
    ("quickstart", ("data.eval_batch_size", "${data.batch_size}")),
    ("quickstart", ("analyzers.1", "${analyzers.0}")),
    ("quickstart", ("model.widths", [1, 2, 3, "${seed}"])),
    ("quickstart", ("analyzers", [])),
    ("quickstart", ("checkpoint", {})),
    ("quickstart", ("checkpoint", {"monitor": "test/loss", "mode": "min", "keep": None})),
    ("quickstart", ("train.device", "cuda:1"), ("train.threads", 2), ("train.clip_grad_norm", 1)),
    ("quickstart", ("optimizer", {"use": "adamw", "groups": [{"match": "*.bias", "lr_scale": 2}]})),
    ("quickstart", ("callbacks", [{"use": "freeze", "after_epochs": {"*.bias": 2, "fc.*": 0}}])),
    ("quickstart", ("plugins", [])),
    ("s10_resnet", ("checkpoint", GONE), ("trackers", [{"use": "wandb", "tags": ["a", "b"], "notes": None}])),
    ("s10_resnet_original", ("extends", "s10_resnet")),
    ("quickstart", ("x-anchors", {"any": ["thing"]})),
]
WRONG = [
    # unknown keys
    ("quickstart", ("optimiser", {"use": "adam"})),
    ("quickstart", ("data.batchsize", 3)),
    ("quickstart", ("data.image_size", 64)),  # another dataset's
    ("quickstart", ("model.width", 3)),
    ("quickstart", ("train.epoch", 3)),
    ("quickstart", ("data.normalize", {"mean": [0], "std": [1], "sd": [1]})),
    ("quickstart", ("data.train_transforms.0.pading", 2)),
    ("quickstart", ("analyzers.3.order_by", "loss")),
    # the wrong type
    ("quickstart", ("seed", "1")),
    ("quickstart", ("seed", True)),
    ("quickstart", ("train.log_every", 1.5)),
    ("quickstart", ("train.channels_last", 1)),
    ("quickstart", ("model.widths", 16)),
    ("quickstart", ("model.widths", [16, "a", 64, 128])),
    ("quickstart", ("model.widths", [16, 32])),
    ("quickstart", ("model.widths", [16, 32, 64, 128, 256])),
    ("quickstart", ("optimizer.lr", "fast")),
    ("quickstart", ("callbacks", [{"use": "freeze", "after_epochs": ["a"]}])),
    ("quickstart", ("data.root", 3)),
    ("quickstart", ("data.root", "???")),
    ("quickstart", ("loss", "cross_entropy")),
    ("quickstart", ("loss", None)),
    ("quickstart", ("checkpoint", None)),
    ("quickstart", ("analyzers", None)),
    ("quickstart", ("analyzers", {"use": "curves"})),
    ("quickstart", ("analyzers.0", None)),
    ("quickstart", ("data.train_transforms", None)),
    ("quickstart", ("plugins", "mine")),
    ("quickstart", ("extends", None)),
    # out of bounds
    ("quickstart", ("seed", -1)),
    ("quickstart", ("seed", 2**32)),
    ("quickstart", ("train.epochs", 0)),
    ("quickstart", ("data.validation", 1)),
    ("quickstart", ("data.normalize", {"mean": [0.5], "std": [0]})),
    ("quickstart", ("optimizer.betas", [0.9, 1.5])),
    ("quickstart", ("callbacks", [{"use": "freeze", "after_epochs": {"*.bias": -1}}])),
    ("quickstart", ("train.precision", "fp64")),
    ("quickstart", ("lr_finder.num_steps", 3)),
    ("quickstart", ("analyzers.4.order", "shuffled")),
    ("s10_resnet", ("trackers.0.project", "")),
    ("s10_resnet", ("data.train_transforms.0.pipeline", [])),
    # unknown components
    ("quickstart", ("data.use", "mnist")),
    ("quickstart", ("model.use", "resnet")),
    ("quickstart", ("analyzers.0.use", "curve")),
    ("quickstart", ("evaluate", {"use": "cross_entropy"})),  # of another kind
    ("quickstart", ("plugins", []), ("model.use", "mine")),
    ("s10_resnet_original", ("extends", "s10_resnet"), ("loss", {"use": "mine"})),
    ("s10_resnet_original", ("extends", "s10_resnet"), ("model.depth", 3)),
    # what is required
    ("quickstart", ("train", GONE)),
    ("quickstart", ("train.epochs", GONE)),
    ("quickstart", ("model", GONE)),
    ("quickstart", ("model", {})),
    ("quickstart", ("scheduler", {})),
    ("quickstart", ("data.use", GONE)),
    ("quickstart", ("analyzers.0", {})),
    ("quickstart", ("data.normalize", {"mean": [0.5]})),
    ("s10_resnet", ("data.train_transforms.0.pipeline", GONE)),
    ("s10_resnet_original", ("extends", "s10_resnet"), ("analyzers", [{"count": 3}])),
]


def name(case) -> str:
    return " ".join(f"{key}={'GONE' if value is GONE else value}" for key, value in case[1:])


def test_shipped_recipes_carry_the_schema(cli):
    beside = REPOSITORY / "recipes" / "frame-recipe.schema.json"
    current = "not the current one; write it anew with: frame schema --out recipes/frame-recipe.schema.json"
    assert beside.read_text() == cli("schema").out, current
    for recipe in (REPOSITORY / "recipes").glob("*.yaml"):
        assert recipe.read_text().startswith(HEADER)


@pytest.mark.parametrize("case", RIGHT, ids=name)
def test_right_recipes_are_accepted_by_both(agree, case):
    assert agree(changed(*case))


@pytest.mark.parametrize("case", WRONG, ids=name)
def test_wrong_recipes_are_refused_by_both(agree, validator, case):
    values = changed(*case)
    assert not agree(values)
    assert not validator.is_valid(values)  # none of these is left to `frame validate`


def test_keys_with_dots_may_give_what_sections_lack(agree, validator):
    assert agree(changed("quickstart", ("train", GONE)) | {"train.epochs": 2, "analyzers.0.time_limit_s": 9})
    assert agree({"extends": "quickstart", "optimizer.lr": "${seed}", "x-": [1]})
    assert not agree(shipped("quickstart") | {"optimizer.lrr": 1})
    assert validator.is_valid({"optimizer.lrr": 1})
    assert not agree({"extends": "quickstart", "x": 1})


def leaves(node, key=""):
    for part, child in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(child, dict | list):
            yield from leaves(child, f"{key}{part}.")
        yield f"{key}{part}"


def test_they_agree_whatever_stands_in_the_place_of_a_value(validator):
    values = changed(
        "quickstart",
        ("data.normalize", {"mean": [0.5], "std": [0.25]}),
        ("data.train_transforms.1", {"use": "torchvision", "pipeline": [{"use": "RandomErasing"}]}),
        ("optimizer", {"use": "adamw", "lr": 0.1, "betas": [0.9, 0.99], "groups": [{"match": "bias", "lr_scale": 2}]}),
        ("checkpoint", {"monitor": "test/acc", "mode": "max"}),
        ("callbacks", [{"use": "early_stopping", "monitor": "test/loss", "patience": 3}]),
        ("analyzers", [{"use": "robustness", "severities": [1, 5]}, {"use": "correct", "count": 3, "order": "loss"}]),
    )
    others = [None, True, -1, 0, 0.5, 3, "text", [], {}, ["a"], {"a": 1}, GONE]
    keys = [key for key in leaves(values) if key != "name"]
    verdicts = []
    for number, key in enumerate(keys):
        for step in range(5):
            recipe = changed(values, (key, others[(number + 5 * step) % len(others)]))
            source = Source(Path("recipe.yaml"), recipe, {})
            verdicts.append(compare(validator, recipe, lambda source=source: resolve(source, PLUGINS)))
    assert len(verdicts) > 200
    assert set(verdicts) == {True, False}


@pytest.mark.parametrize("recipe", ["quickstart", "s10_resnet_original"])
def test_any_value_may_be_an_interpolation(validator, recipe):
    for key in leaves(shipped(recipe)):
        if key != "extends":
            assert validator.is_valid(changed(recipe, (key, "${seed}"))), key


def test_a_recipe_with_plugins_of_its_own_may_name_what_the_schema_does_not_know(agree, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from frame import ModelComponent, hookimpl\n"
        "class Mine(ModelComponent):\n"
        '    """Mine."""\n'
        "    depth: int\n"
        "    def build(self, data): ...\n"
        "@hookimpl\n"
        "def frame_components(): return {'mine': Mine}\n"
    )
    values = changed("quickstart", ("plugins", ["./mine.py"]), ("model", {"use": "mine", "depth": 3}))
    assert agree(values)
    assert not agree(changed(values, ("optimizer.lr", "fast")))  # what is known is still checked
    assert not agree(changed(values, ("plugins", GONE)))


class Part(BaseModel):
    """Part of a component's settings; holds parts of its own."""

    size: int
    parts: tuple[Part, ...] = ()


class Step(BaseModel):
    """Entry of a list."""

    size: int


class Deep(ModelComponent):
    """Has settings in settings, some of them required."""

    part: Part
    either: bool | Part = False
    by_name: dict[str, Part] = {}  # noqa: RUF012
    steps: tuple[Step, ...] = ()
    depth: int

    def build(self, data): ...


class Odd(LossComponent):
    """Has a setting that no recipe can write, and so no schema describes."""

    model_config: ClassVar = {"arbitrary_types_allowed": True}
    called: object = None
    kind: type = int

    def build(self, data): ...


@pytest.fixture(scope="module")
def deep() -> Draft7Validator:
    plugins = Plugins()
    plugins.registries["model"].add("deep", Deep, "a test", "test")
    plugins.registries["loss"].add("odd", Odd, "a test", "test")
    schema = recipe_schema(plugins)
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize(
    ("model", "alone", "extending"),
    [
        ({"use": "deep", "depth": 1, "part": {"size": 1}}, True, True),
        ({"use": "deep", "depth": 1, "part": {"size": 1, "parts": [{"size": 2, "parts": []}]}}, True, True),
        ({"use": "deep", "depth": 1, "part": {"size": 1}, "either": {"size": 1}}, True, True),
        ({"use": "deep", "depth": 1, "part": {"size": 1}, "either": {}}, False, True),
        ({"use": "deep", "depth": 1, "part": {"size": 1}, "by_name": {"a": {}}}, False, True),
        ({"use": "deep", "depth": 1, "part": {}}, False, True),
        ({"use": "deep", "depth": 1}, False, True),
        ({"part": {"size": 1}}, False, True),
        ({"part": {"size": "a"}}, False, False),
        ({"part": {"parts": [{"whatever": 1}]}}, False, True),  # what holds itself is not looked into
        ({"steps": [{"size": 1}]}, False, True),
        ({"steps": [{}]}, False, False),  # lists replace, and so are complete
    ],
)
def test_what_is_required_may_be_said_by_the_recipe_that_is_extended(deep, model, alone, extending):
    for more, expected in (({}, alone), ({"extends": "base.yaml"}, extending)):
        errors = [error for error in deep.iter_errors({"model": model, **more}) if list(error.path)[:1] == ["model"]]
        assert (not errors) == expected, [error.message for error in errors]


def test_a_component_without_a_schema_takes_anything(deep):
    loss = {"use": "odd", "called": 3}
    assert not [error for error in deep.iter_errors({"loss": loss}) if list(error.path)[:1] == ["loss"]]


def test_every_setting_is_there_with_its_documentation(validator):
    schema = validator.schema
    assert set(schema["properties"]) == {*RecipeSettings.model_fields, "extends", "plugins"}
    assert all(text["description"] for name, text in schema["properties"].items())
    for registry in PLUGINS.registries:
        for one in registry:
            settings = schema["definitions"][f"{registry.kind}.{one}"]["properties"]
            assert set(registry[one].model_fields) <= set(settings)
            for setting in registry[one].model_fields:
                assert settings[setting].get("description"), f"{registry.kind}/{one}: {setting}"


def test_components_are_offered_with_what_they_are(validator):
    offered = validator.schema["properties"]["model"]["properties"]["use"]["anyOf"][0]
    assert offered["enum"] == list(PLUGINS.registries["model"])
    assert offered["enumDescriptions"][0].startswith("ResNet-9-like network of the S10 assignment")


def test_the_command_prints_it_or_writes_it(cli, validator, tmp_path):
    printed = cli("schema")
    assert (printed.code, printed.err) == (0, "")
    assert json.loads(printed.out) == validator.schema
    (tmp_path / "a.json").write_text("old")
    written = cli("schema", "--out", "a.json")
    assert (written.code, written.out) == (0, "wrote a.json\n")
    assert (tmp_path / "a.json").read_text() == printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_place_where_nothing_can_be_written_is_told(cli, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("schema", "--out", "file/a.json")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: file/a.json cannot be written: ")
