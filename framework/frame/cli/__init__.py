"""The command `frame`: one file a command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import sys

import click

from ..errors import FrameError
from .lr_find import lr_find
from .plugins import list_components, show
from .report import report
from .run import resume, run
from .sync import sync
from .validate import validate

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="frame-train", prog_name="frame")
def cli() -> None:
    """Train image classifiers from YAML recipes."""


for command in (run, resume, validate, lr_find, list_components, show, report, sync):
    cli.add_command(command)


def main() -> None:
    """Run the command line: exit code 0, 1 for a failed run, 2 for the user's mistake, 130 for an interruption."""
    try:
        code = cli.main(prog_name="frame", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except FrameError as error:
        for line in str(error).splitlines():
            click.echo(f"{click.style('error', fg='red', bold=True)}: {line}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    sys.exit(code)
