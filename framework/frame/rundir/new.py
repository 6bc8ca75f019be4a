"""A new run's folder: hidden until it holds all that a resume needs, so that a kill never leaves half a run in view."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..errors import UserError
from .folder import RunDir

DRAFT = re.compile(r"\.\d{8}-\d{6}-[0-9a-f]{4}")
"""The hidden name of a run's folder: its own behind a dot."""


def new_path(out: Path, name: str) -> Path:
    """Return where a run may begin now: its id is the time and some digits."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return out / name / f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class NewRun:
    """Where a run's folder is made: under `out`, or as `path`, which must not be there yet.

    passing: it is thrown away at the run's end. group: of the runs that it belongs to, for trackers.
    """

    out: Path
    path: Path | None = None
    passing: bool = False
    group: str | None = None


@contextmanager
def drafted(place: NewRun, name: str) -> Iterator[RunDir]:
    """Keep a new run's folder to this process while the block runs: hidden, until `publish` gives it its own name.

    What is still hidden at the end goes, and so do drafts that a killed process left. Raises UserError where no folder
    can be made.
    """
    with ExitStack() as stack:
        draft = _make(place, name, stack)
        stack.callback(shutil.rmtree, draft, ignore_errors=True)
        _remove_leftovers(draft.parent, draft)
        for folder in ("checkpoints", "analysis"):
            (draft / folder).mkdir()
        yield RunDir(draft, place.passing)


def publish(draft: RunDir) -> RunDir:
    """Give a draft the name that it is seen under, and return it; the lock goes with it."""
    path = draft.path.with_name(draft.run_id)
    draft.path.rename(path)
    return replace(draft, path=path)


def _make(place: NewRun, name: str, stack: ExitStack) -> Path:
    """Make the hidden folder and lock it; the stack lets go of it."""
    out, path = place.out, place.path
    for _ in range(100):
        final = path or new_path(out, name)
        draft = final.with_name(f".{final.name}")
        try:
            draft.mkdir(parents=True)
        except FileExistsError:
            if not draft.exists():
                text = f"the runs' folder {out} cannot be made: a file is in its place; choose --out"
                raise UserError(text, "cannot-write") from None
            _remove_leftovers(draft.parent)
            continue
        except OSError as error:
            text = f"the run's folder {final} cannot be made: {error.strerror}; choose --out"
            raise UserError(text, "cannot-write") from error
        if os.path.lexists(final):  # asked behind the mkdir: whoever makes a run of this name made that folder first
            draft.rmdir()
            if path:
                raise UserError(f"{path} is there already; a run begins in a folder of its own", "already-exists")
            continue
        with suppress(UserError):  # another start takes it for a leftover, just now
            stack.enter_context(RunDir(draft).locked())
            if RunDir(draft).lock.exists():
                return draft
    raise UserError(f"no free name for a run under {out / name}")


def _remove_leftovers(folder: Path, mine: Path | None = None) -> None:
    """Remove the drafts that no process has. Each is locked first: a start that has just made one loses it knowingly.

    mine: this process's own; to open its lock again would give it up.
    """
    for leftover in folder.iterdir():
        if leftover != mine and DRAFT.fullmatch(leftover.name) and leftover.is_dir() and not leftover.is_symlink():
            with suppress(UserError), RunDir(leftover).locked():
                shutil.rmtree(leftover, ignore_errors=True)
