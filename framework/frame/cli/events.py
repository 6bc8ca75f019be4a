"""What commands tell programs: the events of a run (`--json`), and of any command that has `--json` why it failed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from ..errors import Code, Problem
from .devices import is_main_process
from .streams import output_apart
from .text import echo

if TYPE_CHECKING:
    from ..console import Console
    from ..console.events import Failed, OneProblem

JSON = click.option("--json", "as_json", is_flag=True,
                    help="Print events as JSON, an object a line; text goes to standard error.")  # fmt: skip


@contextmanager
def console_of(context: click.Context, *, as_json: bool = False) -> Iterator[Console]:
    """Yield the console of a command that trains, and end the command where its run is interrupted.

    as_json: standard output gets events and nothing else, and of several processes the first one alone tells them.
    """
    from ..compute.interrupts import Interrupted
    from ..console import Console
    from . import INTERRUPTED

    first = is_main_process()
    with output_apart() if as_json else nullcontext() as output:
        console = Console(quiet=not first, events=output if first else None)
        try:
            yield console
        except Interrupted as stop:
            console.say(str(stop))
            console.tell(_failed("interrupted", INTERRUPTED, str(stop)))
            context.exit(INTERRUPTED)


def tell_error(code: Code, exit_code: int, message: str, problems: Sequence[Problem] = ()) -> None:
    """Print why the command failed as its last event, where it was called with `--json`: in the first process."""
    if "--json" not in sys.argv or not is_main_process():
        return
    from ..console.events import line

    echo(line(_failed(code, exit_code, message, problems)), nl=False)


def _failed(code: Code, exit_code: int, message: str, problems: Sequence[Problem] = ()) -> Failed:
    return {
        "event": "error",
        "code": code,
        "exit_code": exit_code,
        "message": message,
        "problems": [as_object(problem) for problem in problems],
    }


def as_object(problem: Problem) -> OneProblem:
    """Return one of a command's errors as its events, and `frame validate --json`, have it."""
    from ..recipe.source import COMMAND_LINE

    place = problem.place
    written = place is not None and not place.source.endswith(COMMAND_LINE.source)
    suggestion = re.search(r"; did you mean '(.+?)'\?", problem.message)
    return {
        "code": problem.code,
        "file": place.source if place and written else None,
        "line": place.line if place else None,
        "key": problem.key,
        "message": problem.message,
        "suggestion": suggestion[1] if suggestion else None,
    }
