"""`frame plugin new`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .scaffold import KINDS, Names, package, shown, single_file, word, write
from .scaffold import names as names_of
from .text import echo


@click.command(short_help="Make a new plugin: a package, or a single file.")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="model", show_default=True, help="What it offers.")
@click.option("--to", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(), metavar="FOLDER",
              help="Folder to make it in, instead of the current one.")  # fmt: skip
@click.option("--single-file", "as_file", is_flag=True, help="Make a module that a recipe names, and that recipe.")
def new(name: str, kind: str, to: Path, *, as_file: bool) -> None:
    """Make a plugin called NAME that works as it is: a component of the KIND, its tests, and a recipe that uses it.

    NAME names the component and all that is made for it; tiny-net, tiny_net and TinyNet are one. Nothing is
    overwritten.
    """
    from ..plugins.load import load_plugins

    names = names_of(name, load_plugins())
    files = single_file(names, kind) if as_file else package(names, kind)
    write(files, to)
    echo(f"made the {word(kind)} '{names.name}':", bold=True)
    for file in files:
        echo(f"  {to / file}")
    echo("next:", bold=True)
    steps = _file_steps(names, to) if as_file else _package_steps(names, kind, to)
    column = max(len(command) for command in steps)
    for command, what in steps.items():
        echo(f"  {command:<{column}}  # {what}")


def _package_steps(names: Names, kind: str, to: Path) -> dict[str, str]:
    """Return commands and what each does."""
    return {
        f"cd {shlex.quote(str(to / names.distribution))}": "the plugin's folder",
        "pip install --editable .": "or: uv pip install --editable .",
        f"frame show {shown(names, kind)}": "frame knows it",
        f"frame run {names.name}": f"trains src/{names.name}/recipes/{names.name}.yaml",
        "python -m pytest": "its tests",
        f"frame plugin check {names.name}": "the contract of its kind alone",
    }


def _file_steps(names: Names, to: Path) -> dict[str, str]:
    file, recipe = (shlex.quote(str(to / f"{names.name}{ending}")) for ending in (".py", ".yaml"))
    return {
        f"frame run {recipe}": "trains it",
        f"frame plugin check {file}": "the contract of its kind",
        f"frame schema --out {shlex.quote(str(to / 'frame-recipe.schema.json'))}": "completion in editors",
    }
