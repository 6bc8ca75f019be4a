"""From a recipe's name to a checked `Recipe`: the outer shape first, then each component against its own schema.

Problems are collected, not raised one by one: the user sees every mistake at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .components import BatchTransform, Component, TransformComponent
from .errors import Place, Problem, UserError, suggest
from .plugins import PluginRef, Plugins, find_recipe, load_plugins
from .recipe import Named, Recipe
from .registry import Registry
from .settings import DataSettings, RecipeSettings
from .source import Source, load_source
from .validation import validate
from .yamlfile import Key, quoted

C = TypeVar("C", bound=Component)

DATA_KEYS = frozenset(DataSettings.model_fields)


@dataclass(frozen=True)
class Loaded:
    """A recipe with the plugins it was checked against and the source it came from."""

    recipe: Recipe
    plugins: Plugins
    source: Source


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Loaded:
    """Read, resolve and check the recipe at path `name`, or the shipped one of that name.

    Raises UserError with every problem found.
    """
    plugins = load_plugins()
    shipped = plugins.recipes

    def find(wanted: str, base: Path) -> Path:
        return find_recipe(wanted, shipped, base)

    source = load_source(find(name, Path()), overrides, {"data": DATA_KEYS}, find)
    refs = tuple(PluginRef(*named) for named in source.plugins)
    if refs:
        plugins = load_plugins(refs)
    return Loaded(resolve(source, plugins, refs), plugins, source)


def resolve(source: Source, plugins: Plugins, refs: tuple[PluginRef, ...] = ()) -> Recipe:
    """Check a source's values: the outer shape, each component, how they fit. Raises UserError with all problems."""
    check = _Check(source, plugins)
    values = {"name": _default_name(source.path), **source.values}
    outer, problems = validate(RecipeSettings, values, (), source, siblings=("extends", "plugins"))
    # What is wrong inside a section is found even when the outer shape is wrong.
    data, dataset = check.data(values.get("data"))
    registries = plugins.registries
    parts: dict[str, Any] = {
        "model": check.one(values.get("model"), ("model",), registries.models),
        "loss": check.one(values.get("loss"), ("loss",), registries.losses),
        "optimizer": check.one(values.get("optimizer"), ("optimizer",), registries.optimizers),
        "scheduler": check.one(values.get("scheduler"), ("scheduler",), registries.schedulers),
        "lr_finder": check.one(values.get("lr_finder"), ("lr_finder",), registries.lr_finders),
        "evaluator": check.one(values.get("evaluate"), ("evaluate",), registries.evaluators),
        "train_transforms": check.transforms(values.get("data"), "train_transforms"),
        "eval_transforms": check.transforms(values.get("data"), "eval_transforms"),
        "callbacks": check.many(values, ("callbacks",), registries.callbacks),
        "trackers": check.many(values, ("trackers",), registries.trackers),
        "analyzers": check.many(values, ("analyzers",), registries.analyzers),
    }
    if not values.get("lr_finder"):
        check.rates_are_known(parts)
    check.monitor(values.get("checkpoint"), data)
    problems = _in_order(problems + check.problems)
    if problems or outer is None or data is None or dataset is None:
        raise UserError(problems)
    return Recipe(
        name=outer.name,
        seed=outer.seed,
        data=data,
        dataset=dataset,
        train=outer.train,
        checkpoint=outer.checkpoint,
        plugins=refs,
        **parts,
    )


def _default_name(path: Path) -> str:
    """Return the recipe's file name as the name of a run, without what a folder's name should not have."""
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+", "_", path.stem).lstrip("_")[:100] or "run"


@dataclass
class _Check:
    """Checks sections one by one and keeps every problem."""

    source: Source
    plugins: Plugins
    problems: list[Problem] = field(default_factory=list)

    def one(self, node: Any, key: Key, registry: Registry[C], siblings: Iterable[str] = ()) -> Named[C] | None:
        """Return the component that a section names, or None where there is none or it is wrong."""
        if not isinstance(node, dict):
            return None  # a missing or misshapen section is the outer shape's to report
        use = node.get("use")
        if not isinstance(use, str) or use not in registry:
            self.problems.append(self._unknown(use, key, registry))
            return None
        settings = {name: value for name, value in node.items() if name != "use"}
        component, problems = validate(registry[use], settings, key, self.source, (*siblings, "use"))
        self.problems += problems
        return Named(use, component) if component else None

    def many(self, parent: Any, key: Key, registry: Registry[C]) -> tuple[Named[C], ...]:
        nodes = parent.get(key[-1]) if isinstance(parent, dict) else None
        found = [self.one(node, (*key, i), registry) for i, node in enumerate(nodes)] if isinstance(nodes, list) else []
        return tuple(named for named in found if named)

    def data(self, node: Any) -> tuple[DataSettings | None, Any]:
        """Check `data`, where the dataset's settings stand beside the host's own."""
        if not isinstance(node, dict):
            return None, None
        own = {name: value for name, value in node.items() if name in DATA_KEYS}
        rest = {name: value for name, value in node.items() if name not in DATA_KEYS}
        settings, problems = validate(DataSettings, own, ("data",), self.source)
        self.problems += problems
        return settings, self.one(rest, ("data",), self.plugins.registries.datasets, DATA_KEYS)

    def transforms(self, data: Any, name: str) -> tuple[Named[TransformComponent], ...]:
        """Check a list of transforms: those of single images come first."""
        nodes = data.get(name) if isinstance(data, dict) else None
        registry = self.plugins.registries.transforms
        batched = False
        for index, node in enumerate(nodes if isinstance(nodes, list) else []):
            use = node.get("use") if isinstance(node, dict) else None
            if not isinstance(use, str) or use not in registry:
                continue
            if batched and not issubclass(registry[use], BatchTransform):
                message = f"'{use}' works on single images and cannot stand after a batched transform; move it up"
                self.problems.append(self.source.problem(("data", name, index, "use"), message))
            batched = batched or issubclass(registry[use], BatchTransform)
        return self.many(data, ("data", name), registry)

    def rates_are_known(self, parts: dict[str, Named[Component] | None]) -> None:
        """Report learning rates that are `auto` in a recipe without LR finder."""
        for section in ("optimizer", "scheduler"):
            named = parts[section]
            for name in named.component.auto_fields() if named else []:
                message = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"
                self.problems.append(self.source.problem((section, name), message))

    def monitor(self, checkpoint: Any, data: DataSettings | None) -> None:
        """Report a `checkpoint.monitor` that no epoch of this run will measure."""
        wanted = checkpoint.get("monitor") if isinstance(checkpoint, dict) else None
        if data is None or not isinstance(wanted, str):
            return
        metrics = [f"{split}/{metric}" for split in ("train", data.watched) for metric in ("loss", "acc")]
        if wanted not in metrics:
            reason = "no metric of this run has this name"
            if wanted.startswith("val/") and data.watched == "test":
                reason = "there is no validation set; data.validation splits one off"
            if wanted.startswith("test/") and data.watched == "val":
                reason = "with data.validation, the test set waits for the run's end"
            message = f"'{wanted}' is not measured: {reason}; there is {', '.join(metrics)}"
            self.problems.append(self.source.problem(("checkpoint", "monitor"), message))

    def _unknown(self, use: Any, key: Key, registry: Registry[Any]) -> Problem:
        article = "an" if registry.kind.startswith(("a", "e", "o", "lr")) else "a"
        name = f"the name of {article} {registry.kind}"
        if use is None:
            message = f"is required: {name}{suggest('', registry)}"
        elif not isinstance(use, str):
            message = f"must be {name}, got {quoted(use)}{suggest('', registry)}"
        else:
            missing = "".join(f"; {error}" for error in self.plugins.errors)  # perhaps one of these would have it
            message = f"unknown {registry.kind} '{use}'{suggest(use, registry)}{missing}"
        return self.source.problem((*key, "use"), message)


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Sort problems by line, without repetitions: `data` is looked at by the outer shape and in itself."""
    places = {problem: problem.place or Place("") for problem in problems}
    return sorted(places, key=lambda problem: (places[problem].source, places[problem].line or 0))
