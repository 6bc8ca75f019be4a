"""`frame schema`."""

from __future__ import annotations

from pathlib import Path

import click

from .text import echo


@click.command(short_help="Print a JSON Schema of recipes, for editors.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it into this file instead.")
def schema(out: Path | None) -> None:
    """Print a JSON Schema of recipes that knows every installed component, for completion and errors in editors.

    `frame init` writes it beside the recipe. Write it again when plugins come or go:
    frame schema --out frame-recipe.schema.json
    """
    text = schema_text()
    if out:
        write_file(out, text)
        echo(f"wrote {out}")
    else:
        echo(text, nl=False)


def schema_text() -> str:
    """Return the schema of recipes as JSON."""
    import json

    from ..plugins.load import load_plugins
    from ..recipe.schema import recipe_schema

    return json.dumps(recipe_schema(load_plugins()), indent=1, ensure_ascii=False) + "\n"


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all, making the folders above it. Raises UserError where that is impossible."""
    from ..rundir.files import write_text, writing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
