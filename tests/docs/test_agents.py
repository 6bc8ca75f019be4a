"""docs/agents.md has the events, the codes and the commands with `--json` that there are, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import click

from frame.cli import cli
from frame.console.events import Event
from frame.errors import Code

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "agents.md").read_text()
FRAME = REPOSITORY / "framework" / "frame"


def sections() -> dict[str, list[str]]:
    """Return the page's sections about events: of each name the first cells of its table."""
    parts = re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) for name, text in parts}


def test_every_event_is_described_with_its_fields_in_order():
    known = {}
    for event in get_args(Event):
        hints = get_type_hints(event)
        (name,) = get_args(hints.pop("event"))
        known[name] = list(hints)
    assert sections() == known


def test_every_code_is_described_and_no_other():
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+(?:, \d+)?) \| ", PAGE, re.MULTILINE)
    assert [code for code, _ in rows] == list(get_args(Code))
    assert {number for _, numbers in rows for number in numbers.split(", ")} == {"1", "2", "130"}


def test_every_code_is_given_somewhere():
    code = "\n".join(path.read_text() for path in FRAME.rglob("*.py") if path.name != "errors.py")
    defaults = {"user-error", "run-failed", "component-failed"}
    assert [one for one in get_args(Code) if f'"{one}"' not in code and one not in defaults] == []


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}".removesuffix(" list") if name == "frame runs" else f"{name} {word}", command


def test_exactly_the_commands_that_answer_in_json_are_listed():
    have = {name for name, one in commands(cli, "frame") if any("--json" in option.opts for option in one.params)}
    table = PAGE.partition("## Commands that answer")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(frame [\w ]+)` \|", table, re.MULTILINE)) == have
