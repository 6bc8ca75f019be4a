"""`frame init`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from .completion import complete_recipe
from .text import echo

DEFAULT = "quickstart"


@click.command(short_help="Copy a shipped recipe to begin with.")
@click.argument("recipe", default=DEFAULT, shell_complete=complete_recipe)
@click.option(
    "--to", metavar="PATH", default=".", help="A file ending in .yaml, or a folder; the current one if not given."
)
def init(recipe: str, to: str) -> None:
    """Copy the shipped RECIPE (quickstart, if none is named) out of the package, to change and to run.

    Beside it goes frame-recipe.schema.json, by which editors complete and check recipes.
    """
    from ..plugins.load import load_plugins
    from ..recipe.schema import HEADER, SCHEMA_FILE
    from .schema import schema_text, write_file

    recipes = load_plugins().recipes
    source = _shipped(recipe, recipes)
    target = Path(to) if to.endswith((".yaml", ".yml")) else Path(to) / source.name
    text = _portable(source, recipes)
    _create(target, text if HEADER in text else HEADER + text)
    schema = target.with_name(SCHEMA_FILE)
    try:
        write_file(schema, schema_text())
    except BaseException:
        target.unlink()
        raise
    name = shlex.quote(str(target))
    echo(f"wrote {target}, and {schema.name} beside it for your editor")
    echo(f"next: frame validate {name}\n      frame run {name}")


def _shipped(name: str, recipes: Mapping[str, Path]) -> Path:
    from ..errors import UserError, nearest

    if name in recipes:
        return recipes[name]
    match = nearest(Path(name).stem, recipes)
    hint = f"; did you mean '{match}'?" if match else ";"
    text = f"there is no shipped recipe '{name}'{hint} there is {', '.join(sorted(recipes))}"
    raise UserError(text, "no-such-recipe")


def _portable(file: Path, recipes: Mapping[str, Path]) -> str:
    """Return a shipped recipe's text, the one that it extends called by what it is found by from anywhere: its name."""
    import yaml

    from ..plugins.load import find_recipe

    text = file.read_text(encoding="utf-8-sig")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "extends" and "${" not in value.value:
            parent = find_recipe(recipes, value.value, file.parent).resolve()
            names = [name for name, other in recipes.items() if other.resolve() == parent]
            return text[: value.start_mark.index] + (names[0] if names else str(parent)) + text[value.end_mark.index :]
    return text


def _create(path: Path, text: str) -> None:
    """Write a new file. Raises UserError where there is one, or where it cannot be written; half of it never stays."""
    from ..errors import UserError
    from ..rundir.files import writing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            text = f"{path} is there already and stays as it is; --to names another file"
            raise UserError(text, "already-exists") from None
        try:
            with file:
                file.write(text)
        except OSError:
            path.unlink()
            raise
