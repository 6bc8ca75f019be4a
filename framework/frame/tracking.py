"""Trackers beside the run's own files. One that fails is turned off with a warning; the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .components import TrackerComponent
from .contracts import Tracker, TrainingRun
from .recipe import Named, unique_names
from .results import AnalyzerResult


class Trackers:
    """All trackers of a run, as one that never raises."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn
        self.running: dict[str, Tracker] = {}
        self.off: set[str] = set()

    def start(self, components: Sequence[Named[TrackerComponent]], run: TrainingRun) -> None:
        for name, named in unique_names(components):
            try:
                self.running[name] = named.component.build(run)
            except Exception as error:  # a tracker's failure, of any kind, is never the run's
                self._off(name, "did not start", error)

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        self._each("failed", lambda tracker: tracker.log(metrics, epoch, step))

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        self._each(f"failed at the results of {name}", lambda tracker: tracker.log_result(name, result))

    def finish(self, status: str) -> None:
        """End every tracker, also one that is off: it may hold a connection or a process."""
        for name, tracker in self.running.items():
            try:
                tracker.finish(status)
            except Exception as error:
                self._off(name, "failed to finish", error)
        self.running = {}

    def _each(self, what: str, call: Callable[[Tracker], None]) -> None:
        for name, tracker in self.running.items():
            if name in self.off:
                continue
            try:
                call(tracker)
            except Exception as error:
                self._off(name, what, error)

    def _off(self, name: str, what: str, error: Exception) -> None:
        if name in self.off:
            return
        self.off.add(name)
        self.warn(f"tracker '{name}' {what} and is off from here on: {type(error).__name__}: {error}")
