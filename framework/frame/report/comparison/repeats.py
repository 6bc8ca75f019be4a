"""repeat.html: one recipe run several times, mean and spread, made from the folders of its runs."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ...api.ranking import number
from ...api.results import Chart, Series
from ...errors import UserError, shown
from ...rundir.files import write_text
from ...rundir.folder import RunDir, open_run, write_json
from ...rundir.jsonfile import read_json
from .. import render
from ..shapes import Damaged
from .changed import changed_answers
from .parts import Row, curves, metrics
from .side import Side, read_side

REPEAT = "repeat.json"
EACH = 8
"""Up to this many runs, the charts show each of them behind the mean."""


class Repeat(TypedDict):
    """repeat.json: the recipe's name, what its runs have as their `group`, and how many were planned."""

    name: str
    group: str
    runs: int


def repeat_folder(out: Path, repeat: Repeat) -> Path:
    """Return where a repeat's page lies: beside its runs."""
    return out / repeat["name"] / f"repeat-{repeat['group']}"


def write_repeat(out: Path, repeat: Repeat) -> Path | None:
    """Write a repeat's folder with what its runs have come to, and return its page; None where none has begun."""
    folder = repeat_folder(out, repeat)
    if not _beside(folder, repeat["group"]):
        return None
    folder.mkdir(exist_ok=True)
    write_json(folder / REPEAT, repeat)
    return write_repeat_page(folder)[0]


def write_repeat_page(folder: Path) -> tuple[Path, list[str]]:
    """Write (or write again) a repeat's page; return where it is, and what is damaged and left out of it.

    Raises UserError where repeat.json is damaged, or its runs are gone.
    """
    repeat: Repeat = read_json(folder / REPEAT, Repeat)
    values = gather(folder, repeat)
    page = folder / "repeat.html"
    write_text(page, render("repeat.html.j2", values))
    return page, list(values["damaged"])


def gather(folder: Path, repeat: Repeat) -> dict[str, Any]:
    """Return everything that the page shows."""
    runs = runs_of(folder, repeat["group"])
    damaged = Damaged()
    sides = [_by_seed(read_side(str(place), run, damaged)) for place, run in enumerate(runs, start=1)]
    called = {side.name: side.letter for side in sides}
    charts = [with_spread(chart, called) for chart in curves(sides) if chart.name != "lr"]
    figures = [{"kind": "chart", "id": chart.name, **asdict(chart)} for chart in charts]
    changed = changed_answers(sides, damaged)
    return {
        **repeat,
        "folder": shown(folder),
        "sides": [_row(folder, side) for side in sides],
        "states": Counter(side.state for side in sides),
        "accuracy": spread([side.record.get("test_accuracy") for side in sides]),
        "watched": any(side.record.get("watched") == "test" for side in sides),
        "split": any(side.recipe.get("data.validation") for side in sides),
        "rows": [_measured(row) for row in metrics(sides, same_data=False)],
        "curves": figures,
        "agreement": _agreement(sides),
        "changed": changed,
        "damaged": damaged,
        "data": {"charts": {each["id"]: each for each in figures}, "images": [], "classes": [], "answers": changed},
    }


def runs_of(folder: Path, group: str) -> list[RunDir]:
    """Return the runs of a repeat, which lie beside its folder. Raises UserError where none does."""
    if runs := _beside(folder, group):
        return runs
    raise UserError(f"{folder}: the runs of this repeat, which lie beside it, are gone")


def _beside(folder: Path, group: str) -> list[RunDir]:
    """Return the runs of a group that lie beside a folder, in their order."""
    found = []
    for path in sorted(folder.parent.glob("[!.]*/run.json")):
        run = open_run(path.parent)
        if run.read_record().get("group") == group:
            found.append(run)
    return found


def _by_seed(side: Side) -> Side:
    """Return a run that is called by its seed, where that is known."""
    return replace(side, letter=f"seed {side.recipe['seed']}" if "seed" in side.recipe else f"run {side.letter}")


def _row(folder: Path, side: Side) -> dict[str, Any]:
    report = side.folder.report
    link = quote(os.path.relpath(report, folder)) if report.is_file() else ""
    facts = {"seed": side.recipe.get("seed"), "state": side.state, "epochs": len(side.epochs), "link": link}
    return {**facts, "id": side.folder.run_id, "record": side.record}


def spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Return mean, standard deviation and extremes of the known values, None where there are none.

    interval: of the mean, 95 %, by Student's t; None, as the deviation, of one value.
    """
    known = [value for value in map(number, values) if value is not None]
    if not known:
        return None
    found: dict[str, Any] = {"n": len(known), "mean": mean(known), "lowest": min(known), "highest": max(known)}
    if len(known) == 1:
        return found | {"deviation": None, "interval": None}
    from scipy.stats import t

    deviation = stdev(known)
    half = float(t.ppf(0.975, len(known) - 1)) * deviation / len(known) ** 0.5
    return found | {"deviation": deviation, "interval": (found["mean"] - half, found["mean"] + half)}


def _measured(row: Row) -> dict[str, Any]:
    return {"name": row.name, "unit": row.unit, "spread": spread(row.values)}


def with_spread(chart: Chart, called: Mapping[str, str]) -> Chart:
    """Return a chart of runs as their mean with a standard deviation up and down, and the runs behind if they are few.

    called: what each line is called, by its name in the chart.
    """
    values: dict[float, list[float]] = defaultdict(list)
    for line in chart.series:
        for x, y in zip(line.x, line.y, strict=True):
            if y is not None:
                values[x].append(y)
    xs = sorted(values)
    means = [mean(values[x]) for x in xs]
    off = [stdev(values[x]) if len(values[x]) > 1 else 0.0 for x in xs]
    least, most = (0.0, 1.0) if chart.percent else (-inf, inf)
    low = [max(least, at - by) for at, by in zip(means, off, strict=True)]
    high = [min(most, at + by) for at, by in zip(means, off, strict=True)]
    runs = len(chart.series)
    kind: Literal["line", "points"] = "line" if len(xs) > 1 else "points"
    average = Series(f"mean of {runs} runs" if runs > 1 else "the run", xs, means, "blue", kind=kind)
    if runs == 1:
        return replace(chart, series=[average])
    each = [
        replace(line, name=called[line.name], color="grey", pale=True, dashed=False)
        for line in (chart.series if runs <= EACH else ())
    ]
    some = "; at the end, of those that went on" if len({len(values[x]) for x in xs}) > 1 else ""
    caption = f"Mean of the runs, with one standard deviation up and down{some}."
    return replace(chart, series=[*each, replace(average, low=low, high=high)], caption=caption)


def _agreement(sides: Sequence[Side]) -> dict[str, int] | None:
    """Return how many test images all runs have right, all have wrong, and only some; None for less than two runs."""
    graded = [side.predictions.right for side in sides if side.predictions is not None]
    if len(graded) < 2 or len({len(right) for right in graded}) > 1:
        return None
    votes = np.sum(graded, axis=0)
    every, none = int((votes == len(graded)).sum()), int((votes == 0).sum())
    return {"runs": len(graded), "every": every, "none": none, "some": len(graded[0]) - every - none}
