"""Stopping a run on request: after the step in flight, with everything saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C, the end of a job, and the warning that some clusters give before they take a machine back."""


class Interrupted(Exception):
    """A run was asked to stop, and can be resumed."""


class StopRequest:
    """Notes a request to stop while the run is patient; else, or at a second Ctrl-C, it raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self._patient = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the block runs, and give them back afterwards. Only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._take) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Let requests wait until the block asks for `requested`."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def _take(self, number: int, _frame: Any) -> None:
        if not self._patient or (self.requested and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.requested = True
