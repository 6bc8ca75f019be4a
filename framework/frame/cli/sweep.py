"""`frame sweep`."""

from __future__ import annotations

from pathlib import Path

import click

from .completion import complete_override
from .run import OUT, RECIPE


@click.command(short_help="Train a recipe many times, searching for the best values.")
@RECIPE
@click.argument("sweep", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_override)
@OUT
@click.option("--address", metavar="ADDR", help="A Ray cluster to run on, or auto; else this machine.")
@click.pass_context
def sweep(
    context: click.Context, recipe: str, sweep: Path, overrides: tuple[str, ...], out: Path, address: str | None
) -> None:
    """Train RECIPE with many values of some settings, as the file SWEEP says, and compare.

    Each trial is an ordinary run. A page, the best recipe and a picture lie in sweeps/NAME/ at the end. The same
    command again goes on with a sweep that was interrupted or killed.
    """
    from ..sweep.spec import load_sweep

    checked = load_sweep(recipe, sweep, overrides)

    from ..console import Console
    from ..sweep.page import write_page
    from ..sweep.record import open_sweep
    from ..sweep.summary import summarize
    from ..sweep.tuning import require_ray, run_sweep
    from . import INTERRUPTED

    require_ray(address)
    console = Console()
    folder = open_sweep(checked)
    complete = run_sweep(folder, out, address, console)
    summarize(folder, console)
    console.say(f"page      {write_page(folder.path)[0]}")
    if not complete:
        console.say("interrupted; the same command goes on with it")
        context.exit(INTERRUPTED)
