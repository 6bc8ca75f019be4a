"""Files that are plain, and whole or not there: no link is followed, no pipe waited for, no half left behind."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO

from ..errors import UserError

NO_FILE = {
    errno.ELOOP: "a link is in its place",
    errno.EISDIR: "a folder is in its place",
    errno.ENXIO: "a pipe, a device or a socket is in its place",
}


class NotPlain(OSError):
    """Something else is in a file's place."""


def plain(path: str, flags: int) -> int:
    """Open a plain file, as the `opener` of `open`: no link is followed, no pipe waited for. Raises OSError."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise (NotPlain(error.errno, NO_FILE[error.errno], path) if error.errno in NO_FILE else error) from None
    mode = os.fstat(descriptor).st_mode
    if S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise NotPlain(errno.EINVAL, NO_FILE[errno.EISDIR if S_ISDIR(mode) else errno.ENXIO], path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside its place, fsynced, renamed."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of a file that the user named, or of a folder above it, that it cannot be written. Raises UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", "cannot-write") from error


def open_to_append(path: Path) -> IO[bytes]:
    """Open a file at its end, unbuffered."""
    _be_its_only_name(path)
    return open(path, "ab", buffering=0, opener=plain)


def cut(path: Path, size: int) -> None:
    """Leave a file's first `size` bytes."""
    _be_its_only_name(path)
    with open(path, "r+b", opener=plain) as file:
        file.truncate(size)


def _be_its_only_name(path: Path) -> None:
    """Where a file has other names too (`cp -al`, snapshots), take a copy, so that what they show stays as it is."""
    with suppress(FileNotFoundError):
        if path.lstat().st_nlink > 1:
            write_bytes(path, path.read_bytes())


def sync_to_disk(*paths: Path) -> None:
    """Wait until what these files and folders hold has reached the disk; those that are missing are passed over."""
    for path in paths:
        if path.exists():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def sha256(path: Path) -> str:
    """Return a file's checksum, in hexadecimal."""
    with open(path, "rb", opener=plain) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
