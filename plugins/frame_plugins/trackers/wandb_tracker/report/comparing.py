"""Which runs may be compared, which are one recipe with several seeds, and what tells them apart."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, TypeVar

from frame import best_of, shorten

from .runs import ReportedRun

K = TypeVar("K", bound=Hashable)
SHOWN = 4
"""Settings that a line names at most."""
LONGEST = 40
"""Characters of a setting at most."""


@dataclass(frozen=True)
class Comparable:
    """Runs on the same data that monitored the same metric: of those there is a best one."""

    runs: Sequence[ReportedRun]

    def __str__(self) -> str:
        return f"{self.runs[0].data}, by {self.runs[0].metric}"

    @property
    def best(self) -> ReportedRun | None:
        """The run with the best value of the metric; None where no run has one."""
        return best_of(self.runs, lambda run: run.value, self.runs[0].mode)


@dataclass(frozen=True)
class Repeats:
    """Runs that are alike but for their seed."""

    runs: Sequence[ReportedRun]

    @property
    def accuracies(self) -> list[float]:
        return [run.accuracy for run in self.runs if run.accuracy is not None]

    @property
    def spread(self) -> str:
        """Mean and standard deviation of the test accuracy."""
        known = self.accuracies
        if len(known) < 2:
            return percent(known[0]) if known else ""
        return f"{percent(mean(known))} ± {percent(stdev(known))}"


def comparable(runs: Sequence[ReportedRun]) -> list[Comparable]:
    """Return the runs by data and metric."""
    return [Comparable(several) for several in _by([(run.data, run.metric) for run in runs], runs)]


def repeats(runs: Sequence[ReportedRun]) -> list[Repeats]:
    """Return the runs by all of their recipe but the seed, and by data."""
    keys = [(run.name, run.data, json.dumps(run.settings, sort_keys=True, default=str)) for run in runs]
    return [Repeats(several) for several in _by(keys, runs)]


def differences(runs: Sequence[ReportedRun]) -> list[str]:
    """Return for each run the settings in which it differs from others of them, `key=value`, the first few."""
    settings = [run.settings for run in runs]
    keys = dict.fromkeys(key for each in settings for key in each)
    differ = [key for key in keys if len({_text(each.get(key)) for each in settings}) > 1]
    return [_few([f"{key}={shorten(_text(each[key]), LONGEST)}" for key in differ if key in each]) for each in settings]


def percent(share: float) -> str:
    """Return a share as reports write it."""
    return f"{100 * share:.2f} %"


def _by(keys: Sequence[K], runs: Sequence[ReportedRun]) -> list[list[ReportedRun]]:
    """Return the runs of each key, in the order in which the keys come first."""
    found: dict[K, list[ReportedRun]] = {}
    for key, run in zip(keys, runs, strict=True):
        found.setdefault(key, []).append(run)
    return list(found.values())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _few(parts: Sequence[str]) -> str:
    more = len(parts) - SHOWN
    return ", ".join(parts[:SHOWN]) + (f", and {more} more" if more > 0 else "")
