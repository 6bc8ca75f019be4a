"""What takes seconds to find out and stays true: made once, and kept in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import to_json

from ..errors import UserError
from .files import write_bytes
from .jsonfile import read_json

T = TypeVar("T")


def home_folder(variable: str, below_home: str) -> Path:
    """Return the user's folder that a variable of the XDG names. Raises OSError where the user has no home."""
    given = Path(os.environ.get(variable, ""))
    try:
        return given if given.is_absolute() else Path.home() / below_home
    except RuntimeError as error:
        raise OSError(str(error)) from error


def cache_root() -> Path:
    """Return the folder of this user's caches. Raises OSError where the user has no home."""
    return home_folder("XDG_CACHE_HOME", ".cache")


def cached(name: str, shape: Any, make: Callable[[], T]) -> T:
    """Return what the user's cache has under `name`, or what `make()` returns, which is then kept there.

    name: letters, digits, `-`, `_`, `+` and `.`; it has to say everything that the value depends on, such as versions.
    shape: the value's type, any that pydantic brings to JSON and back; a file that holds something else, being damaged,
    is made anew. Where nothing can be kept in the cache, this process keeps it, for each `make` that compares equal.
    Raises what `make` raises.
    """
    try:
        root = cache_root()
    except OSError:
        root = None
    value: T = _cached(root, name, shape, make)
    return value


@cache
def _cached(root: Path | None, name: str, shape: Hashable, make: Callable[[], Any]) -> Any:
    if not root:
        return make()
    place = root / "frame" / f"{name}.json"
    with suppress(UserError):
        return read_json(place, shape)
    made = make()
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, to_json(made))
    return made
