"""A recipe: checked settings of everything that a run is made of. Nothing is built here, and torch is not imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ..api.components import (
    AnalyzerComponent,
    CallbackComponent,
    Component,
    DatasetComponent,
    EvaluatorComponent,
    LossComponent,
    LRFinderComponent,
    ModelComponent,
    OptimizerComponent,
    SchedulerComponent,
    TrackerComponent,
    TransformComponent,
)
from ..api.kinds import sections
from ..api.ranking import Mode, mode_of
from ..nested import Key
from ..plugins.load import PluginRef
from ..secrets import hide_settings, known_secrets
from .settings import CheckpointSettings, DataSettings, TrainSettings
from .yaml_text import written

C = TypeVar("C", bound=Component)
T = TypeVar("T")


@dataclass(frozen=True)
class Named(Generic[C]):
    """A component with the name that the recipe uses for it."""

    use: str
    component: C

    def values(self) -> dict[str, Any]:
        return {"use": self.use, **self.component.model_dump(mode="json")}


class _View(Generic[T]):
    """A section of a recipe under its own type: the one component, None where there is none, or all of a list."""

    def __init__(self, name: str) -> None:
        (self.section,) = (section for section in sections() if section.name == name)

    def __get__(self, recipe: Recipe, _: type[Recipe]) -> T:
        named = recipe.sections[self.section.name]
        found: Any = named if self.section.many else next(iter(named), None)
        return found


@dataclass(frozen=True)
class Recipe:
    """Everything that a run is made of, each part checked against its own schema."""

    name: str
    seed: int
    data: DataSettings
    train: TrainSettings
    checkpoint: CheckpointSettings
    plugins: tuple[PluginRef, ...]
    sections: Mapping[str, tuple[Named[Any], ...]]
    """What each section of the table of kinds names, by its key with dots."""

    dataset = _View[Named[DatasetComponent]]("data")
    train_transforms = _View[tuple[Named[TransformComponent], ...]]("data.train_transforms")
    eval_transforms = _View[tuple[Named[TransformComponent], ...]]("data.eval_transforms")
    model = _View[Named[ModelComponent]]("model")
    loss = _View[Named[LossComponent]]("loss")
    optimizer = _View[Named[OptimizerComponent]]("optimizer")
    scheduler = _View[Named[SchedulerComponent] | None]("scheduler")
    lr_finder = _View[Named[LRFinderComponent] | None]("lr_finder")
    evaluator = _View[Named[EvaluatorComponent] | None]("evaluate")
    callbacks = _View[tuple[Named[CallbackComponent], ...]]("callbacks")
    trackers = _View[tuple[Named[TrackerComponent], ...]]("trackers")
    analyzers = _View[tuple[Named[AnalyzerComponent], ...]]("analyzers")

    @property
    def monitor(self) -> str:
        """The metric that says which epoch is best."""
        return self.checkpoint.monitor or f"{self.data.watched}/acc"

    @property
    def monitor_mode(self) -> Mode:
        """`max` or `min`: which of two values of the monitored metric is better."""
        return self.checkpoint.mode or mode_of(self.monitor)

    @property
    def keeps(self) -> str:
        """`best` or `last`: the epoch whose weights become the model."""
        return self.checkpoint.keep or ("best" if self.data.validation else "last")

    def waiting(self) -> list[Key]:
        """Return the keys of the learning rates that are `auto`."""
        return [
            (*section.key, *([index] if section.many else ()), name)
            for section in sections()
            for index, named in enumerate(self.sections[section.name])
            for name in named.component.auto_fields()
        ]

    def with_lr(self, lr: float) -> Recipe:
        """Return the recipe with `lr` in place of every `auto`."""

        def found(named: Named[Any]) -> Named[Any]:
            update = dict.fromkeys(named.component.auto_fields(), lr)
            return replace(named, component=named.component.model_copy(update=update)) if update else named

        return replace(self, sections={name: tuple(map(found, named)) for name, named in self.sections.items()})

    def without(self, *sections: str) -> Recipe:
        """Return the recipe with nothing named in these sections."""
        return replace(self, sections={**self.sections, **dict.fromkeys(sections, ())})

    def with_arithmetic(self, precision: str, threads: int) -> Recipe:
        """Return the recipe with what was chosen for it: both change the bytes of a run."""
        return replace(self, train=self.train.model_copy(update={"precision": precision, "threads": threads}))

    def values(self) -> dict[str, Any]:
        """Return the whole recipe as plain values, defaults included: a recipe that gives the same run.

        Secrets stand in it as `${oc.env:NAME}`.
        """

        values: dict[str, Any] = {"data": self.data.model_dump(mode="json")}
        lists: dict[str, Any] = {}
        for section in sections():
            *above, last = section.key
            place = values["data"] if above else lists if section.many else values
            nodes = [named.values() for named in self.sections[section.name]]
            if section.many:
                place[last] = nodes
            elif nodes:
                place[last] = nodes[0] | place.get(last, {})  # the dataset's settings stand before the host's
        values |= {"train": self.train.model_dump(mode="json"), "checkpoint": self.checkpoint.model_dump(mode="json")}
        values |= lists
        plugins = [str(ref.file or ref.name) for ref in self.plugins]  # nothing is interpolated in them
        outer = {"name": self.name, "seed": self.seed} | ({"plugins": plugins} if plugins else {})
        return outer | written(values)

    def shown(self) -> dict[str, Any]:
        """Return `values` for everything but what must run again: `(hidden)` stands for each secret that is in them."""
        return hide_settings(self.values(), known_secrets())


def unique_names(components: Sequence[Named[C]]) -> Iterator[tuple[str, Named[C]]]:
    """Yield each component of a list with a name of its own: what the recipe calls it, numbered from the second on.

    An analyzer is called what its setting `name` says.
    """
    seen: dict[str, int] = {}
    for named in components:
        given = named.component.name if isinstance(named.component, AnalyzerComponent) else None
        name = given or named.use
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}_{seen[name]}"), named
