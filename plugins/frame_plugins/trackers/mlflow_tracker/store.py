"""One run at an MLflow server, or in a store: it is given what it lacks, and asked whether it has it."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from frame import RunFailed, hide_secrets

from .contents import RECORD, TAG, Rows, changed, files, key, params, read, recipe_of, secret_texts
from .job import PLACE, Job
from .parent import parent_of

T = TypeVar("T")

RUN_ID, STATE = "frame.run_id", "frame.state"
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "killed": "KILLED"}
METRICS, PARAMS = 1000, 100
"""How many MLflow takes at a time."""
LOCAL = ("sqlite", "file", "")
SHOWN = 3
"""How many names of missing files a message lists."""


class Sending:
    """Finds or makes the run at MLflow, and sends what it does not have."""

    def __init__(self, job: Job, warn: Callable[[str], None]) -> None:
        self.job, self.folder, self.warn = job, Path(job.folder), warn
        self.secrets = secret_texts(self.folder, job.secrets)
        self.record = self._record()
        self.uri = _uri(job, self.folder)
        mlflow.set_tracking_uri(self.uri)  # where artifacts go follows from this one alone
        self.client = MlflowClient(self.uri)
        self.unsent = Rows(self.folder)
        self.experiment = self._experiment()
        self.parent = self._parent()
        self.id = self._run()
        self.there = self._values()
        self._write_place()

    def rows(self) -> None:
        """Send the rows that were logged since the last call. A value that MLflow has for a step is not sent again."""
        new: dict[tuple[str, int], Metric] = {}
        for name, value, at, step in self.unsent.peek():
            if (name, step) not in self.there:
                new.setdefault((name, step), Metric(name, value, at, step))
        for some in _parts(list(new.items()), METRICS):
            self.client.log_batch(self.id, metrics=[metric for _, metric in some])
            self.there |= {place for place, _ in some}
        self.unsent.taken()

    def end(self, status: str) -> str:
        """Send all the rest, see that it arrived, and say so. Raises RunFailed where it did not."""
        self.record = self._record()
        self.rows()
        self._results()
        sent = self._files(status)
        if lacking := self._lacking(sent):
            raise RunFailed(f"it lacks {lacking}")
        self.client.set_tag(self.id, STATE, status)
        if status in STATUS:
            for run in filter(None, (self.id, self.parent)):  # a group's run ends with the last of its runs
                self.client.set_terminated(run, STATUS[status] if run == self.id else "FINISHED", self._ended())
        return f"MLflow has all of it: {len(self.there):,} values, {len(sent):,} files, at {self.place['url']}"

    def _record(self) -> dict[str, Any]:
        """Return what run.json says; a run's folder is named like the run."""
        return {"id": self.folder.name, "name": self.folder.parent.name, **read(self.folder / RECORD)}

    @property
    def place(self) -> dict[str, str]:
        """Where the run is, without what is secret in an address."""
        shown = hide_secrets(self.uri, self.job.secrets)
        url = f"{shown.rstrip('/')}/#/experiments/{self.experiment}/runs/{self.id}"
        return {
            "tracking_uri": shown, "experiment_id": self.experiment, "run_id": self.id,
            "url": url if shown.startswith("http") else shown,
        }  # fmt: skip

    def _experiment(self) -> str:
        named = self.job.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        if not named and (number := os.environ.get("MLFLOW_EXPERIMENT_ID")):
            return number
        name = named or str(self.record["name"])
        if found := self.client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException:  # another run made it just now
            if found := self.client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def _run(self) -> str:
        """Return the id of the run at MLflow: the one that has this run's id, made if there is none."""
        run_id, tags = key(self.record["id"]), self._tags()
        wanted = f"tags.`{RUN_ID}` = '{run_id}'"
        if found := self.client.search_runs([self.experiment], wanted, ViewType.ACTIVE_ONLY, 1):
            mine, had = str(found[0].info.run_id), found[0].data.params
            self.client.update_run(mine, status="RUNNING")
        else:
            name = self.job.name or self.record["id"]
            made = self.client.create_run(self.experiment, _ms(self.record.get("started")), tags, name)
            mine, had = str(made.info.run_id), {}
            self._dataset(mine)
        recipe = recipe_of(self.folder, self.job.secrets)
        new = [Param(*item) for item in params(recipe) if item[0] not in had]  # MLflow changes none
        self.client.log_batch(mine, tags=[RunTag(*item) for item in tags.items()])
        for some in _parts(new, PARAMS):
            self.client.log_batch(mine, params=some)
        return mine

    def _parent(self) -> str | None:
        """Return the run that this one is nested in, if it belongs to a sweep or is one of several."""
        if not (group := self.record.get("group")):
            return None
        source = {"mlflow.source.name": self.record["name"], "mlflow.source.type": "LOCAL"}
        return parent_of(self.client, self.experiment, group, {**source, "mlflow.user": getpass.getuser()})

    def _tags(self) -> dict[str, str]:
        about = read(self.folder / "environment.json")
        git = about.get("git") or {}
        own = {
            RUN_ID: key(self.record["id"]),
            STATE: "running",
            "frame.folder": str(self.folder),
            "frame.version": about.get("versions", {}).get("frame-train"),
            "mlflow.source.name": self.record["name"],
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": git.get("commit"),
            "mlflow.source.git.repoURL": git.get("remote"),
            "mlflow.user": getpass.getuser(),
            MLFLOW_PARENT_RUN_ID: self.parent,
        }
        told = {key(name): value for name, value in self.job.tags.items()}
        return {name: str(value)[:TAG] for name, value in {**own, **told}.items() if value is not None}

    def _dataset(self, run_id: str) -> None:
        """Make the dataset the run's input: its name and checksum, not its images."""
        data = read(self.folder / "data.json")
        if not data.get("checksum"):
            return
        name = recipe_of(self.folder, self.job.secrets)["data"]["use"]
        about = json.dumps({"classes": len(data["classes"]), "shape": data["shape"], "train_size": data["train_size"]})
        source = json.dumps({"uri": f"frame-data://{name}/{data['checksum']}"})
        dataset = Dataset(name, data["checksum"][:36], "external", source, profile=about)
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _values(self) -> set[tuple[str, int]]:
        """Return the key and step of every value that MLflow has of the run."""
        names = self.client.get_run(self.id).data.metrics
        return {(name, metric.step) for name in names for metric in self.client.get_metric_history(self.id, name)}

    def _results(self) -> None:
        """Send what the run came to: its best epoch and the kept model's accuracy."""
        best = self.record.get("best") or {}
        accuracy = self.record.get("test_accuracy")
        values = {"best": best.get("value"), "best_epoch": best.get("epoch"), "test_accuracy": accuracy}
        step, at = self.unsent.last_step, self._ended()
        new = [
            Metric(name, float(value), at, step)
            for name, value in values.items()
            if value is not None and (name, step) not in self.there
        ]
        tags = {"frame.best_metric": best.get("metric"), "frame.kept": self.record.get("kept")}
        self.client.log_batch(self.id, new, tags=[RunTag(*item) for item in tags.items() if item[1] is not None])
        self.there |= {(metric.key, step) for metric in new}

    def _files(self, status: str) -> dict[str, int]:
        """Send every file, and return their names with their sizes in bytes."""
        sent = {}
        for name in files(self.folder, checkpoints=self.job.checkpoints):
            try:
                text = changed(self.folder, name, status, self.secrets)
            except ValueError as error:
                self.warn(f"{error}: it is not sent to MLflow")
                continue
            if text is not None:
                self.client.log_text(self.id, text, name)
                sent[name] = len(text.encode())
            else:
                self.client.log_artifact(
                    self.id, str(self.folder / name), str(Path(name).parent) if "/" in name else None
                )
                sent[name] = (self.folder / name).stat().st_size
        return sent

    def _lacking(self, sent: dict[str, int]) -> str:
        """Return what MLflow has not got of all that was sent, in words; nothing if it has all."""
        values = len(self.there - self._values())
        there = dict(self._listed())
        missing = [name for name, size in sent.items() if there.get(name, -1) not in (size, None)]
        shown = ", ".join(missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
        words = [f"{values} of {len(self.there)} values"] * bool(values)
        return " and ".join([*words, *[f"{len(missing)} of {len(sent)} files ({shown})"] * bool(missing)])

    def _listed(self, folder: str | None = None) -> Iterator[tuple[str, int | None]]:
        for entry in self.client.list_artifacts(self.id, folder):
            if entry.is_dir:
                yield from self._listed(entry.path)
            else:
                yield entry.path, entry.file_size

    def _ended(self) -> int:
        return _ms(self.record.get("ended")) or time.time_ns() // 10**6

    def _write_place(self) -> None:
        path = self.folder / PLACE
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(self.place, indent=2) + "\n")
        draft.replace(path)


def _uri(job: Job, folder: Path) -> str:
    """Return the server or store: as told, by MLflow's variable, where the run is already, or MLflow's own default."""
    if told := job.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"):
        return str(told)
    before = str(read(folder / PLACE).get("tracking_uri", ""))
    if before and urlsplit(before).scheme in LOCAL:  # no server's: the folder may be a stranger's
        return before
    return str(mlflow.get_tracking_uri())


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    """Yield a list in parts, as many items at a time as MLflow takes."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _ms(moment: str | None) -> int | None:
    """Return an ISO time as MLflow has it."""
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)
