"""What the next trial is: unfinished ones first, then points that Optuna draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from ..api.ranking import Mode
from .record import SweepDir, Trial
from .spec import Dimension, Point

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class Search:
    """Plans a sweep's trials. Grids and draws are planned at once, TPE from what has ended so far."""

    def __init__(self, folder: SweepDir) -> None:
        self.folder, sweep = folder, folder.sweep
        self.space, self.total = sweep.space, sweep.trials
        self.waiting = [trial for trial in folder.trials if trial.state in ("planned", "interrupted")]
        self.asked: dict[int, optuna.Trial] = {}
        method = sweep.settings.method
        if method == "grid":
            self._plan(_grid(self.space))
        else:
            self.study = _study(method, sweep.settings.seed + len(folder.trials), sweep.mode)
            for trial in folder.trials:
                self._note(trial)
        if method == "random":
            self._plan(self._ask()[0] for _ in range(self.total))

    def next(self) -> Trial | None:
        """Return the next trial to run, None when all have been given out."""
        if self.waiting:
            return self.waiting.pop(0)
        if len(self.folder.trials) >= self.total:
            return None
        point, asked = self._ask()
        trial = self.folder.add(point)
        self.asked[trial.number] = asked
        return trial

    def tell(self, trial: Trial) -> None:
        """Learn from a trial that has ended; of one that failed, that it did."""
        from optuna.trial import TrialState

        if asked := self.asked.pop(trial.number, None):
            failed = trial.state == "failed" or trial.value is None
            self.study.tell(asked, None if failed else trial.value, TrialState.FAIL if failed else None)

    def _plan(self, points: Iterator[Point]) -> None:
        if not self.folder.trials:
            self.waiting = [self.folder.add(point) for point in points]

    def _ask(self) -> tuple[Point, optuna.Trial]:
        asked = self.study.ask({key: _distribution(dimension) for key, dimension in self.space.items()})
        return {key: _value(self.space[key], drawn) for key, drawn in asked.params.items()}, asked

    def _note(self, trial: Trial) -> None:
        """Tell the study of a trial of an earlier call."""
        if trial.value is not None and trial.state in ("finished", "stopped"):
            self.study.add_trial(known_trial(self.space, trial))


def known_trial(space: Mapping[str, Dimension], trial: Trial) -> optuna.trial.FrozenTrial:
    """Return a trial that has a value as Optuna knows it."""
    from optuna.trial import create_trial

    params = {key: _drawn(space[key], value) for key, value in trial.point.items()}
    distributions = {key: _distribution(space[key]) for key in params}
    return create_trial(params=params, distributions=distributions, value=trial.value)


def _study(method: str, seed: int, mode: Mode) -> optuna.Study:
    from optuna import samplers

    # constant_liar: trials that still run count as poor, so that those side by side differ
    sampler = samplers.TPESampler(seed=seed, constant_liar=True) if method == "tpe" else samplers.RandomSampler(seed)
    return new_study(mode, sampler)


def new_study(mode: Mode, sampler: BaseSampler | None = None) -> optuna.Study:
    """Return a study of Optuna's that says nothing."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=sampler, direction="maximize" if mode == "max" else "minimize")


def _grid(space: dict[str, Dimension] | Any) -> Iterator[Point]:
    for values in product(*(dimension.values or () for dimension in space.values())):
        yield dict(zip(space, values, strict=True))


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choice is not None:
        return CategoricalDistribution(range(len(dimension.choice)))  # by index: a choice may be a list or a section
    low, high = dimension.bounds
    if dimension.kind == "integers":
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=dimension.kind == "loguniform")


def _value(dimension: Dimension, drawn: Any) -> Any:
    """Return what the recipe gets for what was drawn; numbers with four digits, which can be read and written."""
    if dimension.choice is not None:
        return dimension.choice[drawn]
    return (
        drawn
        if dimension.kind == "integers"
        else min(max(float(f"{drawn:.4g}"), dimension.bounds[0]), dimension.bounds[1])
    )


def _drawn(dimension: Dimension, value: Any) -> Any:
    return dimension.choice.index(value) if dimension.choice is not None else value
