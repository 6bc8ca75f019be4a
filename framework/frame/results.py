"""What LR finders and analyzers hand over: data, which the run folder, the report and every tracker render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .data import Image

Cell = str | int | float | None


@dataclass(frozen=True)
class Picture:
    """A figure to look at: a matplotlib figure, or PNG bytes made by another tool.

    name: the file's name without its ending. caption: what it shows and how to read it; also its alt text.
    """

    name: str
    title: str
    image: Figure | bytes
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table: saved as CSV, shown in the report."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class LabelledImage:
    """One test image with what the model made of it. `image` is (H, W, C) uint8, `index` its number in the split."""

    image: Image
    index: int
    target: str
    predicted: str
    confidence: float
    loss: float
    source: str = ""


@dataclass(frozen=True)
class AnalyzerResult:
    """What an analyzer found. `notes` say what could not be shown and what to do about it."""

    title: str
    pictures: tuple[Picture, ...] = ()
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
