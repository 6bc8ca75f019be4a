"""`frame doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from .text import echo, say

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(short_help="Look at everything that a run needs of this machine.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder that runs are to be made in.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def doctor(context: click.Context, out: Path, *, as_json: bool) -> None:
    """Look at everything that a run needs of this machine, and say what to do where something is missing.

    Nothing is changed, and nothing is asked over the network. The exit code is 1 if there is a problem.
    """
    from .health import examine

    findings = []
    for finding in examine(out):
        findings.append(finding)
        if not as_json:
            echo(f"{finding.state:<8}", fg=COLOURS[finding.state], nl=False)
            say(f"{finding.subject}: {finding.message}", " ", " " * 12)
            if finding.advice:
                say(f"-> {finding.advice}", " " * 12, " " * 15)
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    context.exit(int(any(finding.state == "problem" for finding in findings)))
