"""A recipe: checked settings of everything that a run is made of. Nothing is built here, and torch is not imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from ..api.ranking import Mode, mode_of
from ..plugins.load import PluginRef
from ..secrets import hide_settings, known_secrets
from .settings import CheckpointSettings, DataSettings, TrainSettings
from .yaml_text import written

C = TypeVar("C", bound=Component)
T = TypeVar("T", bound=Component)


@dataclass(frozen=True)
class Named(Generic[C]):
    """A component with the name that the recipe uses for it."""

    use: str
    component: C

    def values(self) -> dict[str, Any]:
        return {"use": self.use, **self.component.model_dump(mode="json")}


@dataclass(frozen=True)
class Recipe:
    """Everything that a run is made of, each part checked against its own schema."""

    name: str
    seed: int
    data: DataSettings
    train: TrainSettings
    checkpoint: CheckpointSettings
    dataset: Named[DatasetComponent]
    train_transforms: tuple[Named[TransformComponent], ...]
    eval_transforms: tuple[Named[TransformComponent], ...]
    model: Named[ModelComponent]
    loss: Named[LossComponent]
    optimizer: Named[OptimizerComponent]
    scheduler: Named[SchedulerComponent] | None
    lr_finder: Named[LRFinderComponent] | None
    evaluator: Named[EvaluatorComponent] | None
    callbacks: tuple[Named[CallbackComponent], ...]
    trackers: tuple[Named[TrackerComponent], ...]
    analyzers: tuple[Named[AnalyzerComponent], ...]
    plugins: tuple[PluginRef, ...]

    @property
    def monitor(self) -> str:
        """The metric that says which epoch is best."""
        return self.checkpoint.monitor or f"{self.watched}/acc"

    @property
    def monitor_mode(self) -> Mode:
        """`max` or `min`: which of two values of the monitored metric is better."""
        return self.checkpoint.mode or mode_of(self.monitor)

    @property
    def watched(self) -> str:
        """The split that is evaluated after each epoch: `val`, or `test` where there is no validation set."""
        return self.data.watched

    @property
    def keeps(self) -> str:
        """`best` or `last`: the epoch whose weights become the model."""
        return self.checkpoint.keep or ("best" if self.data.validation else "last")

    def with_lr(self, lr: float) -> Recipe:
        """Return the recipe with `lr` in place of every `auto`."""

        def found(named: Named[T]) -> Named[T]:
            update = dict.fromkeys(named.component.auto_fields(), lr)
            return replace(named, component=named.component.model_copy(update=update))

        return replace(self, optimizer=found(self.optimizer), scheduler=self.scheduler and found(self.scheduler))

    def with_arithmetic(self, precision: str, threads: int) -> Recipe:
        """Return the recipe with what was chosen for it: both change the bytes of a run."""
        return replace(self, train=self.train.model_copy(update={"precision": precision, "threads": threads}))

    def values(self) -> dict[str, Any]:
        """Return the whole recipe as plain values, defaults included: a recipe that gives the same run.

        Secrets stand in it as `${oc.env:NAME}`.
        """

        def all_of(named: Sequence[Named[Any]]) -> list[dict[str, Any]]:
            return [one.values() for one in named]

        data = self.dataset.values() | self.data.model_dump(mode="json")
        data |= {"train_transforms": all_of(self.train_transforms), "eval_transforms": all_of(self.eval_transforms)}
        values: dict[str, Any] = {"data": data, "model": self.model.values(), "loss": self.loss.values()}
        values["optimizer"] = self.optimizer.values()
        optional = {"scheduler": self.scheduler, "lr_finder": self.lr_finder, "evaluate": self.evaluator}
        values |= {name: named.values() for name, named in optional.items() if named}
        values |= {"train": self.train.model_dump(mode="json"), "checkpoint": self.checkpoint.model_dump(mode="json")}
        lists: dict[str, Sequence[Named[Any]]] = {}
        lists |= {"callbacks": self.callbacks, "trackers": self.trackers, "analyzers": self.analyzers}
        values |= {name: all_of(named) for name, named in lists.items()}
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
