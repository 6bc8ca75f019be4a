"""From a recipe's name to a checked `Recipe`: the outer shape first, then each component against its own schema.

Problems are collected, not raised one by one: the user sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..api.components import BatchTransform, LearningRate, SampleTransform
from ..api.kinds import Section
from ..api.ranking import mode_of
from ..errors import Code, Place, Problem, UserError, suggest
from ..nested import Key
from ..plugins.load import DISABLE_VARIABLE, PluginRef, Plugins, find_recipe, load_plugins
from ..plugins.registry import Registry
from ..secrets import hide_secrets
from .defaults import default_name, defaults_of
from .recipe import Named, Recipe, unique_names
from .settings import DATA, HOST, DataSettings, RecipeSettings, TrainSettings
from .source import Source, read_source, undotted
from .validation import validate
from .yaml_text import quoted

DATA_KEYS = frozenset(DATA.model_fields)
UNMEASURED = {
    "val": "there is no validation set (data.validation splits one off)",
    "test": "with data.validation, the test set waits for the run's end",
}


@dataclass(frozen=True)
class Loaded:
    """A recipe with the plugins it was checked against and the source it came from."""

    recipe: Recipe
    plugins: Plugins
    source: Source
    warnings: list[Problem]
    """What works and is hardly meant, each with its place."""


def load_recipe(name: str, overrides: Sequence[str] = (), *, trust: bool = False) -> Loaded:
    """Read, resolve and check the recipe at path `name`, or the shipped one of that name.

    trust: load the plugins of a run's folder whoever made it. Raises UserError with every problem found.
    """
    source, plugins = read_recipe(name, overrides, trust=trust)
    recipe, warnings = resolve(source, plugins)
    message = f"turned off by {DISABLE_VARIABLE}, and no part of the run"
    off = [
        Problem(f"'{ref.name}' is {message}", "plugins", ref.place, "warning", "plugin-failed")
        for ref in plugins.left_out
    ]
    return Loaded(recipe, plugins, source, source.warnings + off + warnings)


def read_recipe(name: str, overrides: Sequence[str] = (), *, trust: bool = False) -> tuple[Source, Plugins]:
    """Read a recipe as `load_recipe` does, unchecked: its values, and the plugins there are with those it names."""
    plugins = load_plugins()
    find = partial(find_recipe, plugins.recipes)
    source = read_source(find(name), overrides, {"data": DATA_KEYS}, find)
    plugins = with_named(plugins, source, trust=trust)
    source.resolve_interpolations(lambda written: defaults_of(written, plugins, source.path))
    return source, plugins


def with_named(plugins: Plugins, source: Source, *, trust: bool) -> Plugins:
    """Return the plugins with those that a recipe names. Raises UserError."""
    refs = tuple(PluginRef(*named) for named in source.plugins)
    return load_plugins(refs, trust=trust) if refs else plugins


def resolve(source: Source, plugins: Plugins) -> tuple[Recipe, list[Problem]]:
    """Check a source's values: the outer shape, each component, how they fit; return the recipe and warnings about it.

    Raises UserError with all problems.
    """
    values = {"name": default_name(source.path), **source.values}
    homes = _homes(values, plugins)
    outer, problems = validate(RecipeSettings, values, (), source, ("extends", "plugins"), homes)
    # What is wrong inside a section is found even when the outer shape is wrong.
    train = values.get("train")
    alone, _ = validate(TrainSettings, {"epochs": train.get("epochs") if isinstance(train, dict) else None}, (), source)
    check = _Check(source, plugins, homes, alone.epochs if alone else None, bool(values.get("lr_finder")), problems)
    data = check.data(values.get("data"))
    named = check.sections(values)
    for section in plugins.registries["transform"].sections:
        check.order_of_transforms(section, values)
    if isinstance(checkpoint := values.get("checkpoint"), dict):
        check.metric(("checkpoint", "monitor"), checkpoint.get("monitor"))
    if outer and hide_secrets(outer.name) != outer.name:
        message = f"names the run's folder, and holds a secret: {hide_secrets(outer.name)}"
        check.problems.append(source.problem(("name",), message))
    if check.errors or outer is None or data is None:
        raise UserError(_in_order(check.errors))
    recipe = Recipe(
        name=outer.name,
        seed=outer.seed,
        data=data,
        train=outer.train,
        checkpoint=outer.checkpoint,
        plugins=plugins.named,
        sections=named,
    )
    return recipe, _in_order([*check.problems, *_odd_together(recipe, source)])


@dataclass
class _Check:
    """Checks sections one by one and keeps every problem."""

    source: Source
    plugins: Plugins
    homes: Mapping[str, str]
    """What other sections know, for a setting that stands in the wrong one."""
    epochs: float | None
    finds_lr: bool
    """Whether there is an LR finder, so that a learning rate may be `auto`."""
    problems: list[Problem]
    metrics: Sequence[str] = ()
    """What each epoch of this run measures; nothing while that is not known."""

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.level == "error"]

    def sections(self, values: dict[str, Any]) -> dict[str, tuple[Named[Any], ...]]:
        """Check every section that names components, and return what each names."""
        return {
            section.name: tuple(self.named(section, registry, values))
            for registry in self.plugins.registries
            for section in registry.sections
        }

    def named(self, section: Section, registry: Registry, values: dict[str, Any]) -> Iterator[Named[Any]]:
        host = DATA_KEYS if section.name == "data" else frozenset()
        for key, node in section.nodes(values):  # a missing or misshapen section is the outer shape's to report
            if isinstance(node, dict) and (found := self.one(node, key, registry, host)):
                yield found

    def one(self, node: dict[str, Any], key: Key, registry: Registry, host: Set[str]) -> Named[Any] | None:
        """Return the component that a section names, or None where it is wrong. host: what is the host's in it."""
        use = node.get("use")
        settings = {name: value for name, value in node.items() if name not in host and name != "use"}
        if not isinstance(use, str) or use not in registry:
            self.problems.append(self._unknown(use, settings, key, registry))
            return None
        if shadowed := sorted(host & registry[use].model_fields.keys()):
            message = f"'{use}' has settings that are called as frame's own of this section, {', '.join(shadowed)}: "
            self.problems.append(self.source.problem((*key, "use"), f"{message}its author has to rename them"))
            return None
        component, problems = validate(registry[use], settings, key, self.source, (*host, "use"), self.homes)
        self.problems += problems
        for name in registry[use].metric_fields():
            self.metric((*key, name), settings.get(name))
        found = list(registry[use].check_settings(settings))
        if component and self.epochs:
            found += component.review(self.epochs)
        if component and not self.finds_lr:
            message = "is auto, and the recipe has no lr_finder: add one (lr_range_test) or give a number"
            found += [Problem(message, name) for name in component.auto_fields()]
        for one in found:  # its key starts from the section
            code: Code = "bad-value" if one.code == "user-error" else one.code
            self.problems.append(self.source.problem((*key, *undotted(one.key)), one.message, one.level, code))
        return Named(use, component) if component else None

    def data(self, node: Any) -> DataSettings | None:
        """Check what is the host's own in `data`, the dataset's settings left aside."""
        if not isinstance(node, dict):
            return None
        own = {name: value for name, value in node.items() if name in DATA_KEYS}
        settings, problems = validate(DATA, own, ("data",), self.source)
        self.problems += problems
        if settings and settings.pipeline == "workers" and not settings.workers:
            message = "is workers, and there are none: say how many, as in data.workers=2, or take auto"
            self.problems.append(self.source.problem(("data", "pipeline"), message))
        if settings:
            self.metrics = [f"{split}/{name}" for split in ("train", settings.watched) for name in ("loss", "acc")]
        return settings

    def order_of_transforms(self, section: Section, values: dict[str, Any]) -> None:
        """Report transforms of single images that come after a batched one, or where no image comes by itself, and
        those of whole images that come after any, or at evaluation."""
        registry = self.plugins.registries["transform"]
        batched = False
        for key, node in section.nodes(values):
            transform = registry.named(node)
            if transform is None:
                continue
            if issubclass(transform, BatchTransform):
                batched = True
                continue
            single, place = f"'{node['use']}' works on single images", (*key, "use")
            if issubclass(transform, SampleTransform) and transform.takes_source:
                whole = f"'{node['use']}' works on whole images, before they are fitted to a size"
                if section.name != "data.train_transforms":
                    message = f"{whole}: it is for training; data.eval_size and data.fit say how these are fitted"
                    self.problems.append(self.source.problem(place, message))
                elif key[-1] != 0:
                    self.problems.append(self.source.problem(place, f"{whole}; move it up, it must be the first"))
            if batched:
                message = f"{single} and cannot stand after a batched transform; move it up"
                self.problems.append(self.source.problem(place, message))
            if values["data"].get("pipeline") == "device":
                message = f"{single}, and data.pipeline is device; take batched transforms, or data.pipeline=auto"
                self.problems.append(self.source.problem(place, message))

    def metric(self, key: Key, wanted: Any) -> None:
        """Report the name of a metric that no epoch of this run will measure."""
        if isinstance(wanted, list):
            for index, one in enumerate(wanted):
                self.metric((*key, index), one)
        elif isinstance(wanted, str) and self.metrics and wanted not in self.metrics:
            watched = self.metrics[-1].partition("/")[0]
            split, _, name = wanted.replace("_", "/", 1).partition("/")
            reason = f"an epoch measures {', '.join(self.metrics)}"
            if split in UNMEASURED and split != watched:
                reason, wanted_here = UNMEASURED[split], f"{watched}/{name}"
            else:
                wanted_here = f"{split}/{name}" if name else f"{watched}/{split}"
            hint = suggest(wanted_here, self.metrics, list_all=False)
            self.problems.append(self.source.problem(key, f"'{wanted}' is not measured: {reason}{hint}"))

    def _unknown(self, use: Any, settings: dict[str, Any], key: Key, registry: Registry) -> Problem:
        name = f"the name of {registry.one}"
        if use is None and (inside := [name for name in settings if name in registry]):
            message = f"is required: write {{use: {inside[0]}}}, its settings beside it"
        elif use is None and (
            instead := [name for name, value in settings.items() if isinstance(value, str) and value in registry]
        ):
            message = f"is required: write 'use' instead of '{instead[0]}'"
        elif use is None:
            message = f"is required: {name}{suggest('', registry)}"
        elif not isinstance(use, str):
            message = f"must be {name}, got {quoted(use)}{suggest('', registry)}"
        else:
            missing = "".join(f"; {error}" for error in self.plugins.errors)  # perhaps one of these would have it
            kinds = [other.one for other in self.plugins.registries if use in other]
            known = f": it is {kinds[0]}{suggest('', registry)}" if kinds else suggest(use, registry)
            message = f"unknown {registry.kind} '{use}'{known}{missing}"
        code: Code = "missing-key" if use is None else "unknown-component" if isinstance(use, str) else "bad-value"
        return self.source.problem((*key, "use"), message, code=code)


def _homes(values: Mapping[str, Any], plugins: Plugins) -> dict[str, str]:
    """Return the settings of the recipe's sections, each with its whole key: of two, the first section's."""
    homes = {name: f"{section}.{name}" for section, model in HOST.items() for name in model.model_fields}
    for registry in reversed(list(plugins.registries)):
        for section in registry.sections:
            for _, node in () if section.many else section.nodes(values):
                if component := registry.named(node):
                    homes |= {name: f"{section.name}.{name}" for name in component.model_fields}
    return homes | {name: name for name in RecipeSettings.model_fields}


def _odd_together(recipe: Recipe, source: Source) -> Iterator[Problem]:
    """Yield warnings about settings that are right by themselves and do nothing, or nothing good, together."""
    optimizer, scheduler, finder = recipe.optimizer, recipe.scheduler, recipe.lr_finder
    if finder and not recipe.waiting():
        message = "no learning rate is auto, so that the finder runs for its curve only; lr_finder: null leaves it out"
        yield source.problem(("lr_finder",), message, "warning")
    if scheduler and scheduler.component.replaces_lr:
        for name, setting in type(optimizer.component).model_fields.items():
            if setting.annotation == LearningRate and getattr(optimizer.component, name) != setting.default:
                message = f"has no effect: the scheduler {scheduler.use} sets learning rates of its own"
                yield source.problem(("optimizer", name), message, "warning")
    if recipe.checkpoint.mode and recipe.monitor_mode != mode_of(recipe.monitor):
        message = f"is {recipe.checkpoint.mode}, so that the worst {recipe.monitor} counts as the best; leave mode out"
        yield source.problem(("checkpoint", "mode"), message, "warning")
    for number, (name, named) in enumerate(unique_names(recipe.analyzers)):
        if name not in (named.use, named.component.name):
            message = f"is not the first of its name, so that its results are called {name}: give it a name: of its own"
            yield source.problem(("analyzers", number), message, "warning")
    if recipe.data.pipeline == "device" and recipe.data.workers:
        message = "has no effect: data.pipeline is device, which needs none"
        yield source.problem(("data", "workers"), message, "warning")
    if (recipe.train.device, recipe.train.precision) == ("cpu", "fp16"):
        message = "most CPUs compute in fp16 more slowly than in fp32, and it overflows sooner; auto takes what suits"
        yield source.problem(("train", "precision"), message, "warning")


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Sort problems by line, without repetitions: `data` is looked at by the outer shape and in itself."""
    places = {problem: problem.place or Place("") for problem in problems}
    return sorted(places, key=lambda problem: (places[problem].source, places[problem].line or 0))
