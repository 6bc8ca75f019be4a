"""What of a long line, or of a long table, a page shows: its size does not grow with the length of the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ..api.results import Chart, Series

C = TypeVar("C", bound=Chart)

POINTS = 1000
"""A line of a chart with more points is thinned to as many at most."""
ROWS = 1000
"""Of a table with more rows, so many are shown; its CSV file has all."""


def thinned(chart: C) -> C:
    """Return a chart with its long lines thinned, which its caption says; points and bars keep all."""
    points = [course(line.y) if line.kind == "line" else range(len(line.y)) for line in chart.series]
    before, after = sum(len(line.y) for line in chart.series), sum(map(len, points))
    if before == after:
        return chart
    series = [points_at(places, line) for line, places in zip(chart.series, points, strict=True)]
    note = (
        f" Of {before:,} points {after:,} are shown: the first, the last, and the lowest and highest of each stretch "
        "between them."
    )
    return replace(chart, series=series, caption=chart.caption + note)


def points_at(places: Sequence[int], line: Series) -> Series:
    """Return a line with these of its points only."""
    x, y = [line.x[place] for place in places], [line.y[place] for place in places]
    low, high = ([ends[place] for place in places] if ends else ends for ends in (line.low, line.high))
    return replace(line, x=x, y=y, low=low, high=high)


def course(y: Sequence[float | None]) -> list[int]:
    """Return the numbers of the points, at most POINTS, that show the course of a line whose values are `y`.

    They are all of a short line; of a long one, of its finite values, the first and the last, and the lowest and the
    highest of each of many equal stretches: no extreme is lost, and of equal ones the first stays.
    """
    import numpy as np

    if len(y) <= POINTS:
        return list(range(len(y)))
    values = np.array(y, dtype=float)  # NaN for None
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        return [0, len(y) - 1]
    stretches = np.array_split(finite, POINTS // 2 - 1)
    extremes = {part[at(values[part])] for part in stretches if len(part) for at in (np.argmin, np.argmax)}
    return sorted(int(place) for place in extremes | {finite[0], finite[-1]})


def evenly(count: int, most: int, *also: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly spaced and with both ends, and those of `also`."""
    if count <= most:
        return list(range(count))
    spaced = {round(place * (count - 1) / (most - 1)) for place in range(most)}
    return sorted(spaced | {place for place in also if 0 <= place < count})
