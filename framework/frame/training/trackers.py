"""Trackers beside the run's own files. One that fails or hangs is turned off with a warning; the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from ..api.components import TrackerComponent
from ..api.contracts import Tracker, TrainingRun
from ..api.results import AnalyzerResult
from ..recipe.recipe import Named, unique_names

T = TypeVar("T")
OF_ONE_STEP = ("train/grad_norm",)
"""What a line of steps has of its last step alone, not as a mean of those since the line before."""
FAILURES = (Exception, SystemExit)
"""Whatever a tracker raises is never the run's failure."""


def tracked(kind: str, metrics: Mapping[str, float], timing: Mapping[str, float]) -> dict[str, float]:
    """Return a line as trackers get it, in which each name has one statistic.

    In metrics.jsonl `train/loss` is the mean of the steps since the line before, or of the epoch: the line's kind says
    which. A tracker draws all values of a name as one curve, so that those of steps are called `train/loss_step`.
    """
    named = {
        f"{name}_step" if kind == "step" and name.startswith("train/") and name not in OF_ONE_STEP else name: value
        for name, value in metrics.items()
    }
    return named | {f"perf/{name}": value for name, value in timing.items()}


class Lane:
    """A thread of its own for one tracker: its calls keep their order, and one that hangs holds nobody for long.

    limit_s: seconds that a call may take. The thread does not keep the process alive.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._last: Future[Any] | None = None
        Thread(target=self._work, daemon=True).start()

    @property
    def hangs(self) -> bool:
        """Whether a call is still going on that was given up."""
        return self._last is not None and not self._last.done()

    def call(self, function: Callable[[], T]) -> T:
        """Return what the function comes to. Raises what it raises, or TimeoutError."""
        self._last = future = Future[T]()
        self._calls.put((function, future))
        try:
            return future.result(timeout=self.limit_s)
        except TimeoutError:
            if future.done():  # the function's own
                raise
            raise TimeoutError(f"it took longer than {self.limit_s:g} s (time_limit_s)") from None

    def close(self) -> None:
        """End the thread once its calls are done."""
        self._calls.put(None)

    def _work(self) -> None:
        while (job := self._calls.get()) is not None:
            function, future = job
            try:
                future.set_result(function())
            except BaseException as error:  # handed over, SystemExit too
                future.set_exception(error)


class Trackers:
    """All trackers of a run, as one that never raises."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn
        self.running: dict[str, tuple[Tracker, Lane]] = {}
        self.off: set[str] = set()

    def start(self, components: Sequence[Named[TrackerComponent]], run: TrainingRun) -> None:
        for name, named in unique_names(components):
            build, lane = named.component.build, Lane(named.component.time_limit_s)
            try:
                self.running[name] = lane.call(partial(build, run)), lane
            except FAILURES as error:
                self._off(name, "did not start", error)
                lane.close()

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        self._each("failed", lambda tracker: tracker.log(dict(metrics), epoch, step))  # a copy for each

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        self._each(f"failed at the results of {name}", lambda tracker: tracker.log_result(name, result))

    def finish(self, status: str) -> None:
        """End every tracker, also one that is off: it may hold a connection or a process. One that hangs is left."""
        for name, (tracker, lane) in self.running.items():
            if lane.hangs:
                continue
            self._call(name, "failed to finish", partial(tracker.finish, status))
            lane.close()
        self.running = {}

    def _each(self, what: str, call: Callable[[Tracker], None]) -> None:
        for name, (tracker, _) in self.running.items():
            if name not in self.off:
                self._call(name, what, partial(call, tracker))

    def _call(self, name: str, what: str, function: Callable[[], None]) -> None:
        try:
            self.running[name][1].call(function)
        except FAILURES as error:
            self._off(name, what, error)

    def _off(self, name: str, what: str, error: BaseException) -> None:
        if name in self.off:
            return
        self.off.add(name)
        self.warn(f"tracker '{name}' {what} and is off from here on: {type(error).__name__}: {error}")
