"""recipe.resolved.yaml: every value that a run used, runnable where it lies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from omegaconf import OmegaConf

from ..plugins.files import PluginFile
from ..plugins.trust import FOLDER, remember
from ..rundir.files import write_bytes, write_text
from ..rundir.folder import RunDir
from ..rundir.record import Origin
from .recipe import Recipe
from .source import COMMAND_LINE, Source
from .yaml_text import dotted


def save_recipe(folder: RunDir, recipe: Recipe) -> None:
    """Write the resolved recipe into a run's folder; its plugin files are named as `keep_plugins` leaves them there."""
    values, places = recipe.values(), _places(folder, recipe)
    for number, ref in enumerate(recipe.plugins):
        if ref.files:
            values["plugins"][number] = f"./{FOLDER}/{places[ref.files[0].path]}"
    write_text(folder.recipe, as_yaml(values))


def keep_plugins(folder: RunDir, recipe: Recipe, warn: Callable[[str], None]) -> None:
    """Keep the plugins' code in the run's folder, as it was imported, and remember the run as the user's own: the code
    is loaded again without a question."""
    if not recipe.plugins:
        return
    places = _places(folder, recipe)
    digests = {}
    for file in plugin_files(recipe):
        copy = folder.path / FOLDER / places[file.path]
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(copy, file.content)
        digests[places[file.path]] = file.digest
    modules = [ref.name for ref in recipe.plugins if not ref.files]
    folder.update_record(plugin_files=digests, plugin_modules=modules)
    try:
        remember(folder.read_record())
    except OSError as error:
        warn(f"the run's plugins cannot be remembered: a resume will ask for --trust ({error})")


def plugin_files(recipe: Recipe) -> list[PluginFile]:
    """Return the plugins' files, each once: two plugins may share one beside them."""
    return list({file.path: file for ref in recipe.plugins for file in ref.files}.values())


def _places(folder: RunDir, recipe: Recipe) -> dict[Path, str]:
    """Return where each plugin file lies below `plugins/`: there already, or to be copied.

    Files of one folder stay beside each other, for they import each other: all of them lie in `2/` where one has the
    name of another folder's.
    """
    home = (folder.path / FOLDER).resolve()
    beside: dict[Path, list[str]] = {}
    for file in plugin_files(recipe):
        beside.setdefault(file.path.parent, []).append(file.path.name)
    places = {parent / name: parent.relative_to(home) / name
              for parent, names in beside.items() if parent.is_relative_to(home) for name in names}  # fmt: skip
    for parent, names in beside.items():
        if not parent.is_relative_to(home):
            folders = (Path(str(number) if number > 1 else "") for number in itertools.count(1))
            free = next(one for one in folders if not {one / name for name in names} & {*places.values()})
            places |= {parent / name: free / name for name in names}
    return {path: place.as_posix() for path, place in places.items()}


def provenance(source: Source, recipe: Recipe) -> Origin:
    """Return what run.json says of a recipe: its file, the overridden keys, and those that the LR finder fills in."""
    overrides = [dotted(key) for key, place in source.places.items() if place == COMMAND_LINE]
    return {"file": str(source.path), "overrides": overrides, "found": [dotted(key) for key in recipe.waiting()]}


def as_yaml(values: dict[str, object]) -> str:
    """Return a recipe's values as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(values))
