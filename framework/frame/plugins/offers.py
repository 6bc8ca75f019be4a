"""What one plugin offers: asked through its hooks, and looked at before anything is done with it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy

from ..api import hookspecs
from ..api.components import Component
from ..api.hookspecs import API_VARIABLE, API_VERSION, CHANGES
from ..api.kinds import KINDS
from ..api.results import PLAIN_NAME
from ..errors import shown, suggest

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("frame_")}


@dataclass(frozen=True)
class Offer:
    """What one plugin offers, and the distribution and version, or the file, that it came from.

    api: the version of the plugin API that it says it was written for. entry_point: None where a recipe names it.
    """

    plugin: str
    origin: str
    components: dict[str, type[Component]]
    recipes: Path | None
    api: int | None = None
    entry_point: str | None = None
    file: str | None = None

    def recipe_files(self) -> list[Path]:
        return sorted(self.recipes.glob("*.yaml")) if self.recipes else []


class BadOffer(Exception):
    """What a plugin offers is of no use."""


def ask(plugin: Any, name: str, origin: str, manager: pluggy.PluginManager, entry_point: str | None = None) -> Offer:
    """Return what one plugin offers; it is asked by itself, since the results of all do not say whose they are.

    Raises BadOffer, or whatever the plugin raises; it is not registered then.
    """
    api = getattr(plugin, API_VARIABLE, None)
    if fault := api_fault(api, getattr(plugin, "__file__", None)):
        raise BadOffer(fault)
    if registered := manager.get_name(plugin):
        raise BadOffer(f"it is the same as the plugin {registered}")
    try:
        manager.register(plugin, f"{name} of {origin}")
        components, recipes = _answers(plugin, manager)
    except BaseException as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        if isinstance(error, pluggy.PluginValidationError):
            raise BadOffer(_wrong_hook(str(error))) from error
        raise
    module = plugin if inspect.ismodule(plugin) else sys.modules.get(getattr(plugin, "__module__", ""))
    return Offer(name, origin, components, recipes, api, entry_point, getattr(module, "__file__", None))


def api_fault(declared: Any, file: str | None) -> str | None:
    """Say why a plugin whose `file` declares this version of the plugin API cannot be used, or return None."""
    if declared is None or declared == API_VERSION:
        return None
    if not isinstance(declared, int):
        return f"its {API_VARIABLE} is {declared!r}, not a whole number: {API_VARIABLE} = {API_VERSION}"
    older = f"what was renamed stands in {CHANGES}: change it, or look for a newer version of the plugin"
    advice = "upgrade frame" if declared > API_VERSION else older
    name = shown(Path(file)) if file else "it"
    return f"{name} was written for plugin API {declared}, and this frame has plugin API {API_VERSION}; {advice}"


def _answers(plugin: Any, manager: pluggy.PluginManager) -> tuple[dict[str, type[Component]], Path | None]:
    """Return what the hooks of a registered plugin return. Raises BadOffer where that is not what `hookspecs` says."""
    answers = {hook: function() for hook, function in _implementations(plugin, manager).items()}
    components = answers.get("frame_components", {})
    if not isinstance(components, dict):
        raise BadOffer(f"frame_components() returned {components!r}, not a dict of components by name")
    for name, component in components.items():
        if not re.fullmatch(PLAIN_NAME, str(name)):
            raise BadOffer(f"{name!r} is no name for a component: letters, digits, '_', '-' and '.'")
        if fault := _fault(component):
            raise BadOffer(f"'{name}' {fault}")
    recipes = Path(answers["frame_recipes"]) if "frame_recipes" in answers else None
    if recipes and not recipes.is_dir():
        raise BadOffer(f"frame_recipes() returned {recipes}, which is no folder")
    return components, recipes


def _implementations(plugin: Any, manager: pluggy.PluginManager) -> dict[str, Callable[[], Any]]:
    """Return a plugin's functions by the hook that each is."""
    callers = {caller.name: caller for caller in manager.get_hookcallers(plugin) or ()}
    if unknown := [hook for hook in callers if hook not in HOOKS]:
        raise BadOffer(f"there is no hook {unknown[0]}(){suggest(unknown[0], HOOKS)}")
    if unmarked := [hook for hook in HOOKS if hook not in callers and callable(getattr(plugin, hook, None))]:
        raise BadOffer(f"its function {unmarked[0]}() is no hook: put @frame.hookimpl above it")
    if not callers:
        raise BadOffer(f"it offers nothing: none of its functions {', '.join(HOOKS)} is marked @frame.hookimpl")
    found = {}
    for hook, caller in callers.items():
        implementation, *more = [one for one in caller.get_hookimpls() if one.plugin is plugin]
        if more:
            raise BadOffer(f"several of its functions are the hook {hook}(); one returns all")
        _check_call(hook, implementation)
        found[hook] = implementation.function
    return found


def _wrong_hook(message: str) -> str:
    """Return pluggy's complaint about a hook in frame's words, with the right signature."""
    hook, definition = re.search(r"hook '(\w+)'", message), re.search(r"definition: (.*)", message)
    if hook is None or definition is None or "wrapper" in message:
        return message.rpartition("\n")[2]
    return f"its hook {definition[1]} asks for what frame does not give; {_right(hook[1])}"


def _check_call(hook: str, implementation: pluggy.HookImpl) -> None:
    """Refuse what pluggy lets through: wrappers, for each plugin is asked by itself, and arguments only by keyword."""
    if implementation.wrapper or implementation.hookwrapper:
        raise BadOffer(f"its hook {hook}() is a wrapper, and there is nothing to wrap; {_right(hook)}")
    signature = inspect.signature(implementation.function)
    try:
        signature.bind()
    except TypeError:
        raise BadOffer(f"its hook {hook}{signature} asks for what frame does not give; {_right(hook)}") from None


def _right(hook: str) -> str:
    signature = str(inspect.signature(HOOKS[hook])).replace("'", "")  # annotations are texts
    return f"write @frame.hookimpl def {hook}{signature}"


def _fault(component: Any) -> str | None:
    """Say why something cannot be a component, or return None."""
    if not inspect.isclass(component):
        return f"is {component!r}, not a component class"
    kind = next((row for row in KINDS if issubclass(component, row.base)), None)
    if kind is None:
        return f"is the class {component.__name__}, which derives from no kind's base (ModelComponent, ...)"
    if kind.variants and not issubclass(component, kind.variants):
        either = " nor ".join(variant.__name__ for variant in kind.variants)
        return f"is the class {component.__name__}, which derives from neither {either}"
    if missing := getattr(component, "__abstractmethods__", None):
        return f"is the class {component.__name__}, which lacks {', '.join(sorted(missing))}()"
    return None
