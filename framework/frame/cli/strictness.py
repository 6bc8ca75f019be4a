"""FRAME_STRICT_PLUGINS for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "FRAME_STRICT_PLUGINS"


@contextmanager
def strictness(value: str) -> Iterator[None]:
    """Set the variable while the block runs: 1 stops where an installed plugin fails to load, 0 goes on."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = value
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
