"""What an installed library has by name, and the arguments that each takes: told without importing it here.

Importing albumentations or torchvision takes seconds. A process of its own does so once for each installed version
(`python -m frame_plugins._catalogue MODULE FUNCTION`), and the user's cache keeps what it said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from inspect import Parameter, signature
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from frame import Problem, cached, suggest

FORMAT = 1
"""Counts up when `Entry`, what is written into one, or what a `find` returns changes."""
PATIENCE_S = 300
"""Seconds after which a library that is being imported counts as one that cannot be."""


@dataclass(frozen=True)
class Entry:
    """What a class or a function of the library can be given."""

    arguments: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool
    """Whether it takes arguments of other names, too."""


@dataclass(frozen=True)
class Catalogue:
    """What one version of a library has by name. full_name: library and version. kind: what the names stand for."""

    full_name: str
    kind: str
    entries: Mapping[str, Entry]

    def lacks(self, name: str) -> str:
        """Say that the library has nothing called `name`, with the nearest that it has; nothing where it has."""
        if name in self.entries:
            return ""
        return f"{self.full_name} has no {self.kind} '{name}'{suggest(name, self.entries, list_all=False)}"


class Unread(Exception):
    """The library could not be asked; the text says why."""


@dataclass(frozen=True)
class Library:
    """A distribution whose classes or functions recipes name. kind: what they are, such as "transform".

    find: a module's function that imports the library and returns them by name.
    """

    distribution: str
    kind: str
    find: Callable[[], Mapping[str, Callable[..., Any]]]

    @property
    def full_name(self) -> str:
        """The distribution and its version, or the distribution alone where nothing says which it is."""
        try:
            return f"{self.distribution} {version(self.distribution)}"
        except PackageNotFoundError:
            return self.distribution

    def imported(self) -> Catalogue:
        """Return the catalogue; imports the library."""
        return Catalogue(self.full_name, self.kind, describe(self.find()))

    def catalogue(self) -> Catalogue:
        """Return the catalogue without importing the library: from the cache, or once from another process.

        Raises Unread.
        """
        full_name = self.full_name
        name = f"{full_name.replace(' ', '-')}-{self.kind}s-{FORMAT}"
        known = full_name != self.distribution  # without a version nothing tells whether what was kept is still true
        return Catalogue(full_name, self.kind, cached(name, dict[str, Entry], self._ask) if known else self._ask())

    def unchecked(self, key: str, reason: Unread) -> Problem:
        """Return the warning that what stands under `key` was not compared with the library."""
        message = f"not checked against {self.full_name}, which could not be read: {reason}"
        return Problem(message, key, level="warning")

    def _ask(self) -> dict[str, Entry]:
        """Let another process import the library, as this one would, and say what it has. Raises Unread."""
        import subprocess

        print(f"reading the {self.kind}s of {self.full_name} once, which takes a few seconds ...", file=sys.stderr)
        command = [sys.executable, "-P", "-m", __name__, self.find.__module__, self.find.__name__]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(  # noqa: S603 - frame's own module
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unread(str(error)) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise Unread(said.rpartition("\n")[2] or f"its process ended with {done.returncode}")
        return TypeAdapter(dict[str, Entry]).validate_json(done.stdout)


def describe(found: Mapping[str, Callable[..., Any]]) -> dict[str, Entry]:
    """Return an entry for each class or function."""
    return {name: _entry(one) for name, one in sorted(found.items())}


def _entry(callable_: Callable[..., Any]) -> Entry:
    parameters = signature(callable_).parameters.values()
    named = [one for one in parameters if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    return Entry(
        tuple(one.name for one in named),
        tuple(one.name for one in named if one.default is Parameter.empty),
        any(one.kind is Parameter.VAR_KEYWORD for one in parameters),
    )


def main(module: str, function: str) -> None:
    """Print what the function of the module finds, as JSON."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what a library prints when it is imported is no part of it
        answer.write(to_json(describe(getattr(import_module(module), function)())))


if __name__ == "__main__":
    main(*sys.argv[1:])
