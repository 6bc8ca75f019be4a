"""The one table of what a recipe names: each kind of component, its base class, and the sections that name it.

Settings, checks, saved values, schema, completion, lists and what a resume compares are read off it: a new kind is a
base class and a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import components as c


@dataclass(frozen=True)
class Section:
    """A place of a recipe where a component is named, or several are."""

    name: str
    """Its key, at the top (`model`) or among the host's own settings of `data` (`data.train_transforms`)."""
    many: bool = False
    """Whether it is a list, which may be empty."""
    required: bool = False
    default: str | None = None
    """The component that an absent section stands for; nothing is named there where there is none."""
    once: bool = False
    """Whether a list has each component once at most."""
    free: bool = False
    """Whether a resumed run may have another: it leaves no mark on weights and metrics."""
    about: str = ""
    """What is named here, where the docstring of the kind's base does not say it."""

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))

    def nodes(self, values: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        """Yield what stands in this section of a recipe's values, each entry with its key; they may be of any shape."""
        for part in self.key:
            values = values.get(part) if isinstance(values, dict) else None
        if self.many:
            for index, node in enumerate(values if isinstance(values, list) else ()):
                yield (*self.key, index), node
        else:
            yield self.key, {"use": self.default} if values is None and self.default else values


@dataclass(frozen=True)
class Kind:
    """A row: the word for one component, that for several, the base class, and the sections that name them.

    variants: the classes to derive from in place of `base`.
    """

    name: str
    plural: str
    base: type[c.Component]
    sections: tuple[Section, ...]
    variants: tuple[type[c.Component], ...] = ()


TRAIN_TRANSFORMS = "Augmentation of training images, in order: per-sample transforms first, then batched ones."
EVAL_TRANSFORMS = "What validation and test images pass through."

KINDS = (
    Kind("dataset", "datasets", c.DatasetComponent, (Section("data", required=True),)),
    Kind(
        "transform",
        "transforms",
        c.TransformComponent,
        (
            Section("data.train_transforms", many=True, about=TRAIN_TRANSFORMS),
            Section("data.eval_transforms", many=True, about=EVAL_TRANSFORMS),
        ),
        variants=(c.SampleTransform, c.BatchTransform),
    ),
    Kind("model", "models", c.ModelComponent, (Section("model", required=True),)),
    Kind("loss", "losses", c.LossComponent, (Section("loss", required=True),)),
    Kind("optimizer", "optimizers", c.OptimizerComponent, (Section("optimizer", required=True),)),
    Kind("scheduler", "schedulers", c.SchedulerComponent, (Section("scheduler"),)),
    Kind("lr_finder", "lr_finders", c.LRFinderComponent, (Section("lr_finder"),)),
    Kind("evaluator", "evaluators", c.EvaluatorComponent, (Section("evaluate"),)),
    Kind("callback", "callbacks", c.CallbackComponent, (Section("callbacks", many=True),)),
    Kind("tracker", "trackers", c.TrackerComponent, (Section("trackers", many=True, once=True, free=True),)),
    Kind("analyzer", "analyzers", c.AnalyzerComponent, (Section("analyzers", many=True, free=True),)),
)
"""In the order in which recipes are written and kinds are listed."""


def sections() -> Iterator[Section]:
    """Yield every section that names components."""
    for kind in KINDS:
        yield from kind.sections
