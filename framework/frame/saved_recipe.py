"""recipe.resolved.yaml: every value that a run used, runnable where it lies."""

from __future__ import annotations

import shutil
from typing import Any

from omegaconf import OmegaConf

from .origins import auto_keys
from .recipe import Recipe
from .rundir import RunDir, sha256, write_text
from .source import COMMAND_LINE, Source
from .yamlfile import dotted


def save_recipe(folder: RunDir, recipe: Recipe) -> None:
    """Write the resolved recipe into a run's folder, and copy the plugin files that it names beside it."""
    values = recipe.values()
    hashes = {}
    for number, ref in enumerate(recipe.plugins):
        if ref.file:
            copy = folder.path / "plugins" / ref.file.name
            copy.parent.mkdir(exist_ok=True)
            if copy != ref.file:
                shutil.copyfile(ref.file, copy)
            values["plugins"][number] = f"./plugins/{ref.file.name}"
            hashes[ref.file.name] = sha256(copy)
    if hashes:
        folder.update_record(plugin_files=hashes)
    write_text(folder.recipe, as_yaml(values))


def provenance(source: Source, recipe: Recipe) -> dict[str, Any]:
    """Return what run.json says of a recipe: its file, the overridden keys, and those that the LR finder fills in."""
    overrides = [dotted(key) for key, place in source.places.items() if place == COMMAND_LINE]
    return {"file": str(source.path), "overrides": overrides, "found": [dotted(key) for key in auto_keys(recipe)]}


def as_yaml(values: dict[str, object]) -> str:
    """Return a recipe's values as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(values))
