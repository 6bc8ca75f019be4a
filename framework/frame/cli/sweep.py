"""`frame sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from .completion import complete_override
from .events import JSON, console_of
from .run import OUT, RECIPE


class SweepOptions(TypedDict):
    """The options of `frame sweep`."""

    out: Path
    address: str | None
    as_json: bool


@click.command(short_help="Train a recipe many times, searching for the best values.")
@RECIPE
@click.argument("sweep", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_override)
@OUT
@click.option("--address", metavar="ADDR", help="A Ray cluster to run on, or auto; else this machine.")
@JSON
@click.pass_context
def sweep(
    context: click.Context, recipe: str, sweep: Path, overrides: tuple[str, ...], **options: Unpack[SweepOptions]
) -> None:
    """Train RECIPE with many values of some settings, as the file SWEEP says, and compare.

    Each trial is an ordinary run. A page, the best recipe and a picture lie in sweeps/NAME/ at the end. The same
    command again goes on with a sweep that was interrupted or killed.
    """
    from ..sweep.spec import load_sweep

    checked = load_sweep(recipe, sweep, overrides)

    from ..compute.interrupts import Interrupted
    from ..sweep.page import write_page
    from ..sweep.record import open_sweep
    from ..sweep.summary import summarize
    from ..sweep.tuning import require_ray, run_sweep

    address = options["address"]
    require_ray(address)
    with console_of(context, as_json=options["as_json"]) as console:
        folder = open_sweep(checked)
        complete = run_sweep(folder, options["out"], address, console)
        summarize(folder, console, complete=complete)
        console.say(f"page      {write_page(folder.path)[0]}")
        if not complete:
            raise Interrupted("interrupted; the same command goes on with it")
