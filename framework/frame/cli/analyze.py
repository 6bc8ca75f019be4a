"""`frame analyze`."""

from __future__ import annotations

from pathlib import Path

import click

from .completion import complete_analyzer
from .evaluate import DEVICE, device_override
from .run import RUN, TRUST


@click.command(short_help="Run analyzers on a finished run.")
@RUN
@click.argument("analyzers", nargs=-1, metavar="[ANALYZER|KEY=VALUE]...", shell_complete=complete_analyzer)
@DEVICE
@TRUST
@click.pass_context
def analyze(context: click.Context, run: Path, analyzers: tuple[str, ...], *, device: str | None, trust: bool) -> None:
    """Run analyzers on the finished RUN (its folder) without training, and write its report again.

    Without ANALYZER, all of its own run again. One that its recipe does not have is added to it. analyzers.N.KEY=VALUE
    changes a setting of the recipe's analyzer number N, from 0, and runs that one; data.root=FOLDER says where the
    run's data is now.
    """
    from ..console import Console
    from ..runs.analyze_again import reanalyze

    context.exit(1 if reanalyze(run, analyzers, Console(), device_override(device), trust=trust) else 0)
