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
from .components import Component
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
    traceback: str

    @property
    def cause(self) -> str:
        return self.traceback.strip().splitlines()[-1]


@dataclass
class Plugins:
    """What all plugins offer."""

    registries: Registries = field(default_factory=Registries)
    recipes: dict[str, Path] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Plugin name -> the distribution and version, or the file, that it came from."""
    errors: list[LoadError] = field(default_factory=list)


def load_plugins(named: Sequence[PluginRef] = ()) -> Plugins:
    """Load the installed plugins and those that a recipe names, and collect what they offer.

    Raises UserError when a named plugin cannot be loaded, or when two plugins offer the same thing.
    """
    manager = pluggy.PluginManager("frame")
    manager.add_hookspecs(hookspecs)
    plugins = Plugins()
    disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")}
    for entry in sorted(entry_points(group=hookspecs.ENTRY_POINT_GROUP)):
        if entry.name in disabled or manager.has_plugin(entry.name):
            continue
        try:
            manager.register(entry.load(), entry.name)
            plugins.origins[entry.name] = _origin(entry)
        except Exception:  # whatever a stranger's plugin raises, the rest goes on
            plugins.errors.append(LoadError(entry.name, _origin(entry), traceback.format_exc()))
    for ref in named:
        if not manager.has_plugin(ref.name) and ref.name not in disabled:
            manager.register(_load_named(ref), ref.name)
            plugins.origins[ref.name] = str(ref.file or ref.name)
    _collect(manager, plugins)
    return plugins


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load_named(ref: PluginRef) -> ModuleType:
    try:
        module = _import_file(ref.file) if ref.file else importlib.import_module(ref.name)
    except UserError:
        raise
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == ref.name.partition(".")[0]
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames and not missing else ""
        hint = "; install it, or name a file: ./my_plugin.py" if missing else ""
        message = f"plugin '{ref.name}' failed to load: {type(error).__name__}: {error}{where}{hint}"
        raise UserError(Problem(message, "plugins", ref.place)) from error
    if not any(hasattr(value, "frame_impl") for value in vars(module).values()):
        message = f"plugin '{ref.name}' offers nothing: it has no function marked @frame.hookimpl"
        raise UserError(Problem(message, "plugins", ref.place))
    return module


def _import_file(file: Path) -> ModuleType:
    """Import a single-file plugin under a name of its own, kept in sys.modules so that workers can unpickle from it."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    name = f"frame_local_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
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


def _collect(manager: pluggy.PluginManager, plugins: Plugins) -> None:
    """Ask every plugin for what it offers; one by one, since results alone do not say whose they are."""
    for implementation in reversed(manager.hook.frame_components.get_hookimpls()):
        name, origin = implementation.plugin_name, plugins.origins[implementation.plugin_name]
        offered: Any = implementation.function()
        for component_name, component in offered.items():
            registry = plugins.registries.of(component)
            if registry is None or inspect.isabstract(component):
                raise UserError(f"plugin '{name}' ({origin}): '{component_name}' {_misfit(component)}")
            registry.add(component_name, component, origin)
    for implementation in reversed(manager.hook.frame_recipes.get_hookimpls()):
        origin = plugins.origins[implementation.plugin_name]
        folder: Any = implementation.function()
        for file in sorted(Path(folder).glob("*.yaml")):
            if file.stem in plugins.recipes:
                raise UserError(f"two plugins offer the recipe '{file.stem}': {plugins.recipes[file.stem]} and {file}")
            plugins.recipes[file.stem] = file


def _misfit(component: Any) -> str:
    if not isinstance(component, type):
        return f"is {component!r}, not a component class"
    if issubclass(component, Component) and inspect.isabstract(component):
        missing = ", ".join(sorted(component.__abstractmethods__))
        return f"is a class that lacks {missing}()"
    return f"is the class {component.__name__}, which derives from no kind's base (ModelComponent, ...)"


def find_recipe(name: str, recipes: dict[str, Path], base: Path = Path()) -> Path:
    """Return the file of a recipe given by path (from the folder `base`) or by the name of a shipped one."""
    path = base / name
    if path.is_file():
        return path
    if name in recipes:
        return recipes[name]
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a recipe in it")
    raise UserError(f"there is no recipe {path}{suggest(Path(name).stem, recipes)}")
