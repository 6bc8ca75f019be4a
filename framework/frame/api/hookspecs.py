"""What a plugin can offer: the whole contract on one page.

A plugin is a module (or object) with functions marked `@frame.hookimpl`. It is found through the entry-point group
`frame.plugins`, or named in a recipe's `plugins:`. Hooks return data; importing a plugin registers nothing.

A plugin may say which version of all this it was written for: `FRAME_API = 2`. A frame of another version then refuses
it and says why, instead of failing somewhere.
"""

from __future__ import annotations

from pathlib import Path

import pluggy

from .components import Component

ENTRY_POINT_GROUP = "frame.plugins"
API_VERSION = 2
"""Goes up when a plugin that ran before may run no more; what is merely added leaves it."""
CHANGES = "docs/plugins.md, 'From version 1 to 2'"
"""Where it stands what a plugin of an older version must change."""
API_VARIABLE = "FRAME_API"
"""The variable in which a plugin says the version that it was written for."""

hookspec = pluggy.HookspecMarker("frame")
hookimpl = pluggy.HookimplMarker("frame")


@hookspec
def frame_components() -> dict[str, type[Component]]:  # type: ignore[empty-body]
    """Return components by name. The kind of each is its base class: ModelComponent, AnalyzerComponent, ..."""


@hookspec
def frame_recipes() -> Path:  # type: ignore[empty-body]
    """Return a folder of recipes that travels with the plugin; `frame run NAME` finds NAME.yaml in it."""
