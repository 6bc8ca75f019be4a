"""Every setting that can be overridden in a recipe, for completion: its key, what it is, the values that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ..api.kinds import Section, sections
from ..errors import UserError
from ..plugins.registry import Registry
from ..recipe.field_docs import field_docs
from ..recipe.load import read_recipe
from ..recipe.settings import DataSettings, RecipeSettings
from ..recipe.yaml_text import dotted
from .text import summary


@dataclass(frozen=True)
class Setting:
    """A setting's key, the class that has it (none for `use`), and the values that are known, with a line on each."""

    key: str
    owner: type[BaseModel] | None = None
    values: Mapping[str, str] = field(default_factory=dict)


def settings(recipe: str, overrides: Sequence[str]) -> list[Setting]:
    """Return the settings of a recipe with these overrides, components changed by them included. Raises UserError.

    The plugins that the recipe names are imported, as by every command that is given the recipe.
    """
    try:
        source, plugins = read_recipe(recipe, overrides)
    except UserError:  # what stands on the line so far may be wrong
        source, plugins = read_recipe(recipe)
    named = {section.name for section in sections()}
    found = [setting for setting in _of_model(RecipeSettings, "") if setting.key not in named]
    found += _of_model(DataSettings, "data.")
    for registry in plugins.registries:
        for section in registry.sections:
            found += _of_section(registry, section, source.values)
    return found


def explained(known: Sequence[Setting]) -> Iterator[tuple[str, str]]:
    """Yield the key of each setting with what stands under the field in its class."""
    docs = {owner: field_docs(owner) if owner else {} for owner in {setting.owner for setting in known}}
    for setting in known:
        yield setting.key, docs[setting.owner].get(setting.key.rpartition(".")[2], "")


def _of_model(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    """Yield the settings of a model, and in place of one that is a model itself those in it."""
    for name, info in model.model_fields.items():
        inner = [one for one in _leaves(info.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        choices = _choices(info.annotation)
        if choices or not inner:
            yield Setting(f"{prefix}{name}", model, choices)
        for one in inner:
            yield from _of_model(one, f"{prefix}{name}.")


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the types that a union consists of."""
    if get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _leaves(one)
    elif get_origin(annotation) is Annotated:
        yield from _leaves(get_args(annotation)[0])
    else:
        yield annotation


def _choices(annotation: Any) -> dict[str, str]:
    """Return the values that a type lists: those of a Literal, true and false."""
    found: dict[str, str] = {}
    for one in _leaves(annotation):
        if get_origin(one) is Literal:
            found |= dict.fromkeys(map(str, get_args(one)), "")
        if one is bool:
            found |= {"true": "", "false": ""}
    return found


def _of_section(registry: Registry, section: Section, values: Any) -> Iterator[Setting]:
    """Yield the settings of the components that a section names, and for a list `use` of one more."""
    names = {name: summary(registry[name]) for name in registry}
    nodes = list(section.nodes(values))
    if section.many:
        nodes.append(((*section.key, len(nodes)), None))
    for key, node in nodes:
        yield Setting(f"{dotted(key)}.use", None, names)
        if component := registry.named(node):
            yield from _of_model(component, f"{dotted(key)}.")
