"""`frame report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write a run's report again.")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
def report(run: Path) -> None:
    """Write RUN's report.html again, from its folder alone."""
    from ..report import write_report
    from ..rundir import open_run

    folder = open_run(run)
    write_report(folder)
    click.echo(folder.report)
