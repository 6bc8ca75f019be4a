"""`frame plugin`: commands for those who write plugins; one file each."""

from __future__ import annotations

import click

from .lazy import LazyGroup

COMMANDS = {"new": ".plugin_new:new", "check": ".plugin_check:check", "list": ".plugin_list:list_plugins"}


@click.group("plugin", cls=LazyGroup, sections={"Commands": COMMANDS})
def plugin() -> None:
    """Make, list and check plugins."""
