"""Texts as figures, messages and tables have room for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def shorten(text: str, width: int) -> str:
    """Cut a text to `width` characters; an ellipsis shows that it was longer."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return a table's lines, the columns of `right` flush right, two spaces between columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    cells = [
        [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (header, *rows)
    ]
    return ["  ".join(row).rstrip() for row in cells]
