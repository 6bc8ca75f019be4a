"""The test images on which runs disagree, with the answer of each: those whose pictures an analyzer of a run kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...rundir.jsonfile import read_json
from ...rundir.results import Result
from ..gather import RESULT_BYTES
from ..images import BUDGET, Archives, small_picture
from ..shapes import Damaged
from .parts import unlike
from .side import Graded, Side


def changed_answers(sides: Sequence[Side], damaged: Damaged) -> dict[str, Any] | None:
    """Return what the gallery of changed answers shows, None where no two runs answered the same test set.

    Of several test sets it is the one that most runs have. runs: who they are; only, other: for each pair of them, how
    many images the first alone has right, and how many both have wrong in different ways; images: those on which any
    two differ and whose picture there is, the greatest change of belief first. damaged: gets what could not be read.
    """
    known = _alike(sides)
    if len(known) < 2:
        return None
    right = np.stack([graded.right for _, graded in known])  # (runs, N)
    predicted = np.stack([graded.predicted for _, graded in known])
    belief = np.stack([graded.belief for _, graded in known])
    differ = np.flatnonzero((predicted != predicted[0]).any(0))
    order = differ[np.argsort(belief[:, differ].min(0) - belief[:, differ].max(0), kind="stable")]
    places = range(len(known))
    return {
        "runs": [side.letter for side, _ in known],
        "without": [side.letter for side in sides if all(side is not other for other, _ in known)],
        "only": [[int((right[i] & ~right[j]).sum()) for j in places] for i in places],
        "other": [[_otherwise(right, predicted, i, j) for j in places] for i in places],
        "changed": len(differ),
        "images": [_entry(picture, index, known) for index, picture in _pictures(known, order.tolist(), damaged)],
    }


def _otherwise(right: np.ndarray, predicted: np.ndarray, i: int, j: int) -> int:
    return int((~right[i] & ~right[j] & (predicted[i] != predicted[j])).sum())


def _alike(sides: Sequence[Side]) -> list[tuple[Side, Graded]]:
    """Return the runs with predictions on one test set, and these; of several test sets the one that most have."""
    known = [(side, side.predictions) for side in sides if side.predictions is not None]
    sets: list[list[tuple[Side, Graded]]] = []
    for side, graded in known:
        fitting = (one for one in sets if unlike(one[0][1], graded) is None)
        one = next(fitting, None)
        if one is None:
            sets.append([(side, graded)])
        else:
            one.append((side, graded))
    return max(sets, key=len, default=[])


def _pictures(
    known: Sequence[tuple[Side, Graded]], wanted: Sequence[int], damaged: Damaged
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbers of images and their pictures, in the order wanted, as many as fit on a page."""
    places: dict[int, tuple[int, str, str]] = {}  # number -> whose run, which analyzer, which file
    for place, (side, _) in enumerate(known):
        for path in sorted(side.folder.analysis.glob("*/result.json")):
            result: Result = damaged.without({}, read_json, path, Result, RESULT_BYTES)
            for image in result.get("images", ()):
                places.setdefault(image["index"], (place, path.parent.name, image["file"]))
    spent = 0
    with ExitStack() as stack:
        archives = [stack.enter_context(Archives(side.folder.analysis)) for side, _ in known]
        for index in wanted:
            place, name, file = places.get(index, (0, "", ""))
            if not name or spent > BUDGET or name in archives[place].broken:
                continue
            if (found := damaged.without(None, archives[place].read, name, file)) is not None:
                picture = small_picture(found)
                spent += len(picture["src"])
                yield index, picture


def _entry(picture: dict[str, Any], index: int, known: Sequence[tuple[Side, Graded]]) -> dict[str, Any]:
    """Return an image as the page has it. answers: of each run, the class and its probability."""
    first = known[0][1]
    answers = [(g.classes[g.predicted[index]], round(float(g.confidence[index]), 4)) for _, g in known]
    return {"index": index, "target": first.classes[first.targets[index]], "answers": answers, **picture}
