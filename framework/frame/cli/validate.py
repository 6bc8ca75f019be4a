"""`frame validate`."""

from __future__ import annotations

import click

from .run import OVERRIDES


@click.command(short_help="Check a recipe without building anything.")
@click.argument("recipe")
@OVERRIDES
def validate(recipe: str, overrides: tuple[str, ...]) -> None:
    """Check RECIPE and everything it names without building anything; every mistake is shown at once."""
    from ..resolve import load_recipe

    loaded = load_recipe(recipe, overrides)
    for note in loaded.source.notes:
        click.echo(f"note: {note}")
    for failure in loaded.plugins.errors:
        click.echo(f"warning: {failure}", err=True)
    click.echo(f"{recipe}: ok")
