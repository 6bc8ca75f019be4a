"""Sends a run's folder to MLflow: a process of its own, told on its standard input what to do and how the run ended."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from frame import hide_secrets, shorten

from .job import Job

if TYPE_CHECKING:
    from .store import Sending

Say = Callable[..., None]

LOOK_S = 1.0
"""Seconds between two looks at the run's rows."""
RETRY_S = 10.0
"""Seconds until MLflow is tried again after it failed."""
KILLED = "killed"


class Told:
    """What comes in on the standard input: JSON, a line each."""

    def __init__(self) -> None:
        self._rest, self._open = b"", True

    def next(self, patience_s: float | None) -> Any:
        """Return the next value, None if none comes in time; KILLED once nobody is there any more to say something."""
        until = None if patience_s is None else time.monotonic() + patience_s
        while b"\n" not in self._rest:
            if not self._open:
                return KILLED
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([0], [], [], left)[0]:
                return None
            received = os.read(0, 2**16)
            self._rest, self._open = self._rest + received, bool(received)
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


def main() -> None:
    """Send rows as they come, and all the rest at the end."""
    say, told = _own_stdout(), Told()
    job = Job(**told.next(None))
    sending, status, warned = None, None, False
    while status is None:
        try:
            sending = sending or _begin(job, say)
            sending.rows()
            pause = LOOK_S
        except Exception as error:
            if not warned:
                say(warning=f"MLflow takes nothing ({_reason(error, job)}); the run goes on, and so do the attempts")
            warned, pause = True, RETRY_S
        status = told.next(pause)
    try:
        sending = sending or _begin(job, say)
        say(sentence=sending.end(status))
    except Exception as error:
        say(error=f"MLflow does not have all of it ({_reason(error, job)})")


def _begin(job: Job, say: Say) -> Sending:
    """Import MLflow, which may fail, and find or make the run."""
    from .store import Sending

    return Sending(job, lambda text: say(warning=text))


def _own_stdout() -> Say:
    """Return what writes a message to the run; what MLflow prints goes nowhere."""
    file, nowhere = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)

    def say(**message: str) -> None:
        with suppress(BrokenPipeError):  # the run was killed
            print(json.dumps(message), file=file, flush=True)

    return say


def _reason(error: Exception, job: Job) -> str:
    """Return an error in one line; MLflow's may quote what was sent."""
    return shorten(hide_secrets(" ".join(f"{type(error).__name__}: {error}".split()), job.secrets), 300)


if __name__ == "__main__":
    main()
