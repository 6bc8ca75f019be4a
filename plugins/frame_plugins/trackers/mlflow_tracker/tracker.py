"""Keeps what is logged in the run's folder, from where a process of its own sends it to MLflow."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from frame import AnalyzerResult, TrainingRun

from .job import ROWS, Job
from .process import Sender


class MLflowTracker:
    """Appends each row to a file that the sending process reads; no call but `finish` waits for MLflow."""

    def __init__(self, run: TrainingRun, job: Job, finish_timeout_s: float) -> None:
        self._run, self._finish_timeout_s = run, finish_timeout_s
        self._rows = run.folder / ROWS
        self._rows.parent.mkdir(exist_ok=True)
        self._sender = Sender(job)

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        self._keep({**metrics, "epoch": epoch}, step)

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Keep the numbers; figures, tables and images are files of the run, and sent at its end."""
        self._keep({f"analysis/{name}/{key}": value for key, value in result.scalars.items()}, self._run.step)

    def finish(self, status: str) -> None:
        """Wait until MLflow has everything. Raises RuntimeError where it does not get it in time."""
        said = self._sender.end(status, self._finish_timeout_s)
        for warning in said.warnings:
            self._run.warn(warning)
        if said.error:
            hint = f"nothing is lost, send it with: frame sync {self._run.folder}"
            raise RuntimeError(f"{said.error}; {hint}")

    def _keep(self, values: Mapping[str, float], step: int) -> None:
        row = {"step": step, "time": time.time_ns() // 10**6, "values": {key: float(v) for key, v in values.items()}}
        with self._rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for warning in self._sender.warnings():
            self._run.warn(warning)
