"""The state of a training: everything that an exact resume needs, as tensors and plain values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..compute.randomness import rng_state, seed_process, set_rng_state
from .engine import Job


def plain(module: nn.Module) -> nn.Module:
    """Return the module itself where torch.compile or DistributedDataParallel wraps it: their key prefixes are lost."""
    module = getattr(module, "_orig_mod", module)
    return module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module


def snapshot(job: Job) -> dict[str, Any]:
    """Return the state of a training between two steps."""
    run = job.run
    job.meter.read()
    return {
        "epoch": run.epoch,
        "batch": job.batch,
        "step": run.step,
        "stop_reason": run.stop_reason,
        "model": plain(run.model).state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
        "schedulers": [scheduler.state_dict() for scheduler in run.schedulers],
        "scaler": job.scaler.state_dict(),
        "meter": job.meter.state_dict(),
        "rng": job.backend.world.gather(rng_state()),
        "threads": torch.get_num_threads(),
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
    rng, world = state["rng"], job.backend.world
    set_rng_state(rng[world.rank if len(rng) == world.size else 0])
    if len(rng) != world.size:
        seed_process(run.step, world.rank)
