"""What a plugin can offer: the whole contract on one page.

A plugin is a module (or object) with functions marked `@frame.hookimpl`. It is found through the entry-point group
`frame.plugins`, or named in a recipe's `plugins:`. Hooks return data; importing a plugin registers nothing.
"""

from __future__ import annotations

from pathlib import Path

import pluggy

from .components import Component

ENTRY_POINT_GROUP = "frame.plugins"

hookspec = pluggy.HookspecMarker("frame")
hookimpl = pluggy.HookimplMarker("frame")


@hookspec
def frame_components() -> dict[str, type[Component]]:  # type: ignore[empty-body]
    """Return components by name. The kind of each is its base class: ModelComponent, AnalyzerComponent, ..."""


@hookspec
def frame_recipes() -> Path:  # type: ignore[empty-body]
    """Return a folder of recipes that travels with the plugin; `frame run NAME` finds NAME.yaml in it."""
