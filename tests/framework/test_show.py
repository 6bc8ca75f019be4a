"""`frame show` and `frame list`: on a terminal of any width, and with examples that can be pasted."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
import yaml

from conftest import clean_environment, on_path
from fakes.distributions import install_distribution, plugin
from frame.plugins.load import load_plugins

BASE = {
    "data": {"use": "digits"},
    "model": {"use": "custom_resnet"},
    "loss": {"use": "cross_entropy"},
    "optimizer": {"use": "adam"},
    "scheduler": {"use": "constant"},
    "lr_finder": {"use": "lr_range_test"},
    "train": {"epochs": 10},
}
COMPONENTS = [f"{registry.kind}/{name}" for registry in load_plugins().registries for name in registry]


def example(shown: str) -> str:
    """The YAML of what `frame show` printed."""
    lines = shown.split("\nIn a recipe", 1)[1].splitlines()[2:]
    return "\n".join(line[2:] for line in lines[: lines.index("")])


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_example_can_be_pasted(cli, recipe_file, component):
    text = example(cli("show", component).out)
    pasted = yaml.safe_load(text)
    assert component.partition("/")[2] in text
    data = BASE["data"] | pasted.pop("data", {})
    recipe_file(yaml.safe_dump({**BASE, "data": data, **pasted}))
    result = cli("validate", "recipe.yaml")
    if "???" in text:
        assert result.code == 2
        assert "must be given: ??? stands for a value that is still missing" in result.err
    else:
        assert (result.code, result.out) == (0, "recipe.yaml: ok\n"), result.err


def test_kinds_are_named_in_the_singular_and_in_the_plural(cli):
    for registry in load_plugins().registries:
        name = registry.row.plural
        one = f"{name}/{next(iter(registry))}"
        assert cli("list", registry.kind).out == cli("list", name).out
        assert cli("show", one).out == cli("show", one.replace(name, registry.kind, 1)).out
    assert cli("list", "recipe").out == cli("list", "recipes").out


def test_where_a_component_is_from_and_where_it_belongs(cli):
    shown = cli("show", "transform/cutout").out
    assert (
        "\nIn a recipe (or under data.eval_transforms):\n\n  data:\n    train_transforms:\n      - use: cutout\n"
        in shown
    )
    last = shown.splitlines()[-1]
    assert "plugins/frame_plugins/transforms/batch_ops/__init__.py:" in last
    assert last.endswith(", plugin 'batch_ops'.")


def test_types_and_ranges(cli):
    assert "\n  widths: list of 4 (integer > 0) = [64, 128, 256, 512]\n" in cli("show", "model/custom_resnet").out
    shown = cli("show", "tracker/wandb").out
    assert '\n  mode: auto | online | offline | disabled = "auto"\n' in shown
    assert "\n  tags: list (text) or nothing = null\n" in shown


OWN = """
class Mine(AnalyzerComponent):
    \"\"\"Shows.\"\"\"

    words: tuple[str, ...] = Field(examples=[["a", "b"]])
    \"\"\"What to say.\"\"\"
    rate: float = Field(default=0.5, ge=0, le=1)
    sizes: dict[str, int] = {"a": 1}

    def build(self, run): ...
"""


def test_a_strangers_component(frame, tmp_path):
    text = "from pydantic import Field\n" + plugin(OWN, "{'a_component_with_a_long_name': Mine}")
    install_distribution(tmp_path / "site", "its-plugin", text)
    environment = on_path(tmp_path / "site")
    assert frame("show", "analyzer/a_component_with_a_long_name", env=environment).stdout == (
        "analyzer/a_component_with_a_long_name  from its-plugin 0.3\n\nShows.\n\n"
        "  name: text or nothing = null\n"
        "      What its results are called, in files and trackers; without it, as the analyzer is. Of two that are one "
        "analyzer, name one: else the second is numbered, and is another when the order changes.\n"
        "  time_limit_s: number > 0 = 3600\n"
        "      Seconds after which it counts as failed; the run goes on without it.\n"
        "  words: list (text) (required)\n      What to say.\n"
        "  rate: number >= 0 <= 1 = 0.5\n"
        '  sizes: section = {"a": 1}\n\n'
        "In a recipe:\n\n"
        "  analyzers:\n    - use: a_component_with_a_long_name\n      time_limit_s: 3600\n"
        "      words: [a, b]\n      rate: 0.5\n"
        "      sizes:\n        a: 1\n\n"
        "Defined in site/its_plugin.py:6, plugin 'its_plugin'.\n"
    )
    listed = frame("list", "analyzers", env=environment).stdout.splitlines()
    assert listed[1] == "  a_component_with_a_long_name  Shows."
    assert all(line[30:32] == "  " and line[32] != " " for line in listed[1:])


def on_terminal(tmp_path, columns: int, *arguments: str) -> list[str]:
    """The lines that the command writes on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in clean_environment(tmp_path).items() if name != "COLUMNS"}
    process = subprocess.Popen(
        [sys.executable, "-m", "frame", *arguments], stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    return said.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [("show", "tracker/wandb"), ("list",), ("plugin", "list")], ids=" ".join)
def test_it_fits_the_terminal(tmp_path, columns, arguments):
    lines = on_terminal(tmp_path, columns, *arguments)
    one_word = [line for line in lines if len(line.split()) == 1]  # a long path cannot be wrapped
    assert max(len(line) for line in lines if line not in one_word) in range(columns - 20, columns + 1)
    assert len(lines) > 20


def test_long_choices_are_wrapped_under_their_setting(tmp_path):
    lines = on_terminal(tmp_path, 60, "show", "tracker/wandb")
    at = lines.index("      `auto`: online with credentials (WANDB_API_KEY,")
    assert lines[at - 1] == '  mode: auto | online | offline | disabled = "auto"'
    assert lines[at + 1].startswith("      WANDB_IDENTITY_TOKEN_FILE")
