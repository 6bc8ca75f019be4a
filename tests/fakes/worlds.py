"""Runs of several processes, as torchrun starts them, but with torch imported when they begin."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.launching import be, launcher

PATIENCE_S = 250


@dataclass(frozen=True)
class Member:
    """One process of a world; what it says is in `out` and `err`."""

    process: Any
    folder: Path
    rank: int

    @property
    def out(self) -> str:
        return (self.folder / f"out{self.rank}.txt").read_text()

    @property
    def err(self) -> str:
        return (self.folder / f"err{self.rank}.txt").read_text()

    def end(self) -> int:
        """Wait for the process and return its exit code."""
        self.process.join(PATIENCE_S)
        return self.process.exitcode


def start(folder: Path, size: int, *arguments: object) -> list[Member]:
    """Give the command `frame` with these arguments to `size` processes in `folder`."""
    folder.mkdir(exist_ok=True)
    context = launcher()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    members = []
    for rank in range(size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        variables = {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        process = context.Process(target=_call, args=([*map(str, arguments)], str(folder), variables))
        process.start()
        members.append(Member(process, folder, rank))
    return members


def run(folder: Path, size: int, *arguments: object) -> list[Member]:
    """Run the command in `size` processes to its end."""
    members = start(folder, size, *arguments)
    for member in members:
        member.end()
    return members


def _call(arguments: Sequence[str], folder: str, variables: dict[str, object]) -> None:
    given = {"HOME": folder, **{name: str(value) for name, value in variables.items()}}
    out, err = (f"{name}{variables['RANK']}.txt" for name in ("out", "err"))
    for name in (out, err):
        (Path(folder) / name).unlink(missing_ok=True)
    be("frame", arguments, folder, os.environ | given, out, err)
