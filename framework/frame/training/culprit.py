"""Who is to blame for what a run raises: the component, its plugin's own line, and the part of the run at work."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..api.components import BatchTransform, LossComponent
from ..compute.distributed import peer_lost
from ..errors import ComponentFailed, FrameError, causes, lines_to
from ..recipe.recipe import Named

EVALUATION = "evaluation"
PART = "part_of_the_run"


@contextmanager
def at_work(part: str) -> Iterator[None]:
    """Note on whatever the block raises in which part of the run it was."""
    try:
        yield
    except Exception as error:
        setattr(error, PART, part)
        raise


def was_at_work(part: str, error: BaseException) -> bool:
    """Whether an error, or what it was made of, came from that part of the run."""
    return any(getattr(cause, PART, None) == part for cause in causes(error))


@dataclass(frozen=True)
class Culprit:
    """A context that turns whatever is raised in it into an error which names the component, and its line.

    what: how the error calls it. home: the plugin's folder or file, without which the innermost line is named. made:
    where the component was built: named where the plugin is not among the lines that led to the error. Errors meant
    for the user pass as they are, as do memory that ran out and another process's end.
    """

    what: str
    home: str = ""
    made: str = ""

    def __enter__(self) -> None:
        """Begin; all is done where an error leaves the block."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        passes = FrameError | MemoryError
        if isinstance(error, Exception) and not isinstance(error, passes) and not peer_lost(error):
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ComponentFailed(f"{self.what} failed: {reason} ({self._where(error)})") from error

    def _where(self, error: Exception) -> str:
        own = [line for line in lines_to(error) if line.source.startswith(self.home)]
        return str(own[-1]) if own else f"built at {self.made}"


def blame(kind: str, named: Named[Any] | None = None) -> Culprit:
    """Return the context in which a component is to blame, or whatever `kind` says where there is none."""
    if named is None:
        return Culprit(kind)
    component = type(named.component)
    package = sys.modules.get(component.__module__.partition(".")[0])
    code = inspect.unwrap(component.build).__code__
    paths = list(getattr(package, "__path__", ()))
    home = next((f"{path}/" for path in paths if code.co_filename.startswith(f"{path}/")), code.co_filename)
    return Culprit(f"{kind} '{named.use}'", home, f"{code.co_filename}:{code.co_firstlineno}")


@dataclass(frozen=True)
class Blamed:
    """A function that a component built, which raises what its culprit makes of an error.

    odd: says what is wrong with a result, nothing where it is right.
    """

    function: Callable[..., Any]
    culprit: Culprit
    odd: Callable[[Any], str]

    def __call__(self, *arguments: Any) -> Any:
        with self.culprit:
            result = self.function(*arguments)
        if reason := self.odd(result):
            raise ComponentFailed(f"{self.culprit.what} {reason} (built at {self.culprit.made})")
        return result


def blamed(function: Callable[..., Any], kind: str, named: Named[Any]) -> Blamed:
    """Return the function that a component built, so that its errors and wrong results name the component."""
    odd = {LossComponent: _no_loss, BatchTransform: _no_batch}
    checks = [check for base, check in odd.items() if isinstance(named.component, base)]
    return Blamed(function, blame(kind, named), *(checks or [_nothing]))


def _nothing(result: Any) -> str:
    return "returns nothing" if result is None else ""


def _no_loss(result: Any) -> str:
    if isinstance(result, Tensor) and result.ndim == 0:
        return ""
    return f"returns {_kind(result)}: it must return the mean over the batch, a scalar tensor"


def _no_batch(result: Any) -> str:
    if isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(one, Tensor) for one in result):
        return ""
    return f"returns {_kind(result)}: it must return both, images and targets"


def _kind(result: Any) -> str:
    if isinstance(result, Tensor):
        return f"one tensor of shape {tuple(result.shape)}"
    if isinstance(result, tuple | list):
        return f"a {type(result).__name__} of {', '.join(type(one).__name__ for one in result) or 'nothing'}"
    return type(result).__name__
