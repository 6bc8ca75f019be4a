"""`frame report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from .completion import complete_run
from .run import TRUST
from .text import echo, warn


@click.command(short_help="Write the pages of runs again, or make a report at W&B.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True,
                shell_complete=complete_run, type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Open what was made in the browser.")
@click.option("--wandb", is_flag=True, help="Make one report about these runs at Weights & Biases instead, as a draft.")
@click.option("--update", is_flag=True, help="With --wandb: change the report about them that was made before.")
@click.option("--view", is_flag=True, help="With --wandb: save a view of the project's workspace with these runs too.")
@TRUST
def report(runs: tuple[Path, ...], *, show: bool, wandb: bool, trust: bool, **of_wandb: bool) -> None:
    """Write the report.html of each RUN again, from its folder alone; or the page of a sweep's or a repeat's folder.

    With --wandb, several runs are compared in one report, and the report's URL is printed; instead of runs, the folder
    of a sweep or of a repeat may be named.
    """
    paths = list({run.resolve(): run for run in runs}.values())
    if wandb:
        pages = [_publish(paths, trust=trust, **of_wandb)]
    elif given := [name for name, is_given in of_wandb.items() if is_given]:
        raise click.UsageError(f"--{given[0]} is about a report at Weights & Biases: it goes with --wandb")
    else:
        pages = [write() for write in [_writer(path) for path in paths]]
    if show:
        _open(pages)


def _writer(folder: Path) -> Callable[[], str]:
    """Return what writes a folder's page and returns its address. Raises UserError where the folder has none."""
    from ..report import write_report
    from ..report.comparison.repeats import REPEAT, write_repeat_page
    from ..rundir.folder import open_run

    if (folder / "sweep.json").is_file():
        from ..sweep.page import write_page

        return lambda: _written(*write_page(folder))
    if (folder / REPEAT).is_file():
        return lambda: _written(*write_repeat_page(folder))
    run = open_run(folder)
    return lambda: _written(run.report, write_report(run))


def _written(page: Path, damaged: list[str]) -> str:
    for what in damaged:
        warn(f"left out of the report: {what}")
    echo(page)
    return page.resolve().as_uri()


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
