"""recipe.resolved.yaml: every value that a run used, runnable where it lies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from omegaconf import OmegaConf

from .origins import auto_keys
from .recipe import Recipe
from .rundir import RunDir, sha256, write_text
from .source import COMMAND_LINE, Source
from .trust import FOLDER, sign
from .yamlfile import dotted


def save_recipe(folder: RunDir, recipe: Recipe, warn: Callable[[str], None]) -> None:
    """Write the resolved recipe into a run's folder, and copy the plugin files that it names beside it."""
    values = recipe.values()
    for number, ref in enumerate(recipe.plugins):
        if ref.file:
            copy = folder.path / FOLDER / ref.file.name
            copy.parent.mkdir(exist_ok=True)
            if copy != ref.file:
                shutil.copyfile(ref.file, copy)
            values["plugins"][number] = f"./{FOLDER}/{ref.file.name}"
    sign_plugins(folder, recipe, warn)
    write_text(folder.recipe, as_yaml(values))


def sign_plugins(folder: RunDir, recipe: Recipe, warn: Callable[[str], None]) -> None:
    """Note in run.json which plugins the run has, as its user's own: they are loaded again without a question."""
    if not recipe.plugins:
        return
    files = {copy.name: sha256(copy) for copy in sorted((folder.path / FOLDER).glob("*.py"))}
    named = {"plugin_files": files, "plugin_modules": [ref.name for ref in recipe.plugins if not ref.file]}
    try:
        signature = sign(named)
    except OSError as error:
        signature = None
        warn(f"the run's plugins cannot be signed: a resume will ask for --trust ({error})")
    folder.update_record(**named, plugin_signature=signature)


def provenance(source: Source, recipe: Recipe) -> dict[str, Any]:
    """Return what run.json says of a recipe: its file, the overridden keys, and those that the LR finder fills in."""
    overrides = [dotted(key) for key, place in source.places.items() if place == COMMAND_LINE]
    return {"file": str(source.path), "overrides": overrides, "found": [dotted(key) for key in auto_keys(recipe)]}


def as_yaml(values: dict[str, object]) -> str:
    """Return a recipe's values as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(values))
