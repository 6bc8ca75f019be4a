"""Several processes for one command: those that torchrun started, or those of `--devices`, which starts them itself."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from typing import Any

import click

from ..errors import UserError
from .text import echo

DEVICES = click.option("--devices", type=click.IntRange(min=1), default=1, metavar="N",
                       help="Train on N devices of this machine, a process each (as torchrun does).")  # fmt: skip
SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
SHUTDOWN_S = 120
"""How long processes that were asked to stop may take to save the run."""


def is_main_process() -> bool:
    """Whether this process is the one that speaks: rank 0, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """Return how many processes torchrun has started for this command; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def must_launch(devices: int, *, dry_run: bool = False) -> bool:
    """Return whether this process is to start `devices` others. Raises UserError for what cannot be meant."""
    started = processes()
    if dry_run and max(devices, started) > 1:
        raise UserError("--dry-run goes through one process; leave --devices or torchrun out", "usage")
    if devices > 1 and started not in (1, devices):
        raise UserError(f"--devices {devices} within {started} processes of torchrun: leave --devices out", "usage")
    return devices > 1 and started == 1


def must_be_alone(command: str) -> None:
    """Raise UserError for a command that works in one process, where torchrun has started several."""
    if processes() > 1:
        raise UserError(f"{command} works in one process; start it without torchrun", "usage")


def launch(devices: int) -> int:
    """Give this very command to `devices` processes; return its exit code once all have ended."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from . import INTERRUPTED

    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=devices, run_id=uuid.uuid4().hex, rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, signals_to_handle=SIGNALS, shutdown_timeout=SHUTDOWN_S,
    )  # fmt: skip
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    logging.disable(logging.CRITICAL)  # the processes say themselves what happened
    try:
        elastic_launch(config, sys.executable)("-m", "frame", *sys.argv[1:])
    except SignalException:
        return INTERRUPTED
    except ChildFailedError as error:
        return _exit_code(error, devices)
    finally:
        logging.disable(logging.NOTSET)
    return 0


def _exit_code(error: Any, devices: int) -> int:
    """Return the exit code of the first process, else 1; of a process that was killed, say by what."""
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0 and -failure.exitcode != signal.SIGTERM:
        echo(
            f"error: process {rank} of {devices} (from 0) was killed by {signal.Signals(-failure.exitcode).name}",
            err=True,
        )
    first = error.failures.get(0)
    return first.exitcode if first and first.exitcode > 0 else 1
