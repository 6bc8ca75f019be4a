"""Checkpoints: everything that an exact resume needs, as tensors and plain values, with a checksum beside each file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .engine import Job
from .errors import RunFailed
from .randomness import rng_state, set_rng_state
from .rundir import RunDir, sha256, write_bytes, write_text

FORMAT = 1


def plain(module: nn.Module) -> nn.Module:
    """Return the module itself where torch.compile or DistributedDataParallel wraps it: their key prefixes are lost."""
    module = getattr(module, "_orig_mod", module)
    return module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module


def snapshot(job: Job, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a training between two steps. extra: what belongs to the run around it."""
    run = job.run
    job.meter.read()
    return {
        "format": FORMAT,
        "epoch": run.epoch,
        "batch": job.batch,
        "step": run.step,
        "stop_reason": run.stop_reason,
        "model": plain(run.model).state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
        "schedulers": [scheduler.state_dict() for scheduler in run.schedulers],
        "scaler": job.scaler.state_dict(),
        "meter": job.meter.state_dict(),
        "rng": rng_state(),
        "threads": torch.get_num_threads(),
        **extra,
    }


def restore(job: Job, state: dict[str, Any]) -> None:
    """Put a training back to where `snapshot` found it."""
    run = job.run
    plain(run.model).load_state_dict(state["model"])
    for optimizer, saved in zip(run.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for scheduler, saved in zip(run.schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    job.scaler.load_state_dict(state["scaler"])
    job.meter.load_state_dict(state["meter"])
    run.epoch, run.step, job.batch = state["epoch"], state["step"], state["batch"]
    run.stop_reason = state["stop_reason"]
    torch.set_num_threads(state["threads"])
    set_rng_state(state["rng"])


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all, its checksum beside it; the one before it stays as `previous`."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    if path.name == "last.pt" and path.is_file():
        _move(path, path.with_name("previous.pt"))
    write_bytes(path, buffer.getvalue())
    write_text(_checksum(path), sha256(path) + "\n")


def load_last(run: RunDir) -> tuple[dict[str, Any], list[str]]:
    """Return the newest checkpoint that is whole, and what was wrong with those that are not.

    Raises RunFailed when there is none.
    """
    notes = []
    for name in ("last.pt", "previous.pt"):
        path = run.checkpoints / name
        if not path.is_file():
            continue
        if not _checksum(path).is_file() or _checksum(path).read_text().strip() != sha256(path):
            notes.append(f"{path} does not match its checksum and was passed over")
            continue
        return torch.load(path, map_location="cpu", weights_only=True), notes
    raise RunFailed("; ".join([*notes, f"{run.path} has no whole checkpoint to resume from"]))


def load_weights(path: Path) -> dict[str, Any]:
    """Return what was saved as the best epoch. Raises RunFailed when the file is not whole."""
    if not path.is_file() or _checksum(path).read_text().strip() != sha256(path):
        raise RunFailed(f"{path} is missing or does not match its checksum; set checkpoint.keep=last to do without it")
    return torch.load(path, map_location="cpu", weights_only=True)


def _checksum(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _move(path: Path, to: Path) -> None:
    if _checksum(path).is_file():
        _checksum(path).replace(_checksum(to))
    path.replace(to)
