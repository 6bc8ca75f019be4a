"""result.json of an analyzer: what it found, with files in the place of pictures and images.

Charts, matrices and tables are those of `api.results`, each with its file. A file that is not as it was written is
refused when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field, NonNegativeInt, PlainValidator, StringConstraints, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.results import PLAIN_NAME, Chart, Matrix, Table, Thumbnail

File: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{PLAIN_NAME}$")]
"""A file in the folder of its result, and nowhere else."""
FINITE = ConfigDict(allow_inf_nan=False)

_rows = TypeAdapter(list[list[NonNegativeInt]])


def _counts(rows: Any) -> npt.NDArray[np.int64]:
    read = _rows.validate_python(rows)
    if any(len(row) != len(read) for row in read):
        raise ValueError(f"{len(read)} rows of counts are no matrix of {len(read)} by {len(read)}")
    return np.array(read, np.int64).reshape(len(read), len(read))


@with_config(FINITE)
@dataclass(frozen=True, kw_only=True)
class SavedChart(Chart):
    """A chart, and the file with its picture."""

    file: File
    kind: Literal["chart"] = "chart"

    def __post_init__(self) -> None:
        for line in self.series:
            if len(line.x) != len(line.y):
                raise ValueError(f"{len(line.x)} values of x, {len(line.y)} of y")
            if (len(line.low), len(line.high)) not in ((0, 0), (len(line.y), len(line.y))):
                raise ValueError(f"{len(line.low)} and {len(line.high)} ends of intervals, {len(line.y)} values of y")


@with_config(FINITE)
@dataclass(frozen=True, kw_only=True)
class SavedMatrix(Matrix):
    """A confusion matrix, and the file with its picture. Earlier versions wrote no name."""

    name: str = ""
    counts: Annotated[npt.NDArray[np.int64], PlainValidator(_counts)]
    file: File
    kind: Literal["matrix"] = "matrix"

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.classes):
            raise ValueError(f"counts of {len(self.counts)} classes, and {len(self.classes)} names")


@dataclass(frozen=True, kw_only=True)
class SavedPicture:
    """A picture is its file, and the test images that it shows. Earlier versions wrote none of these."""

    title: str
    caption: str
    file: File
    thumbnails: Sequence[Thumbnail] = ()
    kind: Literal["picture"] = "picture"


@with_config(FINITE)
@dataclass(frozen=True, kw_only=True)
class SavedTable(Table):
    """The first rows of a table, and the file that has all. Earlier versions wrote no name and all rows."""

    name: str = ""
    file: File
    rows_in_all: NonNegativeInt = 0


SavedFigure: TypeAlias = SavedChart | SavedMatrix | SavedPicture


class SavedImage(TypedDict):
    """A labelled image: its file and those of its heat maps in images.zip."""

    file: str
    index: NonNegativeInt
    target: str
    predicted: str
    confidence: float | None
    loss: float | None
    source: str
    heats: dict[str, str]


class Result(TypedDict):
    """result.json."""

    order: int
    title: str
    error: NotRequired[str]
    notes: NotRequired[list[str]]
    scalars: NotRequired[dict[str, float | None]]
    figures: NotRequired[list[Annotated[SavedFigure, Field(discriminator="kind")]]]
    tables: NotRequired[list[SavedTable]]
    images: NotRequired[list[SavedImage]]
