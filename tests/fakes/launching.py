"""The command `frame` in a process of its own that has torch and frame imported when it begins.

A server imports them once for each test process and is forked for each command: as real as a new Python, but without
its seconds of imports. Where it is those that matter, start a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frame.api.figures import style

PRELOADED = [
    "frame.runs.start", "frame.cli.run", "torch._dynamo", "sklearn.datasets", "sklearn.model_selection",
    "torch_lr_finder", "albumentations", "matplotlib.figure", "wandb.cli.cli",
]  # fmt: skip


DRAFT_DPI = 60
"""In dots an inch, how fine figures are drawn in tests: with a tenth of their pixels, in a tenth of the time."""


def launcher() -> Any:
    """Return a context whose processes have everything imported when they begin."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    first = context.Process(target=len, args=("",))  # starts the server, which imports them
    first.start()
    first.join()
    return context


def be(
    module: str, arguments: Sequence[str], folder: str, variables: Mapping[str, str], out: str | None, err: str | None
) -> None:
    """Be `python -m module`: in `folder`, with these environment variables and no others, its output in files, or with
    standard output and error closed."""
    multiprocessing.set_start_method("fork", force=True)  # as for a process that was not begun by a server
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    if out is None or err is None:
        sys.stdout = sys.stderr = None  # what Python makes of closed ones when it begins
        os.closerange(1, 3)
    else:
        for path, stream in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    style.DPI = DRAFT_DPI
    sys.path[:0] = filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [module, *arguments]
    if module != "frame":  # a command does not import from where it is called
        sys.path.insert(0, folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def start(arguments: Sequence[object], folder: Path, out: Path | str | None = "out.txt") -> Any:
    """Begin the command in `folder`, which is its home too; what it says is in `out` (a pipe and a terminal have names
    too) and in err.txt there. out: None closes both."""
    given, variables = [str(argument) for argument in arguments], os.environ | {"HOME": str(folder)}
    streams = (None, None) if out is None else (str(out), "err.txt")
    process = launcher().Process(target=be, args=("frame", given, str(folder), variables, *streams))
    process.start()
    return process


def run(
    arguments: Sequence[object], folder: Path, variables: Mapping[str, str], timeout: float = 240, module: str = "frame"
) -> subprocess.CompletedProcess[str]:
    """Run the command, or `python -m` of another module, to its end; return its exit code and what it said.

    Raises TimeoutExpired.
    """
    given = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        for file in (out, err):
            file.touch()  # it may be killed before it has opened them
        process = launcher().Process(target=be, args=(module, given, str(folder), dict(variables), str(out), str(err)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(given, timeout, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(given, process.exitcode, out.read_text(), err.read_text())
