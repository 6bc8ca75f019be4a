"""From a recipe's name to a checked `Recipe`: the outer shape first, then each component against its own schema.

Problems are collected, not raised one by one: the user sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .components import BatchTransform, Component
from .errors import Problem, UserError, suggest
from .plugins import PluginRef, Plugins, find_recipe, load_plugins
from .recipe import Named, Recipe
from .registry import Registry
from .settings import DataSettings, RecipeSettings
from .source import Source, load_source
from .validation import validate
from .yamlfile import Key

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
    shipped = load_plugins().recipes

    def find(wanted: str, base: Path) -> Path:
        return find_recipe(wanted, shipped, base)

    source = load_source(find(name, Path()), overrides, {"data": DATA_KEYS}, find)
    refs = tuple(PluginRef(plugin, source.place(("plugins",)), base) for plugin, base in source.plugins)
    plugins = load_plugins(refs)
    return Loaded(resolve(source, plugins, refs), plugins, source)


def resolve(source: Source, plugins: Plugins, refs: tuple[PluginRef, ...] = ()) -> Recipe:
    """Check a source's values: the outer shape, each component, how they fit. Raises UserError with all problems."""
    check = _Check(source, plugins)
    values = {"name": source.path.stem, **source.values}
    outer, problems = validate(RecipeSettings, values, (), source, siblings=("extends", "plugins"))
    # What is wrong inside a component's section is found even when the outer shape is wrong.
    data, dataset = check.data(values.get("data"))
    registries = plugins.registries
    parts: dict[str, Any] = {
        "model": check.one(values.get("model"), ("model",), registries.models),
        "loss": check.one(values.get("loss"), ("loss",), registries.losses),
        "optimizer": check.one(values.get("optimizer"), ("optimizer",), registries.optimizers),
        "scheduler": check.one(values.get("scheduler"), ("scheduler",), registries.schedulers),
        "lr_finder": check.one(values.get("lr_finder"), ("lr_finder",), registries.lr_finders),
        "evaluator": check.one(values.get("evaluate"), ("evaluate",), registries.evaluators),
        "train_transforms": check.many(values.get("data"), ("data", "train_transforms"), registries.transforms),
        "eval_transforms": check.many(values.get("data"), ("data", "eval_transforms"), registries.transforms),
        "callbacks": check.many(values, ("callbacks",), registries.callbacks),
        "trackers": check.many(values, ("trackers",), registries.trackers),
        "analyzers": check.many(values, ("analyzers",), registries.analyzers),
    }
    problems = _once(problems + check.problems)
    if problems or outer is None or data is None or dataset is None:
        raise UserError(problems)
    recipe = Recipe(
        name=outer.name,
        seed=outer.seed,
        data=data,
        dataset=dataset,
        train=outer.train,
        checkpoint=outer.checkpoint,
        plugins=refs,
        **parts,
    )
    if problems := _misfits(recipe, source):
        raise UserError(problems)
    return recipe


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

    def _unknown(self, use: Any, key: Key, registry: Registry[Any]) -> Problem:
        if use is None:
            message = f"is required: the name of a {registry.kind}{suggest('', registry)}"
        elif not isinstance(use, str):
            message = f"must be the name of a {registry.kind}, got {use!r}{suggest('', registry)}"
        else:
            failed = [e for e in self.plugins.errors if use in (e.plugin, e.plugin.removeprefix("frame_"))]
            cause = "".join(f" (plugin '{e.plugin}' of {e.origin} failed to load: {e.cause})" for e in failed)
            message = f"unknown {registry.kind} '{use}'{cause}{suggest(use, registry)}"
        return self.source.problem((*key, "use"), message)


def _once(problems: list[Problem]) -> list[Problem]:
    """Drop repetitions: `data` is looked at by the outer shape and in itself."""
    return list(dict.fromkeys(problems))


def _misfits(recipe: Recipe, source: Source) -> list[Problem]:
    """Find parts that are right by themselves and wrong together."""
    problems = []
    if recipe.wants_lr and not recipe.lr_finder:
        for section, named in (("optimizer", recipe.optimizer), ("scheduler", recipe.scheduler)):
            for name in named.component.auto_fields() if named else []:
                message = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"
                problems.append(source.problem((section, name), message))
    metrics = [f"{split}/{metric}" for split in ("train", recipe.watched) for metric in ("loss", "acc")]
    if recipe.monitor not in metrics:
        message = f"no metric of this run is called '{recipe.monitor}'{suggest(recipe.monitor, metrics)}"
        problems.append(source.problem(("checkpoint", "monitor"), message))
    for key in ("train_transforms", "eval_transforms"):
        batched = False
        for index, named in enumerate(getattr(recipe, key)):
            if batched and not isinstance(named.component, BatchTransform):
                message = f"'{named.use}' works on single images and cannot stand after a batched transform; move it up"
                problems.append(source.problem(("data", key, index, "use"), message))
            batched = batched or isinstance(named.component, BatchTransform)
    return problems
