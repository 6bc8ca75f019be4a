"""`frame reproduce`."""

from __future__ import annotations

from pathlib import Path

import click

from .devices import must_be_alone
from .events import console_of
from .run import OUT, RUN, TRUST


@click.command(short_help="Run a finished run again and compare.")
@RUN
@OUT
@TRUST
@click.pass_context
def reproduce(context: click.Context, run: Path, out: Path, *, trust: bool) -> None:
    """Train the finished RUN (its folder) again, and say whether metrics and weights are the same to the bit.

    If they are not (exit code 1), it says how far they are apart and what is different here: versions, device, threads.
    """
    must_be_alone("frame reproduce")

    from ..runs.reproduce import reproduce as run_again

    with console_of(context) as console:
        context.exit(0 if run_again(run, out, console, trust=trust) else 1)
