"""What LR finders and analyzers hand over: data, which the run folder, the report and every tracker render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure as MatplotlibFigure

    from .data import Image

Cell = str | int | float | None
Color = Literal["blue", "orange", "green", "vermillion", "purple", "sky", "grey"]
"""The house colours, which readers with a colour vision deficiency can tell apart (`frame.figures.COLORS`)."""
PLAIN_NAME = r"[\w-][\w.-]*"
"""What a name that a file or folder is called by may be: it stays in its folder, and is not hidden."""


@dataclass(frozen=True)
class Thumbnail:
    """One test image in the report, small: select it, and its page opens.

    index: its number; the image is among the result's `images`. note: what stands below it, beside its classes. maps:
    which of its heat maps are shown beside it, by name. group: what it has in common with those before and after it; it
    stands above them.
    """

    index: int
    note: str = ""
    maps: Sequence[str] = ()
    group: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure to look at: a matplotlib figure, or PNG bytes made by another tool.

    name: the file's name without its ending: letters, digits, `_`, `-`, `.`. caption: what it shows and how to read it;
    also its alt text. thumbnails: the test images in it, in their order; the report shows these in the picture's place.
    """

    name: str
    title: str
    image: MatplotlibFigure | bytes
    caption: str = ""
    thumbnails: Sequence[Thumbnail] = ()


@dataclass(frozen=True)
class Series:
    """One line of a chart: x and y of one length; a y that is None or not finite is a gap, a point needs a finite x.

    pale: drawn thin and faint, for the raw values behind a mean. Bars are centred on their x. low, high: an interval
    around each y, such as a confidence interval or what several runs span, of the same length as y: a band along a
    line, a whisker on a bar or point.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    color: Color = "blue"
    kind: Literal["line", "points", "bars"] = "line"
    dashed: bool = False
    pale: bool = False
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x`, with its meaning in words."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Curves, points or bars as data: interactive in the report, a PNG everywhere else.

    x_label, y_label: with their units. percent: y is a share in [0, 1] and is shown in percent. y_range: where the
    values alone would choose badly. caption: what it shows and how to read it; also its alt text.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    caption: str = ""
    x_log: bool = False
    y_log: bool = False
    percent: bool = False
    y_range: tuple[float, float] | None = None
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, (true classes, predicted classes) in numbers: in the report its cells lead to images."""

    name: str
    title: str
    classes: Sequence[str]
    counts: npt.NDArray[np.int64]
    caption: str = ""


Figure: TypeAlias = Picture | Chart | Matrix


@dataclass(frozen=True)
class Table:
    """A table: saved as CSV, shown in the report.

    percent: the columns whose numbers are shares, in [0, 1]; the report shows them in percent. A column called `value`
    is written as scalars are, by what stands in front of it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    percent: Sequence[str] = ()


@dataclass(frozen=True)
class LabelledImage:
    """One test image with what the model made of it. `image` is (H, W, C) uint8, `index` its number in the split.

    heats: maps over the image by name, (h, w) float in [0, 1] each, such as a layer's class activation map. The report
    gathers what all analyzers show of one image on that image's page.
    """

    image: Image
    index: int
    target: str
    predicted: str
    confidence: float
    loss: float
    source: str = ""
    heats: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class AnalyzerResult:
    """What an analyzer found, its figures in the order to show them.

    images: browsable in the report, by class, confidence and right or wrong. notes: what could not be shown and what to
    do about it.
    """

    title: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    images: tuple[LabelledImage, ...] = ()
    scalars: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LRFinding:
    """A learning-rate range test. lrs, losses: one of each per step, the losses smoothed.

    suggestion: the learning rate chosen by `rule`, which is said in words.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float
    rule: str
