"""metrics.jsonl and timing.jsonl: a line an epoch, and a line every few steps."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, FiniteFloat
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from .files import open_to_append
from .jsonfile import checked, damaged, read_bytes, to_json

EPOCH = b'"kind": "epoch"'
"""What only an epoch's line has in it."""


class Place(TypedDict):
    """Where in the training a line belongs. kind: `epoch` or `step`."""

    kind: str
    epoch: int | float
    step: int


class Line(Place):
    """A line as it is read; the metrics are what it has beside this."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    lr: NotRequired[float | None]
    seconds: NotRequired[FiniteFloat]


def append_line(path: Path, place: Place, values: Mapping[str, float] | None = None) -> None:
    """Append a line; if it does not fit on the disk, none of it stays."""
    line = (to_json({**place, **(values or {})}) + "\n").encode()
    with open_to_append(path) as file:
        size = file.tell()
        try:
            if file.write(line) != len(line):
                raise OSError(28, os.strerror(28), str(path))
        except OSError:
            file.truncate(size)
            raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines, none if there is no file; a last line cut short is left out.

    Raises UserError for a file that is damaged elsewhere.
    """
    if not path.is_file():
        return []
    *lines, _ = read_bytes(path).split(b"\n")
    try:
        values = [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    return list(checked(values, path, list[dict[str, Any]]))


def checked_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines as `read_lines` does. Raises UserError also for one that is not as it was written."""
    return list(checked(read_lines(path), path, list[Line]))


def count_epochs(path: Path) -> int:
    """Return how many epochs a file tells of, without reading its lines one by one."""
    return read_bytes(path).count(EPOCH) if path.is_file() else 0
