"""What lies among the images of a folder and is none of the data: counted by kind, the first few of each named."""

from __future__ import annotations

import os

from ..data import Omission
from .files import shown_name

KINDS = 20
"""Kinds that are told apart; names without end could have endings without end."""
EXAMPLES = 3
REST = "files with other endings"


class Omissions:
    """Counts what a reader of folders leaves out. Names are kept as they can be shown."""

    def __init__(self) -> None:
        self._kinds: dict[str, Omission] = {}

    def add(self, kind: str, name: str) -> None:
        """Count something of a kind, such as `linked folders`."""
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            kind = REST
        before = self._kinds.get(kind, Omission(kind, 0))
        examples = before.examples if before.count >= EXAMPLES else (*before.examples, shown_name(name))
        self._kinds[kind] = Omission(kind, before.count + 1, examples)

    def add_file(self, name: str) -> None:
        """Count a file of an ending that is not read."""
        ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million names
        self.add(f"{shown_name(ending)} files" if ending else "files without an ending", name)

    def found(self) -> tuple[Omission, ...]:
        """Return what was left out, the most frequent kind first."""
        return tuple(sorted(self._kinds.values(), key=lambda one: -one.count))
