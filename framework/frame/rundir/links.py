"""Whoever made a run's folder does not choose what is read or written outside it: no link in it is followed.

A folder is looked through once, before anything in it is opened or written; after that, paths in it lead to what lies
in it, for libraries and plugins too. What frame itself opens is a plain file besides, or it is not opened.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

from ..errors import UserError
from .files import NO_FILE

WANDB = "wandb"
"""W&B's folder in a run's. Earlier versions of frame left the links there that W&B makes: `latest-run`, `debug.log`."""
WANDB_LOG = re.compile(r"core-debug-\d{8}_\d{6}\.log")
"""The log of W&B's own process, outside the run's folder."""


def refuse_links(folder: Path) -> None:
    """Raise UserError where a folder holds, at any depth, a link, a pipe, a device or a socket. Nothing is opened."""
    try:
        for path, mode in _below(folder):
            if S_ISLNK(mode) and not _is_of_wandb(path, folder / WANDB):
                raise UserError(
                    f"{path} is a link, to {path.readlink()}: none in a run's folder is followed, and nothing was "
                    "touched; put what it leads to in its place if you trust it, or remove it",
                    "unsafe-file",
                )
            if not (S_ISREG(mode) or S_ISDIR(mode) or S_ISLNK(mode)):
                raise UserError(f"{path}: {NO_FILE[errno.ENXIO]}, and nothing was touched; remove it", "unsafe-file")
    except OSError as error:
        raise UserError(f"{error.filename} cannot be looked at: {error.strerror}", "cannot-read") from error


def _below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield all that lies below a folder with its mode. Raises OSError for what cannot be looked at."""
    waiting = [folder]
    while waiting:
        with suppress(FileNotFoundError):  # a running run replaces its files
            for path in waiting.pop().iterdir():
                with suppress(FileNotFoundError):
                    mode = path.lstat().st_mode
                    if S_ISDIR(mode):
                        waiting.append(path)
                    yield path, mode


def _is_of_wandb(link: Path, folder: Path) -> bool:
    """Tell whether a link is as W&B makes them in its folder: it leads to what lies there, or to W&B's own log."""
    if folder not in link.parents:
        return False
    stays = Path(os.path.realpath(folder)) in Path(os.path.realpath(link)).parents
    return stays or (link.name == "debug-core.log" and WANDB_LOG.fullmatch(link.readlink().name) is not None)
