"""The defaults of a recipe's settings, by their keys: those of the host, and of the components that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ..nested import Key
from ..plugins.load import Plugins
from .settings import HOST, RecipeSettings


def defaults_of(values: dict[str, Any], plugins: Plugins, path: Path) -> dict[Key, Any]:
    """Return the default, as a plain value, of every setting that can stand in the recipe `path` with these values."""
    found = dict(_of_model(RecipeSettings, ())) | {("name",): default_name(path)}
    for name, model in HOST.items():
        found |= _of_model(model, (name,))
    for registry in plugins.registries:
        for section in registry.sections:
            for key, node in section.nodes(values):
                if component := registry.named(node):
                    found |= _of_model(component, key)
    return found


def default_name(path: Path) -> str:
    """Return the recipe's file name as the name of a run, without what a folder's name should not have."""
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+", "_", path.stem).lstrip("_")[:100] or "run"


def _of_model(model: type[BaseModel], key: Key) -> Iterator[tuple[Key, Any]]:
    for name, setting in model.model_fields.items():
        if not setting.is_required() and not setting.default_factory_takes_validated_data:
            value = setting.get_default(call_default_factory=True)
            yield (*key, name), to_jsonable_python(value, serialize_unknown=True)
