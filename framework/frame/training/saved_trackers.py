"""The trackers of a run that was made, read from its resolved recipe alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..api.components import TrackerComponent
from ..errors import Problem, refuse, suggest
from ..plugins.load import find_recipe, load_plugins
from ..recipe.load import with_named
from ..recipe.recipe import Named
from ..recipe.source import load_chain
from ..recipe.validation import validate


def load_trackers(recipe: Path, *, trust: bool = False) -> list[Named[TrackerComponent]]:
    """Return a run's trackers; environment variables that only other sections of its recipe name need not be set.

    trust: load the run's plugins whoever made it. Raises UserError.
    """
    plugins = load_plugins()
    source = load_chain(recipe, {}, partial(find_recipe, plugins.recipes))
    source.values = {"trackers": source.values.get("trackers", [])}
    source.resolve_interpolations()
    values = source.values["trackers"]
    registry = with_named(plugins, source, trust=trust).registries["tracker"]
    found: list[Named[TrackerComponent]] = []
    problems: list[Problem] = []
    for index, node in enumerate(values if isinstance(values, list) else []):
        settings: dict[str, Any] = dict(node) if isinstance(node, dict) else {}
        use, key = str(settings.pop("use", "")), ("trackers", index)
        if use not in registry:
            problems.append(source.problem((*key, "use"), f"unknown tracker '{use}'{suggest(use, registry)}"))
            continue
        component, wrong = validate(registry[use], settings, key, source, ("use",))
        problems += wrong
        found += [Named(use, component)] if component else []
    refuse(problems)
    return found
