"""What a run works from and what it leaves, as W&B's artifacts: the dataset, the model, the report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import wandb

from frame import DataInfo

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file's values, none if there is no file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def dataset(use: str, root: str | None, data: DataInfo) -> wandb.Artifact:
    """Return the dataset by reference: its version follows from its checksum, wherever the files lie."""
    metadata = {
        "checksum": data.checksum,
        "root": root,
        "classes": list(data.classes),
        "shape": list(data.shape),
        "training images": data.train_size,
    }
    artifact = wandb.Artifact(UNSAFE.sub("-", use), "dataset", metadata=metadata)
    artifact.add_reference(f"frame-data://{use}/{data.checksum}", name=use, checksum=False)
    return artifact


def models(
    name: str, run_id: str, folder: Path, last_epoch: int, record: Mapping[str, Any]
) -> Iterator[tuple[wandb.Artifact, list[str]]]:
    """Yield the versions of a finished run's model, each with its aliases.

    model.safetensors is the version that the recipe keeps, `best` or `last`, and both if they are one epoch; of the
    other it is the checkpoint. The kept one is `latest` and has the run's id too. A run without a best epoch has its
    last one only. A finished run's files change no more: they are uploaded from where they lie.
    """
    best = record.get("best") or {}
    kept, other = ("last", "best") if str(record.get("kept", "")).endswith("the last") else ("best", "last")
    epochs = {"best": best.get("epoch"), "last": last_epoch}
    one = epochs["best"] == epochs["last"]
    versions = [] if one or not best else [(other, folder / "checkpoints" / f"{other}.pt", [other])]
    versions.append((kept, folder / "model.safetensors", [kept, *[other] * one, run_id]))
    for which, file, aliases in versions:
        if file.is_file():
            accuracy = record.get("test_accuracy") if which == kept else None
            metadata = {"epoch": epochs[which], "best": best, "test_accuracy": accuracy}
            artifact = wandb.Artifact(UNSAFE.sub("-", f"{name}-model"), "model", metadata=metadata)
            artifact.add_file(str(file.absolute()), policy="immutable")  # `wandb sync` may be called elsewhere
            yield artifact, aliases


def report(name: str, page: Path) -> wandb.Artifact:
    """Return the run's report.html."""
    artifact = wandb.Artifact(UNSAFE.sub("-", f"{name}-report"), "report")
    artifact.add_file(str(page))
    return artifact
