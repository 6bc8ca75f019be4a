"""`frame validate`."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from .completion import complete_override, complete_recipe
from .run import TRUST
from .text import echo, warn

if TYPE_CHECKING:
    from ..errors import Problem


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Complete recipes, and behind the first one its settings too."""
    overrides = complete_override(context, parameter, incomplete)
    recipes = [
        item for item in complete_recipe(context, parameter, incomplete) if item.type == "plain" or not overrides
    ]
    return overrides if "=" in incomplete else recipes + overrides


@click.command(short_help="Check recipes without building anything.")
@click.argument("recipe", metavar="RECIPE... [KEY=VALUE]...", nargs=-1, required=True, shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True,
              help="Print a list of objects: recipe, level, code, file, line, key, message, suggestion.")  # fmt: skip
@TRUST
@click.pass_context
def validate(context: click.Context, recipe: tuple[str, ...], *, as_json: bool, trust: bool) -> None:
    """Check each RECIPE and everything it names without building anything; every mistake is shown at once.

    A RECIPE is a file, the name of a shipped recipe, or a pattern such as 'recipes/*.yaml'. Overrides apply to all.
    """
    from ..errors import UserError, refuse

    recipes, overrides = _sort_out(recipe)
    checked = [_check(one, overrides, alone=len(recipes) == 1, trust=trust) for one in recipes]
    errors = [problem for one in checked for problem in one.errors]
    if as_json:
        from .events import as_object

        found = [
            {"recipe": one.recipe, "level": problem.level, **as_object(problem)}
            for one in checked
            for problem in one.errors + one.warnings
        ]
        echo(json.dumps(found, indent=1, ensure_ascii=False))
        context.exit(UserError.exit_code if errors else 0)
    for warning in dict.fromkeys(str(problem) for one in checked for problem in one.warnings):
        warn(warning)
    for one in checked:
        if not one.errors:
            echo(f"{one.recipe}: ok")
        elif len(checked) > 1:
            echo(f"{one.recipe}: {len(one.errors)} mistake{'s' if len(one.errors) > 1 else ''}")
    refuse(errors)


@dataclass
class _Checked:
    """A recipe and what was found in it."""

    recipe: str
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def _sort_out(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the recipes, patterns replaced by what they match, and the overrides: what has a `=` and is no file."""
    recipes: dict[str, None] = {}
    overrides = []
    for argument in arguments:
        if os.path.isfile(argument):  # noqa: PTH113 - Path.is_file raises for what is too long to be a name
            recipes[argument] = None
        elif "=" in argument:
            overrides.append(argument)
        elif glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            recipes |= dict.fromkeys(matches or [argument])  # one that matches nothing is reported with the others
        else:
            recipes[argument] = None
    if not recipes:
        raise click.UsageError("name a recipe before the overrides")
    return list(recipes), overrides


def _check(recipe: str, overrides: Sequence[str], *, alone: bool, trust: bool) -> _Checked:
    from ..errors import Problem, UserError
    from ..recipe.load import load_recipe

    try:
        loaded = load_recipe(recipe, overrides, trust=trust)
    except UserError as error:
        return _Checked(recipe, [problem if alone else _of(recipe, problem) for problem in error.problems])
    failures = [Problem(str(failure), level="warning", code="plugin-failed") for failure in loaded.plugins.errors]
    return _Checked(recipe, [], [problem if alone else _of(recipe, problem) for problem in loaded.warnings] + failures)


def _of(recipe: str, problem: Problem) -> Problem:
    """Say which of several recipes a problem is in, where its place is no file."""
    from ..errors import Place
    from ..recipe.source import COMMAND_LINE

    return replace(problem, place=Place(f"{recipe}: {COMMAND_LINE}")) if problem.place == COMMAND_LINE else problem
