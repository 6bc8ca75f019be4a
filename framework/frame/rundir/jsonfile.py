"""JSON as every program reads it, and reading what a run wrote of it, or what became of that.

A file that is damaged is named, with what is wrong in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from functools import cache
from math import nan
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from ..api.ranking import number
from ..errors import Problem, UserError
from ..nested import Key, changed
from .files import NotPlain, plain

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_BYTES = 2**28
"""256 MiB: more than a run of a million steps writes into one file."""

MAX_FILE = 2**31
"""Bytes of an archive, of weights or of predictions that are read at all."""


def to_json(value: Any, **options: Any) -> str:
    """Return a value as JSON, null for every NaN and infinity in it: JSON has none. options: of `json.dumps`."""
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(changed(value, _without_nan), allow_nan=False, **options)


def _without_nan(_: Key, value: Any) -> Any:
    return number(value) if isinstance(value, float) else value


def damaged(path: Path, reason: object) -> UserError:
    """Return the error for a run's file that cannot be used. reason: in words, or what a library said of it."""
    text = str(reason).strip().partition("\n")[0] or type(reason).__name__
    return UserError(Problem(f"{path}: damaged: {text if text.isprintable() else ascii(text)}", code="damaged-file"))


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return a file's content. Raises UserError where it cannot be read or has more than `limit` bytes."""
    try:
        with open(path, "rb", opener=plain) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise damaged(path, f"it has more than {limit:,} bytes")
            return file.read()
    except NotPlain as error:
        raise damaged(path, error.strerror) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", "cannot-read") from error


def small_enough(path: Path) -> Path:
    """Return the path of a file that can be read into memory. Raises UserError for what is none, or too large."""
    found = path.lstat() if path.exists() else None
    if found is None or not S_ISREG(found.st_mode):
        raise damaged(path, "there is no such file")
    if found.st_size > MAX_FILE:
        raise damaged(path, f"it has more than {MAX_FILE:,} bytes")
    return path


def read_json(path: Path, shape: Any, limit: int = MAX_BYTES) -> Any:
    """Return a JSON file's value, checked to be a `shape`: any type that pydantic knows. Raises UserError.

    limit: bytes that it may have.
    """
    raw = read_bytes(path, limit)
    return _checked(path, lambda: _adapter(shape).validate_json(raw))


def numbers(values: Iterable[float | None]) -> tuple[float, ...]:
    """Return numbers that were read from JSON: NaN for each null, which is what became of it."""
    return tuple(nan if value is None else value for value in values)


def checked(value: Any, path: Path, shape: Any) -> Any:
    """Return a value that was read from `path`, checked to be a `shape`. Raises UserError."""
    return _checked(path, lambda: _adapter(shape).validate_python(value))


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # late: commands that read no run start without it

    return TypeAdapter(shape)


def _checked(path: Path, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except ValueError as error:  # pydantic's ValidationError is one
        first = error.errors(include_url=False)[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        where = ".".join(map(str, first["loc"]))
        raise damaged(path, f"{where}: {first['msg']}" if where else first["msg"]) from error
