"""The house style: how figures are drawn, for everybody who makes pictures for the report.

Figures are plain `matplotlib.figure.Figure` objects; neither pyplot nor the backend is touched. Colours are Okabe and
Ito's, which readers with a colour vision deficiency can tell apart (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
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
RIGHT = COLORS["blue"]
"""Colour of what belongs to a right prediction; the text beside it says the same."""
WRONG = COLORS["vermillion"]
"""Colour of what belongs to a wrong one."""
WIDTH = 9.0
"""Inches. At 200 dpi that is 1800 pixels: sharp when shown at half of it, where 9 pt text is 12 pixels high."""
DPI = 200

FONT = "DejaVu Sans"
"""It comes with matplotlib, and has Latin, Greek, Cyrillic, Arabic and Hebrew letters, and many signs."""
OTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil",
    "Noto Sans Telugu", "Noto Sans Thai", "Noto Sans Ethiopic", "Nirmala UI", "Leelawadee UI", "Arial Unicode MS",
    "Noto Sans Symbols 2", "Noto Emoji", "Symbola", "Segoe UI Symbol", "Segoe UI Emoji", "Unifont",
)  # fmt: skip
"""Fonts of Linux, macOS and Windows for what that one lacks; a letter is taken from the first that has it."""

STYLE: dict[str, Any] = {
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

    A letter that no installed font has is a box, without a warning: names of classes are in the page itself too. Texts
    are shown as they are, without mathtext: the names of classes may be anything. A logarithmic axis needs a formatter
    that does without it too, as `axes.xaxis.set_major_formatter("{x:g}")`.
    """
    import matplotlib.style

    with (
        warnings.catch_warnings(),
        _without_notes_on_fonts(),
        matplotlib.style.context(["default", STYLE | {"font.family": _fonts()}]),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@contextmanager
def _without_notes_on_fonts() -> Iterator[None]:
    """Keep matplotlib from saying, on standard error, that a font has no bold letters."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@cache
def _fonts() -> list[str]:
    """Return the fonts that texts are written in: the style's own, then those of others that this machine has."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return [FONT, *(name for name in OTHER_FONTS if name in installed)]


def new_figure(height: float, width: float = WIDTH) -> MatplotlibFigure:
    """Return an empty figure of width x height inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.05, hspace=0.03)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
