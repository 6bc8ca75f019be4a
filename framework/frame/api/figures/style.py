"""The house style: how figures are drawn, for everybody who makes pictures for the report.

Figures are plain `matplotlib.figure.Figure` objects; neither pyplot nor the backend is touched. Colours are Okabe and
Ito's, which readers with a colour vision deficiency can tell apart (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..results import Color

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

COLORS: dict[Color, str] = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#666666",
}
INK = "#222222"
"""Colour of texts."""
RIGHT, WRONG = COLORS["blue"], COLORS["vermillion"]
"""Colours of a right and of a wrong prediction; the text beside them says the same."""
WIDTH = 9.0
"""Inches. At 200 dpi that is 1800 pixels: sharp when shown at half of it, where 9 pt text is 12 pixels high."""
DPI = 200

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a `$` in the name of a class is a dollar
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Make figures inside of this; a user's own matplotlib settings neither change them nor are changed.

    Texts are shown as they are, without mathtext: the names of classes may be anything. A logarithmic axis needs a
    formatter that does without it too, as `axes.xaxis.set_major_formatter("{x:g}")`.
    """
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]):
        yield


def new_figure(height: float, width: float = WIDTH) -> MatplotlibFigure:
    """Return an empty figure of width x height inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.05, hspace=0.03)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
