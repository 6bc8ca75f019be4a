"""Finding plugins: installed ones by entry point, a recipe's own by name or file.

A plugin that fails to load is kept as a `LoadError`, with its distribution and its traceback, and takes nothing else
down. A plugin that a recipe names must load.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .components import BatchTransform, Component, SampleTransform, TransformComponent
from .errors import Place, Problem, UserError, suggest
from .registry import Registries

DISABLE_VARIABLE = "FRAME_DISABLE_PLUGINS"


@dataclass(frozen=True)
class PluginRef:
    """A plugin that a recipe names: a module, or a file ending in .py; `place` is the line that names it."""

    name: str
    place: Place
    base: Path
    """The folder that relative file names start from: the recipe's own."""

    @property
    def file(self) -> Path | None:
        return (self.base / self.name).resolve() if self.name.endswith(".py") else None


@dataclass(frozen=True)
class LoadError:
    """An installed plugin that did not load."""

    plugin: str
    origin: str
    cause: str
    traceback: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.origin} failed to load: {self.cause}"


@dataclass(frozen=True)
class Offer:
    """What one plugin offers, and the distribution and version, or the file, that it came from."""

    plugin: str
    origin: str
    components: dict[str, type[Component]]
    recipes: Path | None


@dataclass
class Plugins:
    """What all plugins offer."""

    registries: Registries = field(default_factory=Registries)
    recipes: dict[str, Path] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Plugin name -> the distribution and version, or the file, that it came from."""
    errors: list[LoadError] = field(default_factory=list)

    def add(self, offer: Offer) -> None:
        """Take in an offer. Raises UserError where another plugin offers the same."""
        self.origins[offer.plugin] = offer.origin
        for name, component in offer.components.items():
            self.registries.of(component).add(name, component, offer.origin, offer.plugin)
        for file in sorted(offer.recipes.glob("*.yaml")) if offer.recipes else ():
            if file.stem in self.recipes:
                raise UserError(f"two plugins offer the recipe '{file.stem}': {self.recipes[file.stem]} and {file}")
            self.recipes[file.stem] = file


class _BadOffer(Exception):
    """What a plugin offers is of no use."""


def load_plugins(named: Sequence[PluginRef] = ()) -> Plugins:
    """Load the installed plugins and those that a recipe names, and collect what they offer.

    Raises UserError when a named plugin cannot be loaded, or when two plugins offer the same thing.
    """
    manager = pluggy.PluginManager("frame")
    manager.add_hookspecs(hookspecs)
    plugins = Plugins()
    disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")}
    for entry in sorted(entry_points(group=hookspecs.ENTRY_POINT_GROUP)):
        if entry.name not in disabled:
            origin = _origin(entry)
            try:
                offer = _ask(entry.load(), entry.name, origin, manager)
            except (Exception, SystemExit) as error:  # whatever a stranger's plugin raises, the rest goes on
                plugins.errors.append(LoadError(entry.name, origin, _cause(error), traceback.format_exc()))
            else:
                plugins.add(offer)
    for ref in named:
        if ref.name not in disabled:
            _add_named(ref, manager, plugins)
    return plugins


def _add_named(ref: PluginRef, manager: pluggy.PluginManager, plugins: Plugins) -> None:
    try:
        module = _import_file(ref.file) if ref.file else importlib.import_module(ref.name)
        if manager.is_registered(module):
            return
        offer = _ask(module, ref.name, str(ref.file or ref.name), manager)
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == ref.name.partition(".")[0]
        cause = "there is no such module; install it, or name a file: ./my_plugin.py" if missing else None
        message = f"plugin '{ref.name}' failed to load: {cause or _cause(error, ref.file)}"
        raise UserError(Problem(message, "plugins", ref.place)) from error
    try:
        plugins.add(offer)
    except UserError as clash:
        raise UserError(Problem(str(clash), "plugins", ref.place)) from clash


def _origin(entry: EntryPoint) -> str:
    metadata = entry.dist.metadata if entry.dist else None  # read from disk each time it is asked for
    return f"{metadata['Name']} {metadata['Version']}" if metadata else entry.value


def _cause(error: BaseException, file: Path | None = None) -> str:
    """Say what was raised and where: in `file` if it passed through there."""
    if isinstance(error, _BadOffer):
        return str(error)
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    places = [place for place in places if place[0] == str(file)] or places
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    return ": ".join(filter(None, (type(error).__name__, text))) + f" ({places[-1][0]}:{places[-1][1]})"


def _import_file(file: Path) -> ModuleType:
    """Import a single-file plugin under a name of its own, kept in sys.modules so that workers can unpickle from it."""
    if not file.is_file():
        raise _BadOffer(f"there is no file {file}")
    name = f"frame_local_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _ask(plugin: Any, name: str, origin: str, manager: pluggy.PluginManager) -> Offer:
    """Return what one plugin offers; it is asked by itself, since the results of all do not say whose they are."""
    manager.register(plugin, f"{name} of {origin}")
    hooks = {caller.name: caller for caller in manager.get_hookcallers(plugin) or ()}
    known = [hook for hook in vars(hookspecs) if hook.startswith("frame_")]
    if unknown := [hook for hook in hooks if hook not in known]:
        raise _BadOffer(f"there is no hook {unknown[0]}(){suggest(unknown[0], known)}")
    if not hooks:
        raise _BadOffer(f"it offers nothing: none of its functions {', '.join(known)} is marked @frame.hookimpl")
    offered: dict[str, Any] = {
        hook: implementation.function()
        for hook, caller in hooks.items()
        for implementation in caller.get_hookimpls()
        if implementation.plugin is plugin
    }
    components = offered.get("frame_components", {})
    recipes = Path(offered["frame_recipes"]) if "frame_recipes" in offered else None
    if not isinstance(components, dict):
        raise _BadOffer(f"frame_components() returned {components!r}, not a dict of components by name")
    for component_name, component in components.items():
        if fault := _fault(component):
            raise _BadOffer(f"'{component_name}' {fault}")
    if recipes and not recipes.is_dir():
        raise _BadOffer(f"frame_recipes() returned {recipes}, which is no folder")
    return Offer(name, origin, components, recipes)


def _fault(component: Any) -> str | None:
    """Say why something cannot be a component, or return None."""
    if not isinstance(component, type):
        return f"is {component!r}, not a component class"
    if not issubclass(component, Component) or component not in Registries():
        return f"is the class {component.__name__}, which derives from no kind's base (ModelComponent, ...)"
    if issubclass(component, TransformComponent) and not issubclass(component, SampleTransform | BatchTransform):
        return f"is the class {component.__name__}, which derives from neither SampleTransform nor BatchTransform"
    if inspect.isabstract(component):
        return f"is the class {component.__name__}, which lacks {', '.join(sorted(component.__abstractmethods__))}()"
    return None


def find_recipe(name: str, recipes: dict[str, Path], base: Path = Path()) -> Path:
    """Return the file of a recipe given by path (from the folder `base`) or by the name of a shipped one."""
    path = base / name
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if is_file:
        return path
    if name in recipes:
        return recipes[name]
    if is_folder:
        raise UserError(f"{path} is a folder; name a recipe in it")
    raise UserError(f"there is no recipe {path}{suggest(Path(name).stem, recipes)}")
