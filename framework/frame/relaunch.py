"""Where torchrun gives a command again, after a failure or because machines join or leave: the run it began goes on."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .errors import UserError
from .rundir import RunDir


def launch_name(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what names this launch of torchrun in all its processes and restarts, None without torchrun.

    That is its `--rdzv-id`; where it was given none, the launcher's own process.
    """
    name = environment.get("TORCHELASTIC_RUN_ID")
    return f"{socket.gethostname()}:{os.getppid()}" if name == "none" else name


def begun(out: Path, name: str) -> RunDir | None:
    """Return the run called `name` that this launch began under `out` and that is not finished: the latest one."""
    launch = launch_name()
    for file in sorted((out / name).glob("*/run.json"), reverse=True) if launch else ():
        with suppress(UserError):
            record = RunDir(file.parent).read_record()
            if record.get("launch") == launch and record["state"] != "finished":
                return RunDir(file.parent)
    return None
