"""A new kind of component is a base class and a row: whatever reads a recipe learns of it from the table of kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from conftest import clean_environment
from fakes import launching
from frame import Component
from frame.api.kinds import KINDS, sections
from frame.recipe.recipe import Recipe, _View
from frame.testing import CONTRACTS, ComponentContract, contract_of, run_check

TINY = Path(__file__).with_name("fixtures") / "tiny.yaml"

TABLE = '''
"""Two made-up kinds: `greeting`, named in a list of a section of its own, and `walk`, named in `data`."""

import io, os, sys
from abc import ABC, abstractmethod
from contextlib import redirect_stderr, redirect_stdout

from frame import Component
from frame.api import kinds


class GreetingComponent(Component, ABC):
    """Greets somebody."""

    @abstractmethod
    def build(self, name: str) -> str:
        """Return the words."""


class WalkComponent(Component, ABC):
    """Says in which order something is walked through."""

    @abstractmethod
    def build(self, length: int) -> list[int]:
        """Return the order."""


kinds.KINDS += (
    kinds.Kind("greeting", "greetings", GreetingComponent, (kinds.Section("greetings", many=True, free=True),)),
    kinds.Kind("walk", "walks", WalkComponent, (kinds.Section("data.walk", default="there", about="The way to go."),)),
)


def called(words):
    """Return what a command comes to; its last word is to be completed where the first is `complete`."""
    from frame.cli import main

    os.environ.pop("_FRAME_COMPLETE", None)
    if words[0] == "complete":
        os.environ |= {"_FRAME_COMPLETE": "bash_complete", "COMP_LINE": " ".join(["frame", *words[1:]])}
    sys.argv = ["frame", *words]
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as exit:
            return [exit.code or 0, *(stream.buffer.getvalue().decode() for stream in (out, err))]


def built():
    """Return what the host of these kinds would have of the recipe."""
    from frame.recipe.load import load_recipe

    named = load_recipe("mine.yaml").recipe.sections
    greetings = [one.component.build("Ada") for one in named["greetings"]]
    return [*greetings, *(one.component.build(3) for one in named["data.walk"])]
'''
CALLS = """
import json, sys

for name in [name for name in sys.modules if name.partition(".")[0] in ("frame", "frame_plugins")]:
    del sys.modules[name]
import table

print(json.dumps([*map(table.called, json.loads(sys.argv[1])), table.built()]))
"""


PLUGIN = '''
from frame import Component, LearningRate, hookimpl
from pydantic import Field
from table import GreetingComponent, WalkComponent


class Hello(GreetingComponent):
    """Says hello."""

    word: str = "Hello"
    """What it says."""
    pace: LearningRate = 0.1
    """How fast."""

    def build(self, name):
        return f"{self.word}, {name}"


class There(WalkComponent):
    """From the first to the last."""

    first: int = Field(default=0, ge=0)
    """The number to begin with."""

    def build(self, length):
        return list(range(self.first, self.first + length))


@hookimpl
def frame_components():
    return {"hello": Hello, "there": There}
'''

WRONG = [
    "greetings.0.wrd=Hi",
    "greetings.1.use=helo",
    "data.walk.first=-1",
    "data.walk.use=there",
]
COMMANDS = {
    "validate": ["validate", "mine.yaml"],
    "mistakes": ["validate", "mine.yaml", *WRONG],
    "auto": ["validate", "mine.yaml", "greetings.0.pace=auto"],
    "shape": ["validate", "mine.yaml", "greetings=hello", "data.walk=null"],
    "explain": ["explain", "mine.yaml"],
    "list": ["list", "greetings"],
    "complete kind": ["complete", "list", "wal"],
    "complete entry": ["complete", "run", "mine.yaml", "greetings.1"],
    "complete name": ["complete", "run", "mine.yaml", "data.walk.use="],
    "complete default": ["complete", "run", "mine.yaml", "data.walk.f"],
    "schema": ["schema"],
    "run": ["run", "mine.yaml", "train.epochs=1"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the kinds, a plugin of them and a recipe that names it."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "table.py").write_text(TABLE)
    (folder / "calls.py").write_text(CALLS)
    (folder / "mine.py").write_text(PLUGIN)
    text = TINY.read_text().replace("./helpers.py", f"{TINY.with_name('helpers.py')}, ./mine.py")
    (folder / "mine.yaml").write_text(f"{text}greetings: [{{use: hello, word: Hi}}]\n")
    return folder


@pytest.fixture(scope="module")
def said(home):
    """What the commands come to where the table has the rows before anything of frame reads it, and what is built."""
    done = launching.run([json.dumps(list(COMMANDS.values()))], home, clean_environment(home), module="calls")
    assert done.returncode == 0, done.stderr
    return dict(zip([*COMMANDS, "built"], json.loads(done.stdout), strict=True))


def test_it_is_chosen_by_name_or_by_default(said):
    assert said["validate"] == [0, "mine.yaml: ok\n", ""]
    assert said["built"] == ["Hi, Ada", [0, 1, 2]]


def test_mistakes_are_told_like_those_of_any_kind(said):
    code, out, err = said["mistakes"]
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: command line: greetings.0.wrd: unknown setting; did you mean 'word'?",
        "error: command line: greetings.1.use: unknown greeting 'helo'; did you mean 'hello'?",
        "error: command line: data.walk.first: must be at least 0, got -1",
    ]


def test_a_learning_rate_of_any_kind_is_left_to_the_finder(said):
    code, _, err = said["auto"]
    message = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"
    assert (code, err) == (2, f"error: command line: greetings.0.pace: {message}\n")


def test_the_shape_of_its_section_is_checked(said):
    code, _, err = said["shape"]
    assert code == 2
    assert 'greetings: must be a list, got "hello"' in err
    assert "data.walk: must be a section that names its component" in err


def test_every_value_is_shown_with_its_origin(said):
    code, out, _ = said["explain"]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "word: Hi # mine.yaml:13" in lines
    assert lines[lines.index("walk:") + 1 :][:2] == ["use: there # default", "first: 0 # default"]


def test_its_kind_is_listed(said):
    assert said["list"] == [0, "greetings\n", ""]  # with what is installed: nothing


class Polite(Component):
    """A component of no kind that has a contract."""

    word: str = "Hello"
    """What it says."""


def test_it_has_the_contract_that_all_kinds_share():
    contract = contract_of(Polite)
    assert contract.mro()[1] is ComponentContract
    checked = ("test_builds", "test_settings_come_back", "test_documented", "test_same_seed_same_outcome")
    assert {run_check(contract, name).result for name in checked} == {"ok"}


def test_it_is_completed(said):
    assert said["complete kind"][1] == "plain,walks\n"
    assert said["complete entry"][1] == "plain,greetings.1.use=\n"
    assert said["complete name"][1] == "plain,there\n"
    assert said["complete default"][1] == "plain,data.walk.first=\n"


def test_editors_know_its_section(said):
    schema = json.loads(said["schema"][1])
    greetings, walk = schema["properties"]["greetings"], schema["properties"]["data"]["properties"]["walk"]
    assert (greetings["description"], walk["description"]) == ("Greets somebody.", "The way to go.")
    assert greetings["items"] == {"$ref": "#/definitions/greeting"}
    assert {"enum": [], "enumDescriptions": []} in walk["properties"]["use"]["anyOf"]  # none is installed


def test_a_run_keeps_it(home, said):
    import torch

    code, _, err = said["run"]
    assert code == 0, err
    (run,) = home.glob("runs/tiny/*")
    kept = yaml.safe_load((run / "recipe.resolved.yaml").read_text())
    assert kept["greetings"] == [{"use": "hello", "word": "Hi", "pace": 0.1}]
    assert kept["data"]["walk"] == {"use": "there", "first": 0}
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    bound = {tuple(key) for key, _ in json.loads(state["recipe"])}
    assert ("data", "walk", "first") in bound
    assert "greetings" not in {key[0] for key in bound}  # its row says that a resume may change it


def test_the_sections_that_a_recipe_shows_by_a_name_of_its_own_are_all_of_frames_own():
    assert {view.section.name for view in vars(Recipe).values() if isinstance(view, _View)} == {
        section.name for section in sections()
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_a_contract(kind):
    assert {*(kind.variants or [kind.base])} <= {contract.kind for contract in CONTRACTS}
