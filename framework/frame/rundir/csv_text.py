"""Tables as CSV that both programs and spreadsheets read as it was meant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would run."""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, each ended by a line feed.

    A text with a line break is quoted. One that a spreadsheet would run gets an apostrophe before it, which tells the
    spreadsheet that it is a text.
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in row])  # Python 3.11 quotes these
        lines.append(line.getvalue()[:-2] + "\n")
    return "".join(lines)


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
