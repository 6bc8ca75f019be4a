"""What a fault of the machine means for a run, in one line: a process that died, memory or a disk that is gone."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import RunFailed, causes
from ..recipe.recipe import Recipe
from .culprit import EVALUATION, was_at_work

DEAD_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: ([\w ]+))?")
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|Cannot allocate memory|_ALLOC_FAILED")
ASKED_FOR = re.compile(r"allocate ([\d.]+) (bytes|[KMGTPE]iB)")
NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def explained(
    error: BaseException, recipe: Recipe, folder: Path | None = None, *, lasting: bool = True
) -> RunFailed | None:
    """Return the error that tells the user of a fault, and what to do about it; None if it is none that is known.

    folder: the run's, where it has one. lasting: whether it will be there to go on in. What a component made of the
    fault is looked through (`raise ... from`).
    """
    if folder and not folder.is_dir():
        gone = f"the run's folder {folder} is gone: it was removed or moved while the run wrote to it"
        return RunFailed(gone, "run-folder-gone")
    evaluates, resumed = was_at_work(EVALUATION, error), folder if lasting else None
    for cause in causes(error):
        if text := _memory(cause, recipe, evaluates=evaluates):
            return RunFailed(text, "out-of-memory")
        if text := _worker(cause, recipe, resumed):
            return RunFailed(text, "worker-died")
        if text := _disk(cause, folder):
            return RunFailed(text, "cannot-write")
    return None


@contextmanager
def faults_explained(recipe: Recipe, folder: Path | None = None) -> Iterator[None]:
    """Turn a known fault in the block into RunFailed. folder: the run's, where the block writes into it."""
    try:
        yield
    except Exception as error:
        if fault := explained(error, recipe, folder):
            raise fault from error
        raise


def _worker(error: BaseException, recipe: Recipe, folder: Path | None) -> str | None:
    found = DEAD_WORKER.search(str(error)) if isinstance(error, RuntimeError) else None
    if not found:
        return None
    workers, size = recipe.data.workers, recipe.data.batch_size
    how = f" ({found[2]})" if found[2] else ""
    text = (
        f"a data worker (process {found[1]}) died{how}. Mostly memory ran out, or a container's shared memory: "
        f"data.workers=0 (now {workers}) or fewer need less and change no result"
    )
    if folder:
        text += f". Continue with: frame resume {folder} data.workers=0"
    return f"{text}. Or start anew with a smaller data.batch_size (now {size})"


def _memory(error: BaseException, recipe: Recipe, *, evaluates: bool) -> str | None:
    if not _is_memory(error):
        return None
    data, train = recipe.data, recipe.train
    if evaluates:
        when, first = " in evaluation", f"data.eval_batch_size (now {data.eval_batch_size})"
    else:
        halves = f"half of it with train.accumulate={2 * train.accumulate} takes the same steps"
        when, first = "", f"data.batch_size (now {data.batch_size}; {halves})"
    precision = "" if train.precision == "bf16" else f", take train.precision=bf16 (now {train.precision})"
    return f"out of memory{when}{_size(error)}: lower {first}{precision} or a smaller model ({recipe.model.use})"


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None


def _size(error: BaseException) -> str:
    """Return how much was asked for, where the message says it."""
    found = ASKED_FOR.search(str(error))
    if not found:
        return ""
    number, unit = (float(found[1]) / 2**30, "GiB") if found[2] == "bytes" else (float(found[1]), found[2])
    return f" ({number:,.2f} {unit} were asked for)"


def _disk(error: BaseException, folder: Path | None) -> str | None:
    if not folder or not isinstance(error, OSError):
        return None
    path = Path(str(error.filename)) if error.filename else folder
    if error.errno not in NOT_WRITABLE and not path.is_relative_to(folder):
        return None
    return f"cannot write {path}: {error.strerror}. What was saved before is kept"
