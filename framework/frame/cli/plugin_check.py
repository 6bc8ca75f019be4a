"""`frame plugin check`: the contract of every component of a plugin, as a table."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .text import echo, say

if TYPE_CHECKING:
    from ..plugins.load import LoadError, Plugins
    from ..plugins.offers import Offer
    from ..testing import Outcome

CHECK_WIDTH = 44
NONE = "no plugin but frame's own is installed; name one, or a file: frame plugin check ./my_plugin.py"
COLORS = {"ok": "green", "failed": "red", "advice": "yellow", "skipped": "blue"}
Components = dict[str, type[Any]]
"""`model/tiny` -> its class."""
Faults = dict[str, str]
"""What failed to load -> why."""


class ImageShape(click.ParamType[tuple[int, int, int]]):
    """Height, width and channels: 32x32x3."""

    name = "HxWxC"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int, int]:
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", value):
            self.fail(f"'{value}' is no shape of an image; write height, width and channels: 32x32x3", param, ctx)
        height, width, channels = map(int, value.split("x"))
        return height, width, channels


@click.command()
@click.argument("name", required=False, metavar="[NAME|PATH]")
@click.option("--image-shape", type=ImageShape(), help="Try components with such images instead of 32x32x3.")
@click.pass_context
def check(ctx: click.Context, name: str | None, image_shape: tuple[int, int, int] | None) -> None:
    """Check every component of a plugin against the contract of its kind.

    NAME is a plugin's, a distribution's or a module's; PATH a file: ./my_model.py. Without it, all installed plugins
    but frame's own are checked. A setting without a default takes the first of its field's `examples`. Datasets look
    for their data where FRAME_DATA_DIR says. The exit code is 1 if a check failed.
    """
    from ..plugins.load import load_plugins

    components, broken = _found(name) if name else _installed(load_plugins())
    if not components and not broken:
        echo(f"{name} offers no component" if name else NONE)
        return
    results: Counter[str] = Counter()
    width = max(len(label) for label in [*components, *broken])
    for label, cause in broken.items():
        _show(label, width, "loads", "failed", cause)
        results["failed"] += 1
    for label, component in components.items():
        said: set[str] = set()  # what stops one check may stop them all
        for outcome in _outcomes(label, component, image_shape):
            message = "as above" if outcome.message in said else outcome.message
            _show(label, width, outcome.check, outcome.result, message)
            said |= {outcome.message} - {""}
            results[outcome.result] += 1
    told = ", ".join(f"{results[result]} {result}" for result in COLORS if results[result])
    echo(f"{_counted(results.total(), 'check')} of {_counted(len(components), 'component')}: {told}")
    ctx.exit(1 if results["failed"] else 0)


def _outcomes(label: str, component: type[Any], image_shape: tuple[int, int, int] | None) -> Iterator[Outcome]:
    """Yield what the checks come to; what the component prints is not shown."""
    from ..errors import expanded
    from ..testing import contract_of, run_contract

    attributes: dict[str, Any] = {"image_shape": image_shape} if image_shape else {}
    if label.startswith("dataset/"):
        root = expanded(os.environ.get("FRAME_DATA_DIR") or "data")
        attributes |= {"root": root if root.is_dir() else None, "data_may_be_missing": True}
    outcomes = run_contract(contract_of(component, **attributes))
    while True:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            outcome = next(outcomes, None)
        if outcome is None:
            return
        yield outcome


def _show(label: str, width: int, check: str, result: str, message: str) -> None:
    echo(f"{label:<{width}}  {check:<{CHECK_WIDTH}}  ", nl=False)
    echo(result, fg=COLORS[result])
    if message:
        say(" ".join(message.split()), " " * (width + 4))


def _installed(plugins: Plugins) -> tuple[Components, Faults]:
    """Return the components of all plugins but frame's own, and what failed to load."""
    from ..plugins.registry import OWN

    offers = [offer for offer in plugins.offers if _distribution(offer.origin) != OWN]
    return _components(offers), {error.plugin: _cause(error) for error in plugins.errors}


def _found(name: str) -> tuple[Components, Faults]:
    """Return the components of what is called `name`, and what of it failed to load. Raises UserError."""
    from ..api.hookspecs import ENTRY_POINT_GROUP
    from ..errors import Place, UserError, suggest
    from ..plugins.load import PluginRef, load_plugins

    if name.endswith(".py"):
        if not Path(name).is_file():
            raise UserError(f"there is no file {name}", "no-such-file")
    else:
        plugins = load_plugins()
        names = {name, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.module == name)}

        offers = [one for one in plugins.offers if one.plugin in names or _same(one.origin, name)]
        errors = [one for one in plugins.errors if one.plugin in names or _same(one.origin, name)]
        if offers or errors:
            return _components(offers), {error.plugin: _cause(error) for error in errors}
        if not _is_module(name):
            known = {*plugins.origins, *map(_distribution, plugins.origins.values())}
            hint = suggest(name, known, list_all=False) or "; `frame plugin list` shows all, and a file is ./NAME.py"
            raise UserError(f"there is no plugin, distribution or module '{name}'{hint}", "plugin-failed")
    try:
        plugins = load_plugins([PluginRef(name, Place("command line"), Path())])
    except UserError as error:
        return {}, {name: error.problems[0].message}
    return _components(offer for offer in plugins.offers if offer.plugin == name), {}


def _components(offers: Iterable[Offer]) -> Components:
    from ..plugins.registry import Registries

    registries = Registries()
    return {
        f"{registries.of(component).kind}/{name}": component
        for offer in offers
        for name, component in offer.components.items()
    }


def _cause(error: LoadError) -> str:
    return f"{error.origin}: {error.cause}"


def _distribution(origin: str) -> str:
    """Return the distribution of an origin, `frame-train 0.1.0`."""
    return origin.partition(" ")[0]


def _same(origin: str, name: str) -> bool:
    """Whether an origin's distribution is `name`: dashes, dots, underscores and upper and lower case are alike."""
    one, other = (re.sub(r"[-_.]+", "-", text).lower() for text in (_distribution(origin), name))
    return one == other


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)
