"""`frame report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import complete_run
from .run import TRUST
from .text import echo, warn

if TYPE_CHECKING:
    from ..rundir.folder import RunDir


@click.command(short_help="Write the pages of runs again, or make a report at W&B.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True,
                shell_complete=complete_run, type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Open what was made in the browser.")
@click.option("--wandb", is_flag=True, help="Make one report about these runs at Weights & Biases instead, as a draft.")
@TRUST
def report(runs: tuple[Path, ...], *, show: bool, wandb: bool, trust: bool) -> None:
    """Write the report.html of each RUN again, from its folder alone; or the page of a sweep's or a repeat's folder.

    With --wandb, several runs are compared in one report, and the report's URL is printed.
    """
    from ..rundir.folder import open_run

    distinct = list({run.resolve(): run for run in runs}.values())
    if wandb:
        pages = [_publish([open_run(run) for run in distinct], "wandb", trust=trust)]
    else:
        pages = [write() for write in [_writer(run) for run in distinct]]
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


def _publish(folders: list[RunDir], name: str, *, trust: bool) -> str:
    """Have the first run's tracker of this name make the report: its settings say where the runs are."""
    from ..errors import UserError
    from ..training.saved_trackers import load_trackers

    for folder in folders:
        folder.read_record()  # a damaged one is said before anything is sent
    first = folders[0]
    if not first.recipe.is_file():
        raise UserError(f"{first.path} stopped before its training began; there is nothing to report on")
    trackers = {named.use: named.component for named in load_trackers(first.recipe, trust=trust)}
    if name not in trackers:
        raise UserError(f"{first.path} was run without the tracker '{name}', which would make the report")
    url = trackers[name].publish([folder.path for folder in folders])
    echo(url)
    return url


def _open(pages: list[str]) -> None:
    import webbrowser

    for page in pages:
        if not webbrowser.open(page):
            echo(f"no browser could be opened for {page}", err=True)
