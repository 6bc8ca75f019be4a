"""What went wrong, as data: a code, where, which key, why, and the nearest right answer.

`UserError` is the user's mistake (exit code 2), `RunFailed` a run that broke (exit code 1). The command line prints
both without a traceback; anything else is a bug of frame or of a plugin.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Level = Literal["error", "warning"]
Code = Literal[
    # a recipe, a sweep's file, or what the command line says of them
    "unknown-key", "missing-key", "bad-value", "unknown-component", "bad-override", "bad-interpolation", "bad-yaml",
    "no-such-recipe", "bad-extends", "plugin-failed", "untrusted-plugin",
    # files and runs
    "no-such-file", "cannot-read", "cannot-write", "damaged-file", "unsafe-file", "already-exists", "no-such-run",
    "run-in-use", "wrong-state", "not-the-same-run", "bad-data",
    # the machine and the command
    "no-such-device", "missing-package", "unreachable", "usage", "user-error",
    # a run that broke
    "diverged", "out-of-memory", "worker-died", "component-failed", "analyzers-failed", "process-lost",
    "damaged-checkpoint", "run-folder-gone", "run-failed",
    # all else that ends a command
    "interrupted", "internal-error",
]  # fmt: skip
"""What programs tell errors apart by: docs/agents.md says what each means. A code that there is stays what it is."""


def shown(path: Path) -> str:
    """Return a path as the user would type it: relative to the current folder where it lies under it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def expanded(path: str | Path) -> Path:
    """Return a path as the user typed it, `~` being the home folder; a `~name` of nobody stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises where there is nobody of that name


@dataclass(frozen=True)
class Place:
    """Where a value was written: a line of a file, or another source such as the command line (no line)."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake: `recipe.yaml:7: model.widht: unknown setting; did you mean 'widths'?`.

    level: a warning is for what works and is hardly meant. code: what programs tell it by.
    """

    message: str
    key: str = ""
    place: Place | None = None
    level: Level = "error"
    code: Code = "user-error"

    def __str__(self) -> str:
        parts = (str(self.place) if self.place else "", self.key, self.message)
        return ": ".join(part for part in parts if part)


class FrameError(Exception):
    """An error whose text is meant for the user; the command line prints it without a traceback."""

    exit_code = 1
    code: Code = "run-failed"


class UserError(FrameError):
    """The user's mistake: one or several problems, all of them reported at once. code: of a problem that is a text."""

    exit_code = 2

    def __init__(self, problems: Problem | str | Sequence[Problem], code: Code = "user-error") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, code=code)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        self.code = self.problems[0].code if self.problems else code
        super().__init__("\n".join(str(problem) for problem in self.problems))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise UserError with all these problems, if there are any."""
    if found := list(problems):
        raise UserError(found)


@contextmanager
def coded(code: Code) -> Iterator[None]:
    """Give this code to what the user did wrong in the block, where it has none of its own."""
    try:
        yield
    except UserError as error:
        problems = [replace(one, code=code) if one.code == "user-error" else one for one in error.problems]
        error.problems, error.code = problems, problems[0].code
        raise


class RunFailed(FrameError):
    """A run that could not go on: a diverged loss, a full disk, a model that does not fit its data."""

    def __init__(self, message: str = "", code: Code = "run-failed") -> None:
        self.code = code
        super().__init__(message)


class ComponentFailed(RunFailed):
    """A component raised what was not meant for the user, the cause of this, or returned what it must not."""

    def __init__(self, message: str = "", code: Code = "component-failed") -> None:
        super().__init__(message, code)


def code_of(error: BaseException) -> Code:
    """Return an error's code: one that no one foresaw has that of its kind, a run that failed."""
    return error.code if isinstance(error, FrameError) else "run-failed"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it was made of (`raise ... from`), and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def lines_to(error: BaseException) -> list[Place]:
    """Return the lines of code that led to an error, in order; a line that is no Python is the last that led to it."""
    import traceback  # late: most commands raise nothing

    lines = [Place(line.filename, line.lineno) for line in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(Place(error.filename, error.lineno))
    return lines


def nearest(word: str, choices: Iterable[str], likeness: float = 0.5) -> str | None:
    """Return the choice that `word` was probably meant to be, or None where none is as like it (0 to 1)."""
    lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=likeness)
    return lower[matches[0]] if matches else None


def suggest(word: str, choices: Iterable[str], *, list_all: bool = True) -> str:
    """Return the end of an error message: `; did you mean 'widths'?`, or the list of what there is."""
    known = sorted(choices)
    if match := nearest(word, known):
        return f"; did you mean '{match}'?"
    return f"; there is {', '.join(known)}" if known and list_all else ""
