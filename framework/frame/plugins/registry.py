"""One registry per kind of component: a value that is passed on, never a global."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..api.components import Component
from ..api.kinds import KINDS, Kind, Section
from ..errors import UserError

OWN = "frame-train"


@dataclass(frozen=True)
class Registered:
    """A component's class, and the plugin and its distribution (or file) that brought it."""

    component: type[Any]
    origin: str
    plugin: str


def clash(what: str, one: tuple[str, str], other: tuple[str, str]) -> UserError:
    """Return the error of two plugins, each given with its origin, that offer the same thing.

    The other one may be a file of the recipe's own, which its author can change.
    """
    (plugin, origin), (second, second_origin) = one, other
    off = plugin if second_origin.startswith(f"{OWN} ") else second  # frame's own is the last that one would turn off
    advice = f"uninstall one, or turn one off: FRAME_DISABLE_PLUGINS={off}"
    if second.endswith(".py"):
        advice = f"rename yours in {second}"
    both = f"'{plugin}' of {origin} and '{second}' of {second_origin}"
    return UserError(f"two plugins offer the {what}: {both}; {advice}", "plugin-failed")


@dataclass
class Registry:
    """The components of one kind, by name."""

    row: Kind
    entries: dict[str, Registered] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The word for one of its components: `lr_finder`."""
        return self.row.name

    @property
    def sections(self) -> tuple[Section, ...]:
        """Where recipes name them."""
        return self.row.sections

    @property
    def one(self) -> str:
        """One of its components, as a sentence has it: `an optimizer`."""
        return f"{'an' if self.kind.startswith(('a', 'e', 'o', 'lr')) else 'a'} {self.kind}"

    def add(self, name: str, component: type[Component], origin: str, plugin: str) -> None:
        """Take a component; two of one name are an error that says where both are from."""
        if other := self.entries.get(name):
            raise clash(f"{self.kind} '{name}'", (other.plugin, other.origin), (plugin, origin))
        self.entries[name] = Registered(component, origin, plugin)

    def named(self, node: Any) -> type[Any] | None:
        """Return the component that a section of a recipe's values names, None where it names none of these."""
        use = node.get("use") if isinstance(node, dict) else None
        return self[use] if isinstance(use, str) and use in self else None

    def __getitem__(self, name: str) -> type[Any]:
        return self.entries[name].component

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entries))


class Registries:
    """The registries of all kinds, by the word for one of their components: `registries["model"]`."""

    def __init__(self) -> None:
        self._of_kind = {row.name: Registry(row) for row in KINDS}

    def __getitem__(self, kind: str) -> Registry:
        return self._of_kind[kind]

    def __iter__(self) -> Iterator[Registry]:
        return iter(self._of_kind.values())

    def of(self, component: type[Component]) -> Registry:
        """Return the registry whose kind `component` derives from."""
        return next(registry for registry in self if issubclass(component, registry.row.base))
