"""What a run works from and what it leaves, as W&B's artifacts: the dataset, the model, the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import wandb

from frame import DataInfo, TrainingRun

from .naming import UNSAFE


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file's values, none if there is no file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def dataset_name(use: str) -> str:
    """Return the name of a dataset's artifact."""
    return UNSAFE.sub("-", use)


def dataset(use: str, root: str | None, data: DataInfo) -> wandb.Artifact:
    """Return the dataset by reference: its version follows from its checksum, wherever the files lie."""
    metadata = {
        "checksum": data.checksum,
        "root": root,
        "classes": list(data.classes),
        "shape": list(data.shape),
        "training images": data.train_size,
    }
    artifact = wandb.Artifact(dataset_name(use), "dataset", metadata=metadata)
    artifact.add_reference(f"frame-data://{use}/{data.checksum}", name=use, checksum=False)
    return artifact


def models(
    collection: str, run_id: str, run: TrainingRun, record: Mapping[str, Any]
) -> Iterator[tuple[wandb.Artifact, list[str]]]:
    """Yield the versions of a finished run's model, each with its aliases, all of which begin with the run's id.

    model.safetensors is the version that the recipe keeps, the `<run>-best` or `<run>-last`, and both if they are one
    epoch; of the other it is the checkpoint. The kept one has the run's id for an alias too and comes last, so that W&B
    calls it `latest`. A run without a best epoch has its last one only. A finished run's files change no more: they are
    uploaded from where they lie.
    """
    best, folder = record.get("best") or {}, run.folder
    kept, other = ("last", "best") if str(record.get("kept", "")).endswith("the last") else ("best", "last")
    epochs = {"best": best.get("epoch"), "last": run.epoch}
    one = epochs["best"] == epochs["last"]
    versions = [] if one or not best else [(other, folder / "checkpoints" / f"{other}.pt", [other])]
    versions.append((kept, folder / "model.safetensors", [kept, *[other] * one]))
    for which, file, names in versions:
        if file.is_file():
            metadata = {
                "run": run_id,
                "recipe": run.name,
                "epoch": epochs[which],
                "best": best,
                "test_accuracy": record.get("test_accuracy") if which == kept else None,
                "data_checksum": run.data.checksum,
            }
            artifact = wandb.Artifact(collection, "model", metadata=metadata)
            artifact.add_file(str(file.absolute()), policy="immutable")  # `wandb sync` may be called elsewhere
            yield artifact, [*[run_id] * (which == kept), *(f"{run_id}-{name}" for name in names)]


def checkpoint(run: TrainingRun) -> wandb.Artifact | None:
    """Return the last checkpoint of an unfinished run, None if there is none yet.

    It is copied: the run may be resumed before the copy is uploaded.
    """
    file = run.folder / "checkpoints" / "last.pt"
    if not file.is_file():
        return None
    metadata = {"epoch": run.epoch, "step": run.step}
    artifact = wandb.Artifact(UNSAFE.sub("-", f"{run.name}-checkpoint"), "checkpoint", metadata=metadata)
    artifact.add_file(str(file))
    return artifact


def report(name: str, page: Path, of: Mapping[str, str]) -> wandb.Artifact:
    """Return the run's report.html. of: the artifacts that it is about, by their types."""
    artifact = wandb.Artifact(UNSAFE.sub("-", f"{name}-report"), "report", metadata=dict(of))
    artifact.add_file(str(page))
    return artifact
