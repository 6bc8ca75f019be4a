"""Checkpoint files: whole or not at all, a checksum beside each, and never trusted to be harmless.

`last.pt` and the one before it, `previous.pt`, are what a resume goes on from; `best.pt` has the best epoch's weights.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import RunFailed
from .files import sha256, sync_to_disk, write_bytes, write_text
from .folder import RunDir

FORMAT = 3
LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"


class BadCheckpoint(Exception):
    """A file that is not the checkpoint it should be; the text says why."""


def save_last(run: RunDir, state: dict[str, Any]) -> None:
    """Write the state of a run that `load_last` returns; the one before it stays as `previous.pt`.

    Wherever this is cut short, one of the two is whole and matches its own checksum.
    """
    last, previous = run.checkpoints / LAST, run.checkpoints / PREVIOUS
    content, digest = _encode(state)
    sync_to_disk(run.metrics, run.timing)  # the checkpoint says how long they are
    if last.is_file():
        write_text(_checksum(previous), _checksum(last).read_text())
        last.replace(previous)
    write_text(_checksum(last), digest)
    write_bytes(last, content)
    sync_to_disk(run.checkpoints)


def save_best(run: RunDir, state: dict[str, Any]) -> None:
    """Write the weights of the best epoch so far."""
    content, digest = _encode(state)
    path = run.checkpoints / BEST
    write_text(_checksum(path), digest)
    write_bytes(path, content)


def load_last(run: RunDir) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest state that is whole, and what was wrong with one that is not, which is set aside.

    The state is None where the run was not saved yet. Raises RunFailed where it was, and nothing of that is whole.
    """
    faults: dict[Path, str] = {}
    for path in (run.checkpoints / LAST, run.checkpoints / PREVIOUS):
        if not path.is_file():
            continue
        try:
            state = _read(path)
        except BadCheckpoint as fault:
            faults[path] = f"{path} {fault}"
        else:
            for bad in faults:  # else the next one that is saved would take the whole one's place with it
                bad.replace(bad.with_name(f"{bad.name}.damaged"))
            return state, [f"{fault}; it was set aside as {path.name}.damaged" for path, fault in faults.items()]
    if faults:
        advice = f"no other is there; begin anew with: frame run {run.recipe}"
        raise RunFailed("; ".join([*faults.values(), advice]), "damaged-checkpoint")
    return None, []


def load_best(run: RunDir) -> dict[str, Any]:
    """Return what `save_best` wrote. Raises RunFailed when the file is not whole."""
    path = run.checkpoints / BEST
    try:
        return _read(path)
    except BadCheckpoint as fault:
        message = f"{path} {fault}; set checkpoint.keep=last to do without it"
        raise RunFailed(message, "damaged-checkpoint") from fault


def _encode(state: dict[str, Any]) -> tuple[bytes, str]:
    """Return a checkpoint's bytes and its checksum: that of what is meant to be written."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """Return a checkpoint. It may hold anything, its checksum may fit by intent: nothing in it is ever executed."""
    checksum = _checksum(path)
    try:
        if not checksum.is_file() or checksum.read_text(errors="replace").strip() != sha256(path):
            raise BadCheckpoint("does not match its checksum")
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise BadCheckpoint("is compressed, as no checkpoint is")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadCheckpoint(f"cannot be read: {error.strerror}") from error
    except BadCheckpoint:
        raise
    except Exception as error:  # what torch raises for a file that is made up is not documented
        raise BadCheckpoint("is no checkpoint") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BadCheckpoint("was not written by this version of frame")
    return state


def _checksum(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
