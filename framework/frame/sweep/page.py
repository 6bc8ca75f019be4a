"""sweep.html: what a sweep came to, on one page, made from its folder and those of its runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from ..api.contracts import is_epoch
from ..api.ranking import number
from ..api.results import Chart, Series
from ..errors import UserError, shown
from ..report import render
from ..report.comparison.parts import COLORS
from ..report.recipe import annotated, read_recipe, without_secrets
from ..report.shapes import Damaged
from ..rundir.files import write_text
from ..rundir.folder import RunDir, open_run
from ..rundir.history import checked_lines
from ..rundir.jsonfile import read_json
from ..rundir.record import Record as RunRecord
from .axes import height, short, ticks
from .importance import importance
from .record import Record, Trial
from .spec import Dimension

CURVES = 6
"""The best trials, whose curves are drawn."""


def write_page(folder: Path) -> tuple[Path, list[str]]:
    """Write (or write again) the page of a sweep's folder; return where it is, and what is damaged and left out of it.

    Raises UserError where there is no sweep, or its sweep.json is damaged.
    """
    if not (folder / "sweep.json").is_file():
        raise UserError(f"{folder} is no sweep: it has no sweep.json")
    page = folder / "sweep.html"
    values = gather(folder, read_json(folder / "sweep.json", Record))
    write_text(page, render("sweep.html.j2", values))
    return page, list(values["damaged"])


def gather(folder: Path, record: Record) -> dict[str, Any]:
    """Return everything that the page shows."""
    damaged, best = Damaged(), record.best
    runs = {trial.number: damaged.without({}, _run, trial) for trial in record.trials if trial.run}
    recipe = damaged.without(None, read_recipe, RunDir(Path(best.run)).recipe) if best and best.run else None
    shares, reason = importance(record)
    charts = [chart for chart in (_curves(record, damaged), *_each_key(record)) if chart]
    figures = [{"kind": "chart", "id": chart.name, **asdict(chart)} for chart in charts]
    page = {
        "name": folder.resolve().name,
        "folder": shown(folder),
        "sweep": record.sweep,
        "metric": record.metric,
        "mode": record.mode,
        "best": best,
        "states": Counter(trial.state for trial in record.trials),
        "trials": [_row(folder, trial, runs.get(trial.number, {})) for trial in record.ranked],
        "keys": list(record.space),
        "shares": shares,
        "no_importance": reason,
        "swept": {key: short(value) for key, value in best.point.items()} if best else {},
        "recipe": annotated(recipe, {"swept": list(record.space)}) if recipe else [],
        "median": _median(record),
        "seconds": sum(run.get("seconds") or 0 for run in runs.values()),
        "damaged": damaged,
        "curves": figures[:1] if charts and charts[0].name == "curves" else [],
        "each": [figure for figure in figures if figure["id"] != "curves"],
        "data": {
            "charts": {figure["id"]: figure for figure in figures},
            "images": [],
            "classes": [],
            "parallel": parallel(record),
        },
    }
    return without_secrets(recipe, page) if recipe else page


def _run(trial: Trial) -> dict[str, Any]:
    path = Path(trial.run or "")
    return dict(read_json(open_run(path).record, RunRecord)) if path.is_dir() else {}


def _row(folder: Path, trial: Trial, run: dict[str, Any]) -> dict[str, Any]:
    """Return a trial as a row of the table. link: from the page to its report, where it has one."""
    report = RunDir(Path(trial.run)).report if trial.run else None
    there = report is not None and report.is_file()
    return {
        **trial.model_dump(),
        "values": [short(value) for value in trial.point.values()],
        "accuracy": run.get("test_accuracy"),
        "seconds": run.get("seconds"),
        "id": Path(trial.run).name if trial.run else "",
        "link": quote(os.path.relpath(str(report), folder)) if there else "",
    }


def _median(record: Record) -> float | None:
    values = [trial.value or 0.0 for trial in _valued(record)]
    return median(values) if values else None


def parallel(record: Record) -> dict[str, Any]:
    """Return parallel coordinates: an axis for each key and one for the metric, a line for each trial with a value.

    The greatest value comes first. at: heights on the axes, 0 to 1; rank: 0 for the worst trial, 1 for the best.
    """
    trials, best = _valued(record), record.best
    if not trials:
        return {"axes": [], "lines": []}
    values = [trial.value or 0.0 for trial in trials]
    low, high = min(values), max(values)
    axes = [{"name": key, "ticks": ticks(dimension)} for key, dimension in record.space.items()]
    ends = [low, high] if low < high else [low]
    lines = []
    for place, (trial, value) in enumerate(zip(trials, values, strict=True)):
        heights = [height(dimension, trial.point[key]) for key, dimension in record.space.items()]
        lines.append(
            {
                "trial": trial.number,
                "best": trial is best,
                "at": [round(at, 4) for at in (*heights, _part(value, low, high))],
                "values": [short(each) for each in trial.point.values()],
                "value": value,
                "rank": round(1 - place / max(len(trials) - 1, 1), 3),
            }
        )
    return {
        "axes": [*axes, {"name": record.metric, "ends": [[end, _part(end, low, high)] for end in ends]}],
        "lines": lines,
        "percent": record.metric.endswith("/acc"),
    }


def _valued(record: Record) -> list[Trial]:
    """Return the trials with a result, the best value first."""
    return [trial for trial in record.ranked if trial.has_result]


def _part(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _curves(record: Record, damaged: Damaged) -> Chart | None:
    """Return the metric over the epochs, of the best trials."""
    series, percent = [], record.metric.endswith("/acc")
    for trial, color in zip(_valued(record)[:CURVES], COLORS, strict=False):
        lines = damaged.without([], checked_lines, RunDir(Path(trial.run or "")).metrics)
        known = [(line["epoch"], number(line.get(record.metric))) for line in lines if is_epoch(line)]
        if known:
            x, y = zip(*known, strict=True)
            series.append(Series(f"trial {trial.number}", x, y, color, kind="line" if len(x) > 1 else "points"))
    best = "The best trial" if len(series) == 1 else f"The {len(series)} best trials"
    caption = f"{best} of {len(record.trials)}, at the end of each epoch."
    unit = f"{record.metric} (%)" if percent else record.metric
    chart = Chart("curves", "The best trials' curves", "epoch", unit, series, caption, percent=percent)
    return chart if series else None


def _each_key(record: Record) -> list[Chart]:
    """Return for each key the metric over its values, a point for each trial, the best one marked."""
    best = record.best
    return [_one_key(record, best, place, key) for place, key in enumerate(record.space)] if best else []


def _one_key(record: Record, best: Trial, place: int, key: str) -> Chart:
    dimension, percent, valued = record.space[key], record.metric.endswith("/acc"), _valued(record)
    x, names = _positions(dimension, [trial.point[key] for trial in (best, *valued)])
    series = [
        Series("trials", x[1:], [trial.value for trial in valued], "blue", kind="points"),
        Series(f"best: trial {best.number}", x[:1], [best.value], "vermillion", kind="points"),
    ]
    unit = f"{record.metric} (%)" if percent else record.metric
    log = dimension.kind == "loguniform"
    return Chart(f"key-{place}", key, key, unit, series, names, x_log=log, percent=percent)


def _positions(dimension: Dimension, values: Sequence[Any]) -> tuple[list[float], str]:
    """Return where values stand on the axis of a chart, and what its numbers mean where they are not the values."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in dimension.bounds):
        return [float(value) for value in values], ""
    choices = list(dimension.choice or ())
    said = ", ".join(f"{place}: {short(choice)}" for place, choice in enumerate(choices, start=1))
    return [float(choices.index(value) + 1) for value in values], f"{said}."
