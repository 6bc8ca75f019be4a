"""Draws charts and matrices, which are data, for those who cannot: files, trackers, a page without JavaScript."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..results import Chart, Figure, Matrix, Picture, Series
from ..text import shorten
from .style import COLORS, INK, house_style, new_figure

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

FEW = 40
"""Lines with up to this many points show them."""
ANNOTATED = 20
"""Up to this many classes, each cell of a matrix says its count."""
WITH_SHARES = 12
"""Up to this many classes, it says its share of the true class too."""
NAMED = 50
"""Up to this many classes, each row of a matrix says its class; above, some of them do."""


def png(figure: Figure) -> bytes:
    """Return any figure of an analyzer as PNG."""
    with house_style():  # for rendering too: it is then that ticks are made
        drawn = figure.image if isinstance(figure, Picture) else _draw(figure)
        return drawn if isinstance(drawn, bytes) else _render(drawn)


def _render(figure: MatplotlibFigure) -> bytes:
    """Return what `savefig` writes, to the pixel, in half its time: it draws everything twice, first for the layout."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    given, buffer = figure.canvas, io.BytesIO()
    canvas = FigureCanvasAgg(figure)  # takes the figure's place for it
    try:
        canvas.draw()  # type: ignore[no-untyped-call]
    finally:
        figure.set_canvas(given)
    image = Image.fromarray(np.asarray(canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
    if image.getchannel("A").getextrema() == (255, 255):  # nothing shines through
        image = image.convert("RGB")
    image.save(buffer, format="png", compress_level=4)
    return buffer.getvalue()


def _draw(figure: Chart | Matrix) -> MatplotlibFigure:
    return _draw_chart(figure) if isinstance(figure, Chart) else _draw_matrix(figure)


def _draw_chart(chart: Chart) -> MatplotlibFigure:
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = new_figure(4.2)
    axes = figure.add_subplot()
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.grid(visible=True, color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=8, color="#999999", labelcolor=INK)
    if chart.x_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if chart.y_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if chart.percent:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    bars = [series for series in chart.series if series.kind == "bars"]
    for place, series in enumerate(bars):
        _draw_bars(axes, series, place, len(bars))
    for series in chart.series:
        if series.kind != "bars":
            _draw_series(axes, series)
    for mark in chart.marks:
        axes.axvline(mark.x, color=COLORS["vermillion"], linestyle="--", linewidth=1.2, label=mark.label)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    if len(chart.series) > 1 or chart.marks:
        handles, names = axes.get_legend_handles_labels()  # matplotlib puts bars last
        order = [series.name for series in chart.series] + [mark.label for mark in chart.marks]
        axes.legend(handles=[handles[names.index(name)] for name in order if name in names])
    return figure


def _draw_bars(axes: Axes, series: Series, place: int, count: int) -> None:
    """Draw bars; those of `count` series at the same x stand side by side, these at `place`."""
    width = 0.9 * min((b - a for a, b in pairwise(sorted(set(series.x)))), default=1.0) / count
    x = [centre + (place - (count - 1) / 2) * width for centre in series.x]
    y = [value if value is not None and isfinite(value) else 0.0 for value in series.y]
    axes.bar(x, y, width=width, color=COLORS[series.color], alpha=0.75, label=series.name)
    _draw_whiskers(axes, x, series, INK)


def _intervals(x: Sequence[float], series: Series) -> list[tuple[float, float, float]]:
    """Return where each interval of a series stands, and its ends; `x`: where the series' values do."""
    given = zip(x, series.low, series.high, strict=True) if series.low else ()
    return [
        (at, low, high)
        for at, low, high in given
        if low is not None and high is not None and isfinite(low) and isfinite(high)
    ]


def _draw_whiskers(axes: Axes, x: Sequence[float], series: Series, color: str) -> None:
    """Draw the intervals of bars or points that stand at `x`."""
    if ends := _intervals(x, series):
        at, low, high = zip(*ends, strict=True)
        axes.vlines(at, low, high, color=color, linewidth=1.2)


def _draw_series(axes: Axes, series: Series) -> None:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None and isfinite(y)]
    x, y = [x for x, _ in points], [y for _, y in points]
    style: dict[str, Any] = {"color": COLORS[series.color], "label": series.name}
    if series.pale:
        style |= {"alpha": 0.4, "linewidth": 0.8}
    line = "" if series.kind == "points" else "--" if series.dashed else "-"
    marker = "o" if series.kind == "points" or (len(x) <= FEW and not series.dashed) else ""
    axes.plot(x, y, linestyle=line, marker=marker, markersize=4, **style)
    if series.kind == "points":
        _draw_whiskers(axes, series.x, series, COLORS[series.color])
    elif ends := _intervals(series.x, series):
        at, low, high = zip(*ends, strict=True)
        axes.fill_between(at, low, high, color=COLORS[series.color], alpha=0.18, linewidth=0)


def _draw_matrix(matrix: Matrix) -> MatplotlibFigure:
    from matplotlib.colors import PowerNorm

    share = matrix.counts / matrix.counts.sum(axis=1, keepdims=True).clip(1)
    figure = new_figure(8.0)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    axes.set(title=matrix.title, xlabel="predicted class", ylabel="true class")
    axes.spines[:].set_visible(False)
    _name_classes(axes, matrix.classes)
    if len(matrix.classes) <= ANNOTATED:
        _annotate(axes, matrix.counts, share)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(lambda part, _: f"{100 * part:.0f} %")
    bar.set_label("share of the true class")
    bar.ax.tick_params(labelsize=8)
    return figure


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    shown = range(0, len(classes), -(-len(classes) // NAMED))
    names = [shorten(classes[i], 18) for i in shown]
    few = len(classes) <= ANNOTATED
    axes.set_xticks(list(shown), names, rotation=45 if few else 90, fontsize=9 if few else 6.5)
    axes.set_yticks(list(shown), names, fontsize=9 if few else 6.5)
    if few:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)


def _annotate(axes: Axes, counts: npt.NDArray[Any], share: npt.NDArray[Any]) -> None:
    """Write each count into its cell, in the colour that reads on it, and its share below; zeros stay empty."""
    few = len(counts) <= WITH_SHARES
    style: dict[str, Any] = {"ha": "center", "fontsize": 9 if few else 6.5}
    for row, column in zip(*counts.nonzero(), strict=True):
        color = "white" if share[row, column] > 0.35 else INK
        axes.text(column, row, f"{counts[row, column]}", va="bottom" if few else "center", color=color, **style)
        if few:
            rate = f"{100 * share[row, column]:.1f} %"
            axes.text(column, row + 0.08, rate, ha="center", va="top", color=color, fontsize=6.5)
