"""The lock on a run's folder. It is POSIX's: it ends with the process, however that ends; children do not inherit it.

POSIX takes it from a process that closes the file, opened a second time too: who holds it does not open it again.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import UserError
from .files import plain, writing

LAYOUT = "hhqqi0q"
"""Linux's struct flock: type, whence, start, length, process."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep the folder of the file `path` to this process while the block runs; the file's content stays as it is.

    Raises UserError where another process has the folder.
    """
    with writing(path):
        file = open(path, "ab", opener=plain)  # noqa: SIM115 - closed below
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = f"{path.parent} is in use by process {_holder(file)}; it can go on when that ends"
            raise UserError(text, "run-in-use") from error
        yield


def is_held(path: Path) -> bool:
    """Tell whether another process has the lock, without taking it: none that wants it is refused."""
    try:
        with open(path, "rb", opener=plain) as file:
            return _holder(file) is not None
    except OSError:
        return False


def _holder(file: IO[bytes]) -> int | None:
    """Return the process that has the lock on a file, None if no other than this one has it."""
    question = struct.pack(LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, *_, process = struct.unpack(LAYOUT, fcntl.fcntl(file, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else process
