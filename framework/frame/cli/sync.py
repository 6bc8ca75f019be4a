"""`frame sync`."""

from __future__ import annotations

from pathlib import Path

import click

from .completion import complete_run
from .run import TRUST
from .text import echo


@click.command(short_help="Upload what runs kept locally.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True,
                shell_complete=complete_run, type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@TRUST
def sync(runs: tuple[Path, ...], *, trust: bool) -> None:
    """Have the trackers of each RUN upload what they kept locally, and check that everything arrived.

    A run that fails does not keep the others back; the exit code is 1 if something is missing anywhere.
    """
    from ..errors import RunFailed, UserError, refuse

    failed: list[RunFailed] = []
    wrong: list[UserError] = []
    for run in {run.resolve(): run for run in runs}.values():
        try:
            for said in _sync(run, trust=trust):
                echo(f"{run}: {said}")
        except RunFailed as error:
            failed.append(error)
        except UserError as error:
            wrong.append(error)
    if failed:
        raise RunFailed("\n".join(str(error) for error in [*failed, *wrong]), failed[0].code)
    refuse(problem for error in wrong for problem in error.problems)


def _sync(run: Path, *, trust: bool) -> list[str]:
    """Return what each tracker of a run says. Raises UserError where none of them has anything to upload."""
    from ..errors import UserError
    from ..rundir.folder import open_run
    from ..training.saved_trackers import load_trackers

    folder = open_run(run)
    folder.read_record()  # a damaged one is said before anything is sent
    if not folder.recipe.is_file():
        raise UserError(f"{run} stopped before its training began; there is nothing to upload", "wrong-state")
    trackers = load_trackers(folder.recipe, trust=trust)
    said = [sentence for named in trackers if (sentence := named.component.sync(folder.path))]
    if not said:
        names = ", ".join(f"'{named.use}'" for named in trackers)
        what = f"its trackers ({names}) upload nothing" if names else "it has no trackers"
        raise UserError(f"{run} has nothing to sync: {what}")
    return said
