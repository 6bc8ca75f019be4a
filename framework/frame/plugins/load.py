"""Finding plugins: installed ones by entry point, a recipe's own by name or file.

A plugin that fails to load is kept as a `LoadError`, with its distribution and its traceback, and takes nothing else
down. A plugin that a recipe names must load.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import os
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from typing import Any

import pluggy
from pluggy import HookimplOpts

from ..api import hookspecs
from ..errors import Place, Problem, UserError, expanded, lines_to, refuse, suggest
from .files import PluginFile, import_plugin, read_plugin
from .offers import BadOffer, Offer, api_fault, ask
from .registry import Registries, clash
from .trust import refusal

DISABLE_VARIABLE = "FRAME_DISABLE_PLUGINS"
STRICT_VARIABLE = "FRAME_STRICT_PLUGINS"


@dataclass(frozen=True)
class PluginRef:
    """A plugin that a recipe names: a module, or a file ending in .py; `place` is the line that names it."""

    name: str
    place: Place
    base: Path
    """The folder that relative file names start from: the recipe's own."""
    run: Path | None = None
    """The run's folder that has the recipe: it may come from anywhere."""
    files: tuple[PluginFile, ...] = field(default=(), repr=False)
    """What was imported, once it is loaded: the file, and those beside it that it imports; none for a module."""

    @property
    def file(self) -> Path | None:
        return (self.base / expanded(self.name)).resolve() if self.name.endswith(".py") else None


@dataclass(frozen=True)
class LoadError:
    """An installed plugin that did not load."""

    plugin: str
    origin: str
    cause: str
    traceback: str
    entry_point: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.origin} failed to load: {self.cause}"


@dataclass
class Plugins:
    """What all plugins offer.

    disabled: the names of installed ones that FRAME_DISABLE_PLUGINS leaves out. named: those that the recipe names, as
    they were loaded. left_out: those of them that FRAME_DISABLE_PLUGINS leaves out.
    """

    registries: Registries = field(default_factory=Registries)
    recipes: dict[str, Path] = field(default_factory=dict)
    offers: list[Offer] = field(default_factory=list)
    errors: list[LoadError] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    named: tuple[PluginRef, ...] = ()
    left_out: tuple[PluginRef, ...] = ()

    @property
    def origins(self) -> dict[str, str]:
        """Plugin name -> the distribution and version, or the file, that it came from."""
        return {offer.plugin: offer.origin for offer in self.offers}

    def add(self, offer: Offer) -> None:
        """Take in an offer. Raises UserError where another plugin offers the same."""
        for name, component in offer.components.items():
            self.registries.of(component).add(name, component, offer.origin, offer.plugin)
        for file in offer.recipe_files():
            if known := self.recipes.get(file.stem):
                first = next(one for one in self.offers if one.recipes == known.parent)
                raise clash(f"recipe '{file.stem}'", (first.plugin, first.origin), (offer.plugin, offer.origin))
            self.recipes[file.stem] = file
        self.offers.append(offer)


class _Manager(pluggy.PluginManager):
    """Looks at a module's functions alone: looking up every name of every plugin takes half the time of loading."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> HookimplOpts | None:
        if inspect.ismodule(plugin) and not inspect.isroutine(vars(plugin).get(name)):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def load_plugins(named: Sequence[PluginRef] = (), *, trust: bool = False) -> Plugins:
    """Load the installed plugins and those that a recipe names, and collect what they offer.

    trust: load those of a run's folder whoever made it. Raises UserError when a named plugin cannot or must not be
    loaded, when two plugins offer the same thing, and with FRAME_STRICT_PLUGINS=1 (`frame --strict-plugins`) when an
    installed one cannot be loaded.
    """
    manager = _Manager("frame")
    manager.add_hookspecs(hookspecs)
    plugins = Plugins()
    disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")}
    for entry in sorted(entry_points(group=hookspecs.ENTRY_POINT_GROUP)):
        if entry.name in disabled:
            plugins.disabled.append(entry.name)
            continue
        origin = _name_and_version(entry.dist) if entry.dist else entry.value
        try:
            offer = ask(entry.load(), entry.name, origin, manager, entry.value)
        except (Exception, SystemExit) as error:  # whatever a stranger's plugin raises, the rest goes on
            plugins.errors.append(LoadError(entry.name, origin, _cause(error), traceback.format_exc(), entry.value))
        else:
            plugins.add(offer)
    if os.environ.get(STRICT_VARIABLE, "0") not in ("", "0"):
        refuse(Problem(str(error), code="plugin-failed") for error in plugins.errors)
    problems: list[Problem] = []
    for ref in named:
        if ref.name in disabled:
            plugins.left_out += (ref,)
            continue
        try:
            plugins.named += (_add_named(ref, manager, plugins, trust=trust or not ref.run),)
        except UserError as error:
            problems += error.problems
    refuse(problems)
    return plugins


def _add_named(ref: PluginRef, manager: pluggy.PluginManager, plugins: Plugins, *, trust: bool) -> PluginRef:
    """Load what a recipe names, and return it with what was imported. Raises UserError."""
    try:
        ref = replace(ref, files=tuple(_read(ref, trust=trust)))
        module = import_plugin(ref.files) if ref.files else importlib.import_module(ref.name)
        if manager.is_registered(module):
            return ref
        offer = ask(module, ref.name, str(ref.file or ref.name), manager)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == ref.name.partition(".")[0]
        cause = "there is no such module; install it, or name a file: ./my_plugin.py" if missing else None
        message = f"plugin '{ref.name}' failed to load: {cause or _cause(error, ref.file)}"
        raise UserError(Problem(message, "plugins", ref.place, code="plugin-failed")) from error
    try:
        plugins.add(offer)
    except UserError as clash:
        raise UserError(Problem(str(clash), "plugins", ref.place, code="plugin-failed")) from clash
    return ref


def _read(ref: PluginRef, *, trust: bool) -> Iterator[PluginFile]:
    """Yield a plugin's files, each looked at before the next is read. Raises UserError for what must not be loaded."""

    def check(file: PluginFile | None) -> None:
        found = (file.path, file.digest) if file else None
        if ref.run and not trust and (why := refusal(ref.run, ref.name, found)):
            raise UserError(Problem(why, "plugins", ref.place, code="untrusted-plugin"))

    if not ref.file:
        check(None)
        return
    for file in read_plugin(ref.file):
        check(file)
        yield file


@cache  # the metadata is read from the disk each time it is asked for
def _name_and_version(distribution: Distribution) -> str:
    metadata = distribution.metadata
    return f"{metadata['Name']} {metadata['Version']}"


def _cause(error: BaseException, file: Path | None = None) -> str:
    """Say what was raised and where: in `file` if it passed through there; and if the plugin API may be why."""
    if isinstance(error, BadOffer):
        return str(error)
    lines = lines_to(error)
    lines = [line for line in lines if line.source == str(file)] or lines
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    cause = ": ".join(filter(None, (type(error).__name__, text))) + f" ({lines[-1]})"
    faults = filter(None, (api_fault(_written_api(line.source), line.source) for line in lines))
    return ": ".join([*list(faults)[:1], cause])


def _written_api(file: str) -> int | None:
    """Return the plugin API that a module says it was written for, read from its text: it did not get to say so."""
    lines = map(re.compile(rf"{hookspecs.API_VARIABLE}\s*(?::[^=]*)?=\s*(\d+)").match, linecache.getlines(file))
    return next((int(line[1]) for line in lines if line), None)


def find_recipe(recipes: Mapping[str, Path], name: str, base: Path = Path()) -> Path:
    """Return the file of a recipe given by path (from the folder `base`) or by the name of a shipped one."""
    path = base / expanded(name)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise UserError(f"{path} cannot be read: {error.strerror}", "cannot-read") from error
    if is_file:
        return path
    if name in recipes:
        return recipes[name]
    if is_folder:
        raise UserError(f"{path} is a folder; name a recipe in it", "no-such-recipe")
    with_ending = next((end for end in (".yaml", ".yml") if Path(f"{path}{end}").is_file()), None)
    hint = f"; did you mean '{name}{with_ending}'?" if with_ending else suggest(Path(name).stem, recipes)
    raise UserError(f"there is no recipe {path}{hint}", "no-such-recipe")
