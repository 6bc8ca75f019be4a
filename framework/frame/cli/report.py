"""`frame report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import complete_run
from .run import TRUST
from .text import echo, warn

if TYPE_CHECKING:
    from ..rundir.folder import RunDir


@click.command(short_help="Write runs' reports again, or make one at W&B.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True,
                shell_complete=complete_run, type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Open what was made in the browser.")
@click.option("--wandb", is_flag=True, help="Make one report about these runs at Weights & Biases instead, as a draft.")
@click.option("--update", is_flag=True, help="With --wandb: change the report about them that was made before.")
@click.option("--view", is_flag=True, help="With --wandb: save a view of the project's workspace with these runs too.")
@TRUST
def report(runs: tuple[Path, ...], *, show: bool, wandb: bool, trust: bool, **of_wandb: bool) -> None:
    """Write the report.html of each RUN again, from its folder alone.

    With --wandb, several runs are compared in one report, and the report's URL is printed; instead of runs, the folder
    of a sweep or of a repeat may be named.
    """
    from ..rundir.folder import open_run

    paths = list({run.resolve(): run for run in runs}.values())
    if wandb:
        pages = [_publish(paths, trust=trust, **of_wandb)]
    elif given := [name for name, is_given in of_wandb.items() if is_given]:
        raise click.UsageError(f"--{given[0]} is about a report at Weights & Biases: it goes with --wandb")
    else:
        pages = [_write(folder) for folder in [open_run(path) for path in paths]]
    if show:
        _open(pages)


def _write(folder: RunDir) -> str:
    from ..report import write_report

    for what in write_report(folder):
        warn(f"left out of the report: {what}")
    echo(folder.report)
    return folder.report.resolve().as_uri()


def _publish(paths: list[Path], *, trust: bool, update: bool, view: bool) -> str:
    from .publish import about

    url = about(paths).publish("wandb", trust=trust, update=update, view=view)
    echo(url)
    return url


def _open(pages: list[str]) -> None:
    import webbrowser

    for page in pages:
        if not webbrowser.open(page):
            echo(f"no browser could be opened for {page}", err=True)
