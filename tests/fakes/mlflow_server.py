"""MLflow as it is: its own server on a free port of this machine, with a SQLite store, and what is read from there."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class MlflowServer:
    """`mlflow server` with its files in a folder; it can be stopped, and started again with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", self.port, "--workers", 1,
            "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination", self.folder / "artifacts",
        ]  # fmt: skip
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
            )
        while True:
            assert self.process.poll() is None, (self.folder / "log.txt").read_text()
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=10).close()
                return
            except OSError:
                time.sleep(0.2)

    def stop(self) -> None:
        """End it at once, with the processes that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def runs(self, experiment: str = "tiny") -> list[ServedRun]:
        """Return an experiment's runs by the server's answers, oldest first."""
        number = self.get("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
        found = self.post("runs/search", experiment_ids=[number], order_by=["attributes.start_time ASC"])
        return [ServedRun(self, run) for run in found.get("runs", [])]

    def get(self, path: str, api: str = "api/2.0/mlflow", **query: Any) -> Any:
        query_text = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        with urllib.request.urlopen(f"{self.uri}/{api}/{path}?{query_text}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, **values: Any) -> Any:
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/{path}", json.dumps(values).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class ServedRun:
    """A run as the server has it."""

    def __init__(self, server: MlflowServer, run: dict[str, Any]) -> None:
        self.server, self.id, self.info = server, run["info"]["run_id"], run["info"]
        self.params = {item["key"]: item["value"] for item in run["data"].get("params", [])}
        self.tags = {item["key"]: item["value"] for item in run["data"].get("tags", [])}
        self.latest = {item["key"]: item["value"] for item in run["data"].get("metrics", [])}

    @property
    def metrics(self) -> list[tuple[str, int, float]]:
        """Every value: key, step, value; sorted."""
        histories = {key: self.server.get("metrics/get-history", run_id=self.id, metric_key=key) for key in self.latest}
        return sorted(
            (key, int(item["step"]), float(item["value"]))
            for key, history in histories.items()
            for item in history["metrics"]
        )

    @property
    def files(self) -> Path:
        """The folder in which the server keeps the run's files."""
        return self.server.folder / "artifacts" / self.info["experiment_id"] / self.id / "artifacts"


class StoredRun:
    """The only run of a SQLite store that no server has."""

    def __init__(self, store: Path) -> None:
        with closing(sqlite3.connect(store)) as database:
            ((self.id, self.status, self.name, place),) = database.execute(
                "select run_uuid, status, name, artifact_uri from runs"
            ).fetchall()
            self.params = dict(database.execute("select key, value from params").fetchall())
            self.tags = dict(database.execute("select key, value from tags").fetchall())
            self.metrics = sorted(database.execute("select key, step, value from metrics").fetchall())
            self.datasets = database.execute("select name, digest from datasets").fetchall()
        self.files = Path(place.removeprefix("file://"))
