"""Lines and tables that fit a terminal: folded between fields, never inside one, and a path stays whole."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from ..api.text import table

FIELD_GAP = "  "


def fold(fields: Sequence[str], width: int | None) -> list[str]:
    """Return fields as one line, or as several where it is wider than `width`; these stand below the second field."""
    lines = [fields[0]]
    indent = " " * len(fields[0])
    for field in fields[1:]:
        if width and len(lines[-1]) + len(FIELD_GAP) + len(field) > width and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += FIELD_GAP + field
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """Return a text as lines, indented, that break between words where they are wider than `width`."""
    if width is None:
        return [FIELD_GAP + text]
    lines = textwrap.wrap(text, width - len(FIELD_GAP), break_long_words=False, break_on_hyphens=False)
    return [FIELD_GAP + line for line in lines]


def fitted(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, whole: int, right: Collection[int] = ()
) -> list[list[str]]:
    """Return the lines of a table's head, and those of each row: one each where `width` has room for them.

    Else the cell of column `whole`, a path, stands on a line of its own, which can be copied as it is, and the others
    below it, in columns still; these are folded where they are too wide too. right: the columns that are flush right.
    """
    lines = table(header, rows, right)
    if width is None or max(map(len, lines)) <= width:
        return [[line] for line in lines]
    others = [place for place in range(len(header)) if place != whole]
    cells = [[row[place] for place in others] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        [
            cell.rjust(room) if place in right else cell.ljust(room)
            for place, cell, room in zip(others, row, widths, strict=True)
        ]
        for row in cells
    ]
    return [
        [row[whole], *(line.rstrip() for line in fold(["", *cells], width))]
        for row, cells in zip((header, *rows), padded, strict=True)
    ]
