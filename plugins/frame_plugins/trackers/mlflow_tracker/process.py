"""The process that sends: MLflow takes seconds to import, retries as it likes, and draws random numbers for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

from frame import known_secrets

from .job import Job

BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds; MLflow's own: 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own: 7, which take minutes
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Variables of the sending process; the user's own go before."""


@dataclass(frozen=True)
class Said:
    """How the sending ended: with a sentence that says that all is there, or with the reason why it is not."""

    sentence: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()


class Sender:
    """A process that sends a run's folder to MLflow until it is told how the run ended; it outlives a killed run."""

    def __init__(self, job: Job) -> None:
        self._rest, self._heard = b"", Said()
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", f"{__package__}.send"],
            env={**BOUNDS, **os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the run's
        )
        os.set_blocking(self._pipe(self._process.stdout).fileno(), False)
        self._tell(asdict(replace(job, secrets=[*job.secrets, *known_secrets()])))

    def warnings(self) -> Iterator[str]:
        """Yield what it warned of since the last call."""
        received = self._pipe(self._process.stdout).read() or b""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "warning" in message:
                yield message["warning"]
            else:
                self._heard = Said(**message)

    def end(self, status: str, timeout_s: float) -> Said:
        """Tell it how the run ended, and wait until all is sent, or it fails, or the time is up."""
        self._tell(status)
        self._pipe(self._process.stdin).close()
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return Said(error=f"MLflow did not take all of it within {timeout_s:g} s")
        left = tuple(self.warnings())
        self._pipe(self._process.stdout).close()
        if not (self._heard.sentence or self._heard.error):
            return Said(error=f"the process that sends to MLflow ended with code {code}")
        return replace(self._heard, warnings=left)

    def _tell(self, value: Any) -> None:
        with suppress(BrokenPipeError):  # how it ended is said by `end`
            self._pipe(self._process.stdin).write(json.dumps(value).encode() + b"\n")

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe
