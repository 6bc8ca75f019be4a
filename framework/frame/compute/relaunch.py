"""Where torchrun gives a command again, after a failure or because machines join or leave: the run it began goes on."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import RunFailed, UserError
from ..rundir.folder import RunDir


def launch_name(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what names this launch of torchrun in all its processes and restarts, None without torchrun.

    That is its `--rdzv-id`; where it was given none, the launcher's own process.
    """
    name = environment.get("TORCHELASTIC_RUN_ID")
    return f"{socket.gethostname()}:{os.getppid()}" if name == "none" else name


def begun(out: Path, name: str) -> RunDir | None:
    """Return the run called `name` that this launch began under `out` and that can go on: the latest one."""
    launch = launch_name()
    for file in sorted((out / name).glob("[!.]*/run.json"), reverse=True) if launch else ():
        with suppress(UserError):
            run = RunDir(file.parent)
            record = run.read_record()
            if record.get("launch") == launch and record["state"] != "finished" and run.recipe.is_file():
                return run
    return None


def meet(store: Any, rank: int, size: int, patience_s: float) -> str:
    """Return a name that the processes of this start share, and those of no other.

    store: torch's key-value store, which torchrun keeps over its restarts with all that was left in it. Each process
    names itself; the first one answers under these names until every other has confirmed.
    """
    mine = uuid.uuid4().hex
    store.set(f"frame/here/{rank}", mine)
    if rank:
        name = str(store.get(f"frame/start/{mine}").decode())
        store.set(f"frame/confirmed/{name}/{rank}", "")
        return name
    until, missing = time.monotonic() + patience_s, list(range(1, size))
    while missing:
        if time.monotonic() > until:
            raise RunFailed(f"processes {', '.join(map(str, missing))} of {size} (from 0) did not come", "process-lost")
        for other in missing:
            if store.check([f"frame/here/{other}"]):
                store.set(f"frame/start/{store.get(f'frame/here/{other}').decode()}", mine)
        missing = [other for other in missing if not store.check([f"frame/confirmed/{mine}/{other}"])]
        time.sleep(0.01)
    return mine
