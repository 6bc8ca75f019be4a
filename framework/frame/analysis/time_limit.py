"""A time limit for code of others that runs in the main thread."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_S = 1.0
"""Seconds between two alarms: a single one may be swallowed by the code that it is meant to end."""


class OutOfTime(BaseException):
    """Code ran longer than it may. No Exception, so that an `except Exception` in that code lets it through."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block once it has run for that long; outside the main thread there is no limit.

    The alarm is noticed between two steps of Python: a single call into a library ends first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    running = True

    def ring(_number: int, _frame: Any) -> None:
        if running:
            raise OutOfTime(f"it ran longer than its time limit of {seconds:g} s (time_limit_s)")

    since, before = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        try:
            yield
        finally:
            running = False  # from here on an alarm is late
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - since), 0.001), interval)
