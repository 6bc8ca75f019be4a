"""A sweep's file: what is varied and how. Everything is checked against the recipe before anything starts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ..api.ranking import Mode, mode_of
from ..errors import Problem, UserError, refuse, suggest
from ..nested import Key
from ..recipe.load import load_recipe
from ..recipe.recipe import Recipe
from ..recipe.settings import RunName, Settings
from ..recipe.source import COMMAND_LINE, Source
from ..recipe.validation import validate
from ..recipe.yaml_text import read_yaml
from ..secrets import hide_secrets

Point = dict[str, Any]
"""One value for each key of the space."""


class Asha(Settings):
    """Ends trials early that are worse than most others at the same epoch: asynchronous successive halving.

    Li et al. 2018, https://arxiv.org/abs/1810.05934
    """

    use: Literal["asha"]
    min_epochs: int = Field(default=1, gt=0)
    """Epochs that every trial may train."""
    reduction: int = Field(default=4, ge=2)
    """One trial in this many goes on from each rung to the next; rungs lie at min_epochs times its powers."""


class SweepSettings(Settings):
    """The outer shape of a sweep's file."""

    name: RunName = "sweep"
    """Names the sweep's folder under `sweeps/`."""
    method: Literal["grid", "random", "tpe"]
    """Every combination; draws; or draws where earlier trials did well (tree-structured Parzen estimator)."""
    space: dict[str, dict[str, Any]] = Field(min_length=1)
    """Keys of the recipe, each with what it takes."""
    trials: int | None = Field(default=None, gt=0)
    """How many trials; a grid has as many as it has combinations."""
    metric: str | None = None
    """What is to become better; the recipe's monitored metric when not given."""
    mode: Mode | None = None
    """Whether more or less of it is better; min for a loss and max for all else when not given."""
    scheduler: Asha | None = None
    """What ends poor trials early."""
    concurrency: Literal["auto"] | int = "auto"
    """Trials at a time; auto takes one for each GPU, without one for every two CPU cores."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of what is drawn; the runs' own seed is the recipe's."""


class Dimension(Settings):
    """What one key takes: exactly one of these."""

    choice: tuple[Any, ...] | None = Field(default=None, min_length=1)
    """Any of these values."""
    uniform: tuple[float, float] | None = None
    """A number between these two."""
    loguniform: tuple[float, float] | None = None
    """A number between these two whose logarithm is uniform."""
    integers: tuple[int, int] | None = None
    """A whole number from the first to the last."""

    @model_validator(mode="after")
    def _one_kind_in_order(self) -> Dimension:
        if len(self.model_fields_set) != 1:
            raise ValueError("must be exactly one of choice, uniform, loguniform, integers")
        low, *_, high = bounds = (0, 1) if self.choice else self.bounds
        if low >= high:
            raise ValueError(f"{self.kind} goes from a lower to a higher number, got {list(bounds)}")
        if self.kind == "loguniform" and low <= 0:
            raise ValueError(f"loguniform needs numbers above 0, got {list(bounds)}")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def bounds(self) -> tuple[Any, ...]:
        """The lowest and the highest value, or all choices."""
        return tuple(getattr(self, self.kind))

    @property
    def values(self) -> tuple[Any, ...] | None:
        """All values, None where there are too many to count."""
        if self.kind == "integers":
            low, high = self.bounds
            return tuple(range(low, high + 1))
        return self.choice


@dataclass(frozen=True)
class Sweep:
    """A checked sweep with the recipe that it varies."""

    settings: SweepSettings
    space: Mapping[str, Dimension]
    recipe: Recipe
    """The recipe at the first value of every key."""
    base: Sequence[str]
    """What stands behind `frame run` for every trial: the recipe and the overrides of the command line."""
    metric: str
    mode: Mode
    trials: int
    epochs: float
    """The most epochs that a trial trains."""

    def identity(self) -> dict[str, Any]:
        """Return what makes this the same sweep when it is called again, as sweep.json has it: without secrets."""
        values = {"recipe": list(self.base), **self.settings.model_dump(mode="json", exclude={"concurrency"})}
        return hide_secrets(values)


def overrides(point: Mapping[str, Any]) -> list[str]:
    """Return a point as it is written on the command line."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in point.items()]


def load_sweep(recipe: str, file: Path, given: Sequence[str]) -> Sweep:
    """Read and check a sweep's file, and the recipe at both ends of every range and at every choice.

    given: overrides for every trial. Raises UserError with every problem found.
    """
    values, places, anchored, _ = read_yaml(file, "a sweep has method and space")
    source = Source(file, {"name": file.stem, **values}, places, anchored=anchored)
    settings, problems = validate(SweepSettings, source.values, (), source)
    space: dict[str, Dimension] = {}
    nodes = source.values.get("space")
    for key, node in nodes.items() if isinstance(nodes, dict) else ():
        if isinstance(node, dict):
            dimension, wrong = validate(Dimension, node, ("space", key), source)
            problems += wrong
            space |= {key: dimension} if dimension else {}
    if problems or settings is None:
        raise UserError(problems)
    refuse(_odd_method(settings, space, source))
    first = {key: dimension.bounds[0] for key, dimension in space.items()}
    recipes, problems = _corners(recipe, given, space, first, source)
    refuse(dict.fromkeys(problems))
    metric = settings.metric or recipes[0].monitor
    refuse(_odd_metric(settings, recipes, metric, source))
    mode = settings.mode or (recipes[0].monitor_mode if metric == recipes[0].monitor else mode_of(metric))
    trials = settings.trials or prod(len(dimension.values or ()) for dimension in space.values())
    epochs = max(one.train.epochs for one in recipes)
    return Sweep(settings, space, recipes[0], (recipe, *given), metric, mode, trials, epochs)


def _odd_method(settings: SweepSettings, space: Mapping[str, Dimension], source: Source) -> Iterator[Problem]:
    """Yield what does not go together."""
    if settings.concurrency != "auto" and settings.concurrency < 1:
        yield source.problem(("concurrency",), f"must be auto or at least 1, got {settings.concurrency}")
    if settings.method != "grid":
        if settings.trials is None:
            message = f"is required: how many trials {settings.method} makes"
            yield source.problem(("trials",), message, code="missing-key")
        return
    if settings.trials is not None:
        yield source.problem(("trials",), "a grid has as many trials as it has combinations; leave it out")
    for key, dimension in space.items():
        if dimension.values is None:
            message = "a grid needs choice or integers; method: random draws from a range"
            yield source.problem(("space", key, dimension.kind), message)


def _corners(
    recipe: str, given: Sequence[str], space: Mapping[str, Dimension], first: Point, source: Source
) -> tuple[list[Recipe], list[Problem]]:
    """Load the recipe at each end and choice of each key, the other keys at their first; return what is wrong there.

    What is wrong without the sweep too is said as it is without it. What is wrong with two values only together ends
    that trial, not the sweep.
    """
    _, known = _load(recipe, given)
    recipes: list[Recipe] = []
    problems: list[Problem] = []
    for key, dimension in space.items():
        for index, value in enumerate(dimension.bounds):
            loaded, wrong = _load(recipe, [*given, *overrides(first | {key: value})])
            recipes += loaded
            at = ("space", key, dimension.kind, index)
            for problem in wrong:
                problems += [problem] if problem in known else _here(problem, key, at, space, source)
    return recipes, problems


def _load(recipe: str, given: Sequence[str]) -> tuple[Sequence[Recipe], Sequence[Problem]]:
    """Return the recipe, or none and what is wrong with it."""
    try:
        return [load_recipe(recipe, given).recipe], []
    except UserError as error:
        return [], error.problems


def _here(problem: Problem, key: str, at: Key, space: Iterable[str], source: Source) -> Iterator[Problem]:
    """Yield a recipe's problem with its place in the sweep's file, unless it is another key's, which says it itself."""
    mine = problem.key == key or problem.key.startswith(f"{key}.")
    others = [other for other in space if other != key and problem.key in (other, other.rpartition(".")[0])]
    if problem.place != COMMAND_LINE:
        yield problem
    elif mine or not others:
        yield replace(problem, place=source.place(at))


def _odd_metric(settings: SweepSettings, recipes: Sequence[Recipe], metric: str, source: Source) -> Iterator[Problem]:
    for watched in dict.fromkeys(recipe.data.watched for recipe in recipes):
        measured = [f"{split}/{name}" for split in ("train", watched) for name in ("loss", "acc")]
        if metric not in measured:
            hint = suggest(metric, measured, list_all=False)
            message = f"'{metric}' is not measured by every trial: an epoch measures {', '.join(measured)}{hint}"
            yield source.problem(("metric",) if settings.metric else ("space",), message)
