"""Curves on a terminal: one plot of letters, a letter for each run."""

from __future__ import annotations

from ...api.results import Chart

WIDTH, HEIGHT = 64, 12


def overlay(chart: Chart) -> list[str]:
    """Return a chart's lines as text. Each series is drawn by the first letter of its name, `*` where some coincide."""
    points = [
        (each.name[0], x, y) for each in chart.series for x, y in zip(each.x, each.y, strict=True) if y is not None
    ]
    if not points:
        return []
    left, right = min(x for _, x, _ in points), max(x for _, x, _ in points)
    low, high = min(y for *_, y in points), max(y for *_, y in points)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for letter, x, y in points:
        column = round((x - left) / (right - left or 1) * (WIDTH - 1))
        row = round((high - y) / (high - low or 1) * (HEIGHT - 1))
        grid[row][column] = letter if grid[row][column] in (" ", letter) else "*"
    labels = [_number(high, chart), *[""] * (HEIGHT - 2), _number(low, chart)]
    width = max(map(len, labels))
    drawn = [f"{label:>{width}} |{''.join(row)}".rstrip() for label, row in zip(labels, grid, strict=True)]
    first, last = f"{left:g}", f"{right:g}"
    below = f"{first}{chart.x_label:^{WIDTH - len(first) - len(last)}}{last}"
    return [*drawn, f"{'':{width}} +{'-' * WIDTH}", f"{'':{width}}  {below}"]


def _number(value: float, chart: Chart) -> str:
    return f"{value:.2%}" if chart.percent else f"{value:.4g}"
