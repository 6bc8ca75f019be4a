"""Runs in processes of their own that are killed at chosen moments, resumed, and compared with undisturbed ones."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fakes.launching import start
from frame.rundir.folder import RunDir

PATIENCE_S = 250


def finish(arguments: Sequence[str], folder: Path) -> float:
    """Run the command to its end and return the seconds that it took."""
    since = time.monotonic()
    process = start(arguments, folder)
    process.join(PATIENCE_S)
    assert process.exitcode == 0, (folder / "err.txt").read_text()
    return time.monotonic() - since


@dataclass
class Killer:
    """Kills and resumes runs of one recipe, again and again. count: kills so far, by where they hit."""

    arguments: Sequence[str]
    seconds: float
    """How long an undisturbed run takes."""
    random: random.Random
    count: dict[str, int] = field(default_factory=lambda: {"anywhere": 0, "in a write": 0})

    def run(self, folder: Path, kills: int) -> RunDir:
        """Start a run, kill it up to `kills` times, resume it each time, and return its folder when it has ended."""
        folder.mkdir()
        while True:
            run = only_run(folder)
            if run and run.read_record()["state"] == "finished":
                return run
            arguments = ["resume", str(run.path)] if run else ["run", *self.arguments]
            if sum(self.count.values()) >= kills:
                finish(arguments, folder)
                return only_run(folder)
            process = start(arguments, folder)
            in_write = self.random.random() < 0.5
            moment = self.random.uniform(0, self.seconds)
            if self._wait(process, folder, moment, in_write):
                process.kill()
                process.join()
                run = only_run(folder)
                inside = run is not None and any(run.checkpoints.glob(".*.tmp"))
                self.count["in a write" if inside else "anywhere"] += 1
            else:
                assert process.exitcode == 0, (folder / "err.txt").read_text()

    def _wait(self, process: Any, folder: Path, seconds: float, in_write: bool) -> bool:
        """Wait for a moment, and from there on for a file that is being written; return whether it still runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.is_alive():
            time.sleep(0.001)
        run = only_run(folder)
        while in_write and run and process.is_alive() and not any(run.checkpoints.glob(".*.tmp")):
            pass
        return process.is_alive()


def wait_for(condition: Callable[[], Any], seconds: float = 200, said: Callable[[], str] = str) -> None:
    """Wait until a condition holds. said: what to show where it does not come to hold in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, said()
        time.sleep(0.1)


def only_run(folder: Path) -> RunDir | None:
    """Return the one run under `folder` that has begun, None if there is none yet."""
    runs = [record.parent for record in folder.glob("runs/*/[!.]*/recipe.resolved.yaml")]
    assert len(runs) <= 1
    return RunDir(runs[0]) if runs else None


def assert_same(run: RunDir, other: RunDir) -> None:
    """Compare everything of two runs that a repeat would repeat."""
    assert run.metrics.read_bytes() == other.metrics.read_bytes()
    assert run.weights.read_bytes() == other.weights.read_bytes()
    assert run.predictions.read_bytes() == other.predictions.read_bytes()
    for name in ("last.pt", "best.pt"):
        states = [torch.load(folder.checkpoints / name, weights_only=True) for folder in (run, other)]
        for state in states:
            for key in ("elapsed", "recipe"):  # that says when and how a run was interrupted
                state.pop(key, None)
            state["sizes"] = state.get("sizes", [None])[:1]  # that of timing.jsonl depends on the digits of times
        assert list(differences(*states)) == []
    assert not list(run.path.rglob(".*.tmp"))


def differences(one: Any, other: Any, where: str = "") -> Any:
    """Yield the places where two states differ, to the bit."""
    if isinstance(one, torch.Tensor):
        if not (one.dtype == other.dtype and one.shape == other.shape and one.equal(other)):
            yield where
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from differences(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list | tuple) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}.{number}")
    elif one != other:
        yield where
