"""The reports that were made about runs, as the runs' folders remember them: what `--update` changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from frame import UserError

from .runs import ReportedRun, read

FILE = Path("wandb", "reports.json")
KEPT = 50
"""Reports that a run's folder remembers at most."""


@dataclass(frozen=True)
class Made:
    """A report that was made. view: the address of its saved view, if it has one. runs: their ids at W&B."""

    url: str
    view: str | None
    runs: Sequence[str]


def find(runs: Sequence[ReportedRun]) -> Made:
    """Return the report about these runs: the last one about just them, else the largest about several of them.

    Raises UserError where none was made from these folders.
    """
    ids = {run.id for run in runs}
    known = [made for run in runs for made in _all(run.folder)]
    exact = [made for made in known if set(made.runs) == ids]
    if exact:
        return exact[-1]
    grown = [made for made in known if len(made.runs) > 1 and set(made.runs) < ids]
    if not grown:
        raise UserError("no report about these runs was made from their folders: without --update, one is made")
    most = max(len(made.runs) for made in grown)
    found = {made.url: made for made in grown if len(made.runs) == most}
    if len(found) > 1:
        raise UserError(f"these runs are in several reports, name the runs of one of them: {', '.join(found)}")
    return found.popitem()[1]


def remember(runs: Sequence[ReportedRun], made: Made, *, instead_of: Made | None = None) -> None:
    """Have each run's folder remember a report. instead_of: as it was before it was changed."""
    gone = {made.url, instead_of.url if instead_of else None}
    for run in runs:
        kept = [one for one in _all(run.folder) if one.url not in gone]
        _write(run.folder / FILE, [*kept, made][-KEPT:])


def _all(folder: Path) -> list[Made]:
    file = folder / FILE
    try:
        return [Made(one["url"], one["view"], one["runs"]) for one in read(file).get("reports", ())]
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged: {error}") from error


def _write(file: Path, made: Collection[Made]) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps({"reports": [asdict(one) for one in made]}, indent=1))
    draft.replace(file)
