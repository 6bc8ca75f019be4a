"""A component as a recipe could name it: YAML to paste."""

from __future__ import annotations

from typing import Any

import yaml

from ..api.components import Component
from ..plugins.registry import Registry


def example(registry: Registry, name: str, columns: int | None) -> str:
    """Return the section that names a component, with its settings at their defaults.

    A setting without a default has the first of its field's `examples`, or `???`, which frame asks to be filled in.
    Settings that are nothing unless given are left out.
    """
    content: Any = {"use": name, **_values(registry[name])}
    section = registry.sections[0]
    content = [content] if section.many else content
    for part in reversed(section.key):
        content = {part: content}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=columns or 10_000)


def _values(component: type[Component]) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    values = {}
    for name, field in component.model_fields.items():
        if field.is_required():
            values[name] = field.examples[0] if field.examples else "???"
        else:
            values[name] = to_jsonable_python(field.get_default(call_default_factory=True))
    return {name: value for name, value in values.items() if value is not None}


class _Dumper(yaml.SafeDumper):
    """Writes as recipes are written: entries of a list indented, and a list of plain values on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _written(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    plain = not any(isinstance(entry, dict | list) for entry in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain)


_Dumper.add_representer(list, _written)
