"""What only looks at recipes and components imports nothing heavy, and mistakes end without a traceback."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import frame as package
from conftest import clean_environment
from frame.plugins.load import load_plugins
from frame.recipe.field_docs import field_docs

REPOSITORY = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "torchvision",
    "albumentations",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "cv2",
    "pandas",
    "PIL",
    "wandb",
    "rich",
    "jinja2",
    "jsonschema",
    "ray",
    "optuna",
)
SCRIPT = f"""
import json, sys
from frame.cli import main
came_to = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["frame", *arguments]
    try:
        main()
    except SystemExit as exit:
        came_to.append([exit.code, [name for name in {HEAVY} if name in sys.modules]])
print(json.dumps(came_to))
"""
COMMANDS = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["sweep", "--help"],
    ["list"],
    ["show", "model/custom_resnet"],
    ["schema"],
    ["explain", "quickstart"],
    ["init"],
    ["validate", "recipes/quickstart.yaml"],
    ["validate", "s10_resnet_original"],
    ["validate", "--json", "quickstart"],
    ["validate", "recipes/quickstart.yaml", "model.use=nothing"],
]
COMPONENTS = [f"{registry.kind}/{name}" for registry in load_plugins().registries for name in registry]


def test_nothing_heavy_is_imported(tmp_path):
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)], cwd=tmp_path, env=clean_environment(tmp_path),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    came_to = zip(COMMANDS, json.loads(result.stdout.splitlines()[-1]), strict=True)
    assert [(arguments, code, heavy) for arguments, (code, heavy) in came_to] == [
        (arguments, 2 if "model.use=nothing" in arguments else 0, []) for arguments in COMMANDS
    ]


def test_a_star_brings_nothing_heavy_and_figures_wait_for_a_figure(tmp_path):
    code = f"from frame import *\nfrom frame import figures, hookimpl\nimport sys\nprint([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.yaml")))
def test_shipped_recipes_are_right(cli, recipe):
    result = cli("validate", recipe)
    assert (result.code, result.out) == (0, f"{recipe}: ok\n")
    wanted = "runs for its curve only" if recipe == "s10_resnet_original" else ""  # as its first lines say
    assert [wanted in line for line in result.err.splitlines()] == [True] * bool(wanted)


def test_a_swap_is_told(cli):
    result = cli("validate", "quickstart", "scheduler.use=constant", "optimizer.lr=0.1")
    dropped, idle = result.err.splitlines()
    assert (
        dropped
        == "warning: command line: scheduler.use: 'one_cycle' became 'constant', so max_lr, peak_epoch went with it"
    )
    assert idle.startswith(f"warning: {REPOSITORY / 'recipes/quickstart.yaml'}:")
    assert idle.endswith(
        ": lr_finder: no learning rate is auto, so that the finder runs for its curve only; lr_finder: null leaves it out"
    )
    assert result.out == "quickstart: ok\n"


def test_every_mistake_is_a_line_of_its_own(cli):
    result = cli("validate", "quickstart", "train.epochs=0", "model.widht=3")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        "error: command line: train.epochs: must be greater than 0, got 0",
        "error: command line: model.widht: unknown setting; did you mean 'widths'?",
    ]


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_shows_what_it_is_and_each_of_its_settings(cli, component):
    result = cli("show", component)
    assert result.code == 0
    head, _, doc, *_ = result.out.splitlines()
    assert head == f"{component}  from frame-train {package.__version__}"
    assert doc.strip()
    kind, _, name = component.partition("/")
    (registry,) = [registry for registry in load_plugins().registries if registry.kind == kind]
    docs = field_docs(registry[name])
    for setting in registry[name].model_fields:
        assert f"\n  {setting}: " in result.out
        assert docs.get(setting), f"{component}.{setting} has no docstring"
        assert docs[setting] in result.out


def test_one_component_in_full(cli):
    result = cli("show", "callback/early_stopping")
    assert "\n  patience: integer > 0 = 5\n      " in result.out
    assert "\n  groups: list = []\n" in cli("show", "optimizer/sgd").out
    assert "\n  after_epochs: section (required)\n" in cli("show", "callback/freeze").out
    assert "\n  lr: number > 0 or auto = 0.001\n" in cli("show", "optimizer/adam").out
    assert "\n  pipeline: list (required)\n" in cli("show", "transform/albumentations").out


def test_one_kind_is_listed_alone(cli):
    assert [line.split()[0] for line in cli("list", "optimizers").out.splitlines()] == [
        "optimizers",
        "adam",
        "adamw",
        "muon",
        "sgd",
    ]
    assert [line.split()[0] for line in cli("list", "recipes").out.splitlines()][:2] == ["recipes", "cifar10_muon"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "optimizr"], "there is no kind 'optimizr'; did you mean 'optimizers'?"),
        (["show", "model/custom_resnt"], "there is no component 'model/custom_resnt'; did you mean 'model/custom_resnet'?"),
        (["show", "models/custom_resnt"], "there is no component 'models/custom_resnt'; did you mean 'model/custom_resnet'?"),
        (["show", "losses"], "there is no component 'losses'; there is loss/cross_entropy"),
        (["show", "lr_finder"], "there is no component 'lr_finder'; there is lr_finder/lr_range_test"),
        (["show", "adam"], "there is no component 'adam'; there is optimizer/adam"),
        (["show", "custom_resnet"], "there is no component 'custom_resnet'; did you mean 'model/custom_resnet'?"),
        (["show", "?"], "there is no component '?'; `frame list` shows all there are"),
        (["validate", "quickstrat"], "there is no recipe quickstrat; did you mean 'quickstart'?"),
        (["run", "quickstart", "train.epoch=1"], "command line: train.epoch: unknown setting; did you mean 'epochs'?"),
        (["lr-find", "quickstart", "lr_finder.use=x"], "command line: lr_finder.use: unknown lr_finder 'x'; there is lr_range_test"),
    ],
)  # fmt: skip
def test_mistakes_end_with_a_suggestion(cli, arguments, message):
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {message}\n"


@pytest.mark.parametrize("arguments", [["sow"], ["validate"], ["run", "quickstart", "--repeat", "0"]])
def test_a_wrong_command_line_shows_how_it_is_used(cli, arguments):
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.startswith("Usage: frame ")
    assert "Error: " in result.err
    assert "Traceback" not in result.err


def test_the_real_command_ends_without_a_traceback(frame):
    result = frame("validate", "no_such_recipe")
    assert result.returncode == 2
    assert result.stderr.startswith("error: there is no recipe no_such_recipe; there is cifar10_muon")
    assert "Traceback" not in result.stderr
