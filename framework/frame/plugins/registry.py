"""One typed registry per kind of component: a value that is passed on, never a global."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..api import components as c
from ..errors import UserError

C = TypeVar("C", bound=c.Component)
OWN = "frame-train"
TRANSFORMS = ("data.train_transforms[]", "data.eval_transforms[]")


@dataclass(frozen=True)
class Registered(Generic[C]):
    """A component's class, and the plugin and its distribution (or file) that brought it."""

    component: type[C]
    origin: str
    plugin: str


def clash(what: str, one: tuple[str, str], other: tuple[str, str]) -> UserError:
    """Return the error of two plugins, each given with its origin, that offer the same thing.

    The other one may be a file of the recipe's own, which its author can change.
    """
    (plugin, origin), (second, second_origin) = one, other
    off = plugin if second_origin.startswith(f"{OWN} ") else second  # frame's own is the last that one would turn off
    advice = f"uninstall one, or turn one off: FRAME_DISABLE_PLUGINS={off}"
    if second.endswith(".py"):
        advice = f"rename yours in {second}"
    both = f"'{plugin}' of {origin} and '{second}' of {second_origin}"
    return UserError(f"two plugins offer the {what}: {both}; {advice}")


@dataclass
class Registry(Generic[C]):
    """The components of one kind, by name. sections: where recipes name them; `[]` marks a list of them."""

    kind: str
    base: type[C]
    sections: tuple[str, ...]
    entries: dict[str, Registered[C]] = field(default_factory=dict)

    @property
    def one(self) -> str:
        """One of its components, as a sentence has it: `an optimizer`."""
        return f"{'an' if self.kind.startswith(('a', 'e', 'o', 'lr')) else 'a'} {self.kind}"

    def add(self, name: str, component: type[C], origin: str, plugin: str) -> None:
        """Take a component; two of one name are an error that says where both are from."""
        if other := self.entries.get(name):
            raise clash(f"{self.kind} '{name}'", (other.plugin, other.origin), (plugin, origin))
        self.entries[name] = Registered(component, origin, plugin)

    def __getitem__(self, name: str) -> type[C]:
        return self.entries[name].component

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entries))


def _registry(kind: str, base: type[Any], *sections: str) -> Any:
    return field(default_factory=lambda: Registry(kind, base, sections))


@dataclass
class Registries:
    """All registries. A field's name is what `frame list` takes; `Registry.kind` is the word for one of them."""

    datasets: Registry[c.DatasetComponent] = _registry("dataset", c.DatasetComponent, "data")
    transforms: Registry[c.TransformComponent] = _registry("transform", c.TransformComponent, *TRANSFORMS)
    models: Registry[c.ModelComponent] = _registry("model", c.ModelComponent, "model")
    losses: Registry[c.LossComponent] = _registry("loss", c.LossComponent, "loss")
    optimizers: Registry[c.OptimizerComponent] = _registry("optimizer", c.OptimizerComponent, "optimizer")
    schedulers: Registry[c.SchedulerComponent] = _registry("scheduler", c.SchedulerComponent, "scheduler")
    lr_finders: Registry[c.LRFinderComponent] = _registry("lr_finder", c.LRFinderComponent, "lr_finder")
    callbacks: Registry[c.CallbackComponent] = _registry("callback", c.CallbackComponent, "callbacks[]")
    trackers: Registry[c.TrackerComponent] = _registry("tracker", c.TrackerComponent, "trackers[]")
    analyzers: Registry[c.AnalyzerComponent] = _registry("analyzer", c.AnalyzerComponent, "analyzers[]")
    evaluators: Registry[c.EvaluatorComponent] = _registry("evaluator", c.EvaluatorComponent, "evaluate")

    def __iter__(self) -> Iterator[tuple[str, Registry[Any]]]:
        return iter(vars(self).items())

    def __contains__(self, component: type[c.Component]) -> bool:
        return any(issubclass(component, registry.base) for _, registry in self)

    def of(self, component: type[c.Component]) -> Registry[Any]:
        """Return the registry whose kind `component` derives from."""
        return next(registry for _, registry in self if issubclass(component, registry.base))
