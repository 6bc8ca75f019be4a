"""A trial in a worker of Ray's: it starts `frame run`, or `frame resume`, and tells Tune each epoch's metric."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ray import tune

from ..rundir.folder import RunDir
from .record import PATIENCE_S, Epochs, reported

POLL_S = 0.1
"""Seconds between two readings of the run's metrics."""
REPORT_S = 2
"""Seconds that a trial may take to hear that it is to stop."""
PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM when the worker dies, however that happens: the run saves itself and ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # Ray's workers block SIGINT


class RunProcess(tune.Trainable):
    """One run as a process of its own. config: run (its folder), command, cwd, threads, metric, mode."""

    def setup(self, config: dict[str, Any]) -> None:
        self.run = RunDir(Path(config["run"]))
        self.epochs = Epochs(self.run.metrics)
        self.seen, self.last = 0, {"value": reported(None, config["mode"])}
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in cleanup
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "frame", *config["command"]],
            cwd=config["cwd"],
            env={**os.environ, "OMP_NUM_THREADS": config["threads"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.stderr,
            start_new_session=True,  # Ctrl-C is the sweep's
            preexec_fn=_end_with_parent,
        )

    def step(self) -> dict[str, Any]:
        """Wait for the next epoch, or for the end: after the last epoch there is nothing left to decide.

        Without either it returns after a while, so that Tune can stop the trial within an epoch.
        """
        until = time.monotonic() + REPORT_S
        while time.monotonic() < until:
            ended = self.process.poll() is not None  # asked first: what was written until then is read below
            epochs = self.epochs.read()
            if len(epochs) > self.seen:
                line = epochs[self.seen]
                self.seen += 1
                self.last = {"value": reported(line[self.config["metric"]], self.config["mode"])}
                if line["epoch"] < self.run.read_record()["epochs"]:
                    return {**self.last, "epoch": line["epoch"]}
            elif ended:
                # no exception: Ray would end this worker, and start another for the next trial
                outcome = {"error": self._reason()} if self.process.returncode else {"ended": True}
                return {**self.last, **outcome, tune.result.DONE: True}
            else:
                time.sleep(POLL_S)
        return self.last  # without an epoch: nothing for ASHA to judge

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial into this process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Stop the run if it goes on: it saves itself, is `interrupted`, and can be resumed."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stderr.close()

    def _reason(self) -> str:
        """Return the last error that the run printed."""
        self.stderr.seek(0)
        lines = [line.strip() for line in self.stderr if line.strip()]
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (errors or lines or [f"exit code {self.process.returncode}"])[-1]
