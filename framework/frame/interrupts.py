"""Stopping a run on request: after the step in flight, with everything saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A run was asked to stop, and its state has been saved."""


class StopRequest:
    """Notes the first SIGINT or SIGTERM, to be obeyed after the step; a second one ends the process at once."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the block runs, and give them back afterwards."""
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def give_back() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def note(_number: int, _frame: Any) -> None:
            self.requested = True
            give_back()

        for number in SIGNALS:
            signal.signal(number, note)
        try:
            yield
        finally:
            give_back()
