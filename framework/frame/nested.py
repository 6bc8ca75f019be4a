"""Values in values, as YAML and JSON have them: one way to walk them, whatever is looked for or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

Key = tuple[str | int, ...]
"""Where a value stands: on the way to it, the names in sections and the places in lists."""


def leaves(
    value: Any, whole: Callable[[Key, Any], bool] = lambda _key, _value: False, key: Key = ()
) -> Iterator[tuple[Key, Any]]:
    """Yield each value that holds no other, with its key; what is empty is one too.

    whole: says of a section or a list, given with its key, that it counts as one value.
    """
    children = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    )
    below = () if whole(key, value) else tuple(children)
    if not below:
        yield key, value
    for part, child in below:
        yield from leaves(child, whole, (*key, part))


def changed(value: Any, change: Callable[[Key, Any], Any], key: Key = ()) -> Any:
    """Return sections, lists, tuples and dataclasses with `change(key, leaf)` in place of each leaf.

    What has none that changes is returned as it is.
    """
    if isinstance(value, Mapping):
        items = {name: changed(item, change, (*key, name)) for name, item in value.items()}
        return items if any(items[name] is not item for name, item in value.items()) else value
    if isinstance(value, list | tuple):
        parts = [changed(item, change, (*key, place)) for place, item in enumerate(value)]
        if all(part is item for part, item in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in fields(value)}
        new = changed(old, change, key)
        changes = {name: item for name, item in new.items() if item is not old[name]}
        return replace(value, **changes) if changes else value
    return change(key, value)


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with each text in it changed, as `changed` does."""

    def one(_: Key, leaf: Any) -> Any:
        text = change(leaf) if isinstance(leaf, str) else leaf
        return text if isinstance(leaf, str) and text != leaf else leaf

    return changed(value, one)


def name_at(key: Key) -> str:
    """Return the name that a value stands under: of an entry of a list, that of the list."""
    return next((part for part in reversed(key) if isinstance(part, str)), "")
