"""Standard streams that nobody reads any more: a run does not end with the terminal or the `head` that it talks to."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO


class Outlet(io.FileIO):
    """An open file descriptor for writing; once its reader or its terminal is gone, what is written goes nowhere."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(content)


def open_streams() -> None:
    """Make standard output and standard error outlive their readers, also where they were closed from the start.

    A closed descriptor is taken by the next file that is opened, and that file by whatever a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdout is sys.__stdout__:  # not where a test has put something in its place
        sys.stdout = _stream(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2, sys.stderr)


@contextmanager
def output_apart() -> Iterator[TextIO]:
    """Yield a stream to standard output, for what the command itself writes.

    What else is printed while the block runs, by libraries and by processes that they start, goes to standard error.
    """
    output = sys.stdout
    if output is not sys.__stdout__ and not isinstance(getattr(output.buffer, "raw", None), Outlet):  # a test's
        with redirect_stdout(sys.stderr):
            yield output
        return
    output.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with _stream(kept, output) as stream:
            yield stream
    finally:
        output.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _stream(descriptor: int, like: Any) -> io.TextIOWrapper:
    """Return a text stream to the descriptor, with the encoding and the buffering of the one that Python made."""
    return io.TextIOWrapper(
        io.BufferedWriter(Outlet(descriptor, "w", closefd=False)),
        encoding=getattr(like, "encoding", "utf-8"),
        errors=getattr(like, "errors", "replace"),
        line_buffering=getattr(like, "line_buffering", True),
        write_through=getattr(like, "write_through", False),
    )
