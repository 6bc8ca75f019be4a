"""`frame runs` and `frame runs rm`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UserError, shown
from .completion import complete_run
from .text import echo, warn, width

if TYPE_CHECKING:
    from ..rundir.inventory import Entry
    from ..rundir.record import Best

COLUMNS = ("run", "state", "best", "test accuracy", "epochs", "duration", "disk")


class ListsByDefault(click.Group):
    """A group whose command is `list` where none is named: `frame runs FOLDER`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args[:1] in (["rm"], ["-h"], ["--help"]) or (ctx.resilient_parsing and not args)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(
    cls=ListsByDefault, short_help="List runs, or remove some.", subcommand_metavar="[FOLDER] [--json] | rm RUN..."
)
def runs() -> None:
    """List the runs below FOLDER (if not given: runs), those that started last first; or remove some.

    A run in state `killed` has no process any more: `frame resume` continues it. Of a run that is `damaged`, run.json
    cannot be read. --json prints the list for programs.
    """


@runs.command("list", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_command(folder: Path, *, as_json: bool) -> None:
    """List the runs below FOLDER."""
    from ..console.tables import fitted
    from ..rundir.inventory import list_runs
    from ..rundir.jsonfile import to_json

    if not folder.is_dir():
        text = f"there is no folder {folder}; name the one that runs lie in (the --out of `frame run`)"
        raise UserError(text, "no-such-file")
    entries = list_runs(folder)
    if as_json:
        echo(to_json([entry.values() for entry in entries], indent=2))
        return
    if not entries:
        echo(f"no runs below {folder}")
        return
    rows = [_row(entry) for entry in entries]
    for lines in fitted(COLUMNS, rows, width(), whole=0, right=range(3, len(COLUMNS))):
        echo("\n".join(lines))
    for entry in entries:
        if entry.problem:
            warn(entry.problem)


def _row(entry: Entry) -> list[str]:
    from ..console import duration

    epochs = "–" if entry.state == "damaged" else f"{entry.epochs}/{entry.planned_epochs or '?'}"
    accuracy = "–" if entry.test_accuracy is None else f"{entry.test_accuracy:.2%}"
    seconds = "–" if entry.seconds is None else duration(entry.seconds)
    return [shown(entry.path), entry.state, _best(entry.best), accuracy, epochs, seconds, size(entry.disk_bytes)]


def _best(best: Best | None) -> str:
    if best is None:
        return "–"
    value = f"{best['value']:.2%}" if best["metric"].endswith("/acc") else f"{best['value']:.4f}"
    return f"{best['metric']} {value} (epoch {best['epoch']})"


def size(count: int) -> str:
    """Return a number of bytes as people say it: 512 B, 4.1 kB, 73 MB, 1.2 GB."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"


@runs.command(short_help="Remove runs: their folders with all they hold.")
@click.argument("paths", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_run,
                type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(paths: Sequence[Path], *, yes: bool) -> None:
    """Remove each RUN: its folder with all it holds. What is to go is shown first, and nothing goes without a yes.

    A run that a process works on is refused, and so is a folder that is no run; then none is removed. Of links inside
    a run, the link goes and not what it leads to.
    """
    from ..rundir.inventory import disk_use, remove, take

    distinct = {path.resolve() if not path.is_symlink() else path.absolute(): path for path in paths}
    with ExitStack() as stack:
        folders = take(list(distinct.values()), stack)
        sizes = [disk_use(folder.path) for folder in folders]
        for folder, count in zip(folders, sizes, strict=True):
            echo(f"{shown(folder.path)}  {size(count)}")
        what = "this run" if len(folders) == 1 else f"these {len(folders)} runs"
        if not yes and not click.confirm(f"Remove {what} ({size(sum(sizes))}) for good?"):
            echo("nothing was removed")
            return
        for folder in folders:
            remove(folder)
    echo(f"removed: {size(sum(sizes))} are free again")
