"""`frame plugin list`."""

from __future__ import annotations

import json
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import click

from .text import echo, say

if TYPE_CHECKING:
    from ..plugins.load import Plugins
    from ..plugins.offers import Offer

WHERE = attrgetter("origin", "plugin")
"""Of offers: they are listed by what brings them."""


@click.command("list", short_help="List the installed plugins and what each provides.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, tracebacks of load errors included.")
def list_plugins(*, as_json: bool) -> None:
    """List the installed plugins: distribution and version, what each provides, and where it lies.

    Plugins that failed to load come last, with the cause; their tracebacks go to standard error.
    """
    from ..plugins.load import load_plugins

    plugins = load_plugins()
    if as_json:
        echo(json.dumps(_values(plugins), indent=2))
        return
    for origin, offers in groupby(sorted(plugins.offers, key=WHERE), attrgetter("origin")):
        echo(origin, bold=True)
        for offer in offers:
            _show(plugins, offer)
    if plugins.disabled:
        echo("turned off by FRAME_DISABLE_PLUGINS", bold=True)
        say(", ".join(plugins.disabled), "  ")
    if plugins.errors:
        echo("failed to load", bold=True, fg="red")
    for error in plugins.errors:
        say(f"{error.plugin} of {error.origin} ({error.entry_point})", "  ")
        say(error.cause, "      ")
        echo(error.traceback, err=True)


def _show(plugins: Plugins, offer: Offer) -> None:
    from pathlib import Path

    from ..errors import shown

    provides = [f"{kind}/{name}" for kind, names in _components(plugins, offer).items() for name in names]
    provides += [f"recipe {file.stem}" for file in offer.recipe_files()]
    written_for = f", for plugin API {offer.api}" if offer.api else ""
    file = f", {shown(Path(offer.file))}" if offer.file else ""
    say(f"{offer.plugin}: {', '.join(provides) or 'nothing'}", "  ", "      ")
    say(f"{offer.entry_point}{file}{written_for}", "      ")


def _components(plugins: Plugins, offer: Offer) -> dict[str, list[str]]:
    """Return the names of what a plugin provides, by kind."""
    kinds: dict[str, list[str]] = {}
    for name, component in sorted(offer.components.items()):
        kinds.setdefault(plugins.registries.of(component).kind, []).append(name)
    return kinds


def _values(plugins: Plugins) -> dict[str, Any]:
    """Return everything as plain values."""
    loaded = [
        {
            "plugin": offer.plugin,
            **_distribution(offer.origin),
            "entry_point": offer.entry_point,
            "file": offer.file,
            "api": offer.api,
            "components": _components(plugins, offer),
            "recipes": [file.stem for file in offer.recipe_files()],
        }
        for offer in sorted(plugins.offers, key=WHERE)
    ]
    failed = [
        {
            "plugin": error.plugin,
            **_distribution(error.origin),
            "entry_point": error.entry_point,
            "cause": error.cause,
            "traceback": error.traceback,
        }
        for error in plugins.errors
    ]
    return {"plugins": loaded, "errors": failed, "disabled": plugins.disabled}


def _distribution(origin: str) -> dict[str, str]:
    name, _, version = origin.partition(" ")
    return {"distribution": name, "version": version}
