"""What is compared: recipes, metrics, curves, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

from ...api.ranking import Mode, best_of, mode_of, number
from ...api.results import Chart, Color, Series
from ..shapes import metric_names
from .mcnemar import mcnemar
from .side import Graded, Side

Unit = Literal["percent", "number", "count", "seconds"]
COLORS: tuple[Color, ...] = ("blue", "orange", "green", "purple", "vermillion", "sky", "grey")
PLAIN = 4
"""So many colours are told apart at a glance; curves from there on are dashed as well."""
SETS = {"train": "Training", "val": "Validation", "test": "Test"}
MEASURES = {"acc": ("accuracy", "accuracy (%)"), "loss": ("loss", "loss")}

OTHER_DATA = "the targets are the same and the data's checksums are not: make sure that the test images are"


@dataclass(frozen=True)
class Row:
    """One value of each run, None where it has none. best: the places of the best, none where that has no meaning."""

    name: str
    unit: Unit
    values: list[float | None]
    best: list[int]


def recipe_differences(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """Return the keys in which the recipes differ: `set` says which runs have the key, `values` what they set it to.

    A run without a recipe does not count.
    """
    known = [side for side in sides if side.recipe]
    keys = dict.fromkeys(key for side in known for key in side.recipe)
    sections = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    found = []
    for key in sorted(keys, key=lambda key: sections.index(key.partition(".")[0])):
        if len({(key in side.recipe, repr(side.recipe.get(key))) for side in known}) > 1:
            values = [side.recipe.get(key) for side in sides]
            found.append({"key": key, "set": [key in side.recipe for side in sides], "values": values})
    return found


def metrics(sides: Sequence[Side], same_data: bool) -> list[Row]:
    """Return the table of metrics. Best values are marked where all runs had the same images."""
    rows = [_row("test accuracy", [side.record.get("test_accuracy") for side in sides], "max", same_data)]
    bests = [side.record.get("best") for side in sides]
    for metric in dict.fromkeys(best["metric"] for best in bests if best):
        values = [best["value"] if best and best["metric"] == metric else None for best in bests]
        rows.append(_row(f"best {metric}", values, _aim(sides, metric), same_data))
    for metric in _names(sides):
        values = [side.epochs[-1].get(metric) if side.epochs else None for side in sides]
        rows.append(_row(f"{metric} in the last epoch", values, _aim(sides, metric), same_data))
    rows += [
        Row("epochs", "count", [len(side.epochs) for side in sides], []),
        Row("duration", "seconds", [side.record.get("seconds") for side in sides], []),
        Row("training", "seconds", [side.record.get("training_seconds") for side in sides], []),
    ]
    return [row for row in rows if any(value is not None for value in row.values)]


def _aim(sides: Sequence[Side], metric: str) -> Mode | None:
    """Tell whether `max` or `min` is best; None for training's values and for validation sets that differ."""
    part, _, measure = metric.partition("/")
    split = {(side.recipe.get("data.validation"), side.recipe.get("seed")) for side in sides if side.recipe}
    if part == "train" or (part == "val" and len(split) > 1):
        return None
    return mode_of(metric) if measure in MEASURES else None


def _row(name: str, values: Sequence[Any], aim: Mode | None, same_data: bool) -> Row:
    finite = [_finite(value) for value in values]
    best: list[int] = []
    if aim and same_data and len({*finite} - {None}) > 1:
        top = best_of(finite, lambda value: value, aim)
        best = [place for place, value in enumerate(finite) if value == top]
    percent = name.endswith("accuracy") or "/acc" in name
    return Row(name, "percent" if percent else "number", finite, best)


def _finite(value: Any) -> float | None:
    """Return a number with six digits that count; None for what is none, or is not finite."""
    known = number(value) if isinstance(value, int | float) else None
    return None if known is None else float(f"{known:.6g}")


def _names(sides: Sequence[Side]) -> list[str]:
    """Return the metrics of the epochs: test or validation set first, the training last."""
    names = dict.fromkeys(name for side in sides for name in metric_names(side.epochs))
    return sorted(names, key=lambda name: name.startswith("train/"))


def curves(sides: Sequence[Side]) -> list[Chart]:
    """Return a chart for each metric, over the epochs: a line for each run that has it."""
    charts = [_chart(sides, metric) for metric in _names(sides)]
    rates = _chart(sides, "lr")
    return [*charts, rates] if rates.series else charts


def _chart(sides: Sequence[Side], metric: str) -> Chart:
    title, unit = ("Learning rate", "learning rate") if metric == "lr" else (metric, metric)
    part, _, measure = metric.partition("/")
    if part in SETS and measure in MEASURES:
        title, unit = f"{SETS[part]} {MEASURES[measure][0]}", MEASURES[measure][1]
    series = [one for place, side in enumerate(sides) if (one := _series(place, side, metric))]
    missing = [side.letter for side in sides if side.name not in {each.name for each in series}]
    caption = "At the end of each epoch." + (f" {' and '.join(missing)} did not write it." if missing else "")
    percent = measure == "acc"
    return Chart(metric.replace("/", "_"), title, "epoch", unit, series, caption, percent=percent)


def _series(place: int, side: Side, metric: str) -> Series | None:
    """Return the curve of the run at this place among the others, None if it has no such metric."""
    pairs = [(_finite(line["epoch"]), _finite(line.get(metric))) for line in side.epochs]
    x, y = [x for x, y in pairs if x and y is not None], [y for x, y in pairs if x and y is not None]
    if not x:
        return None
    kind: Literal["line", "points"] = "points" if len(x) == 1 else "line"
    return Series(side.name, x, y, color(place), kind=kind, dashed=place >= PLAIN)


def color(place: int) -> Color:
    """Return the colour of the run at this place among the others."""
    return COLORS[place % len(COLORS)]


def tests(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """Return McNemar's test of each pair of runs, or why there is none."""
    pairs = combinations(sides, 2)
    return [{"first": first.letter, "second": second.letter, **_test(first, second)} for first, second in pairs]


def _test(first: Side, second: Side) -> dict[str, Any]:
    one, two = first.predictions, second.predictions
    if one is None or two is None:
        without = [side.letter for side in (first, second) if side.predictions is None]
        return {"refused": f"no predictions of {' and '.join(without)}"}
    if reason := unlike(one, two):
        return {"refused": f"the test sets differ: {reason}"}
    note = OTHER_DATA if _other_data([first, second]) else None
    return {"images": len(one.targets), **asdict(mcnemar(one.right, two.right)), "note": note}


def unlike(one: Graded, two: Graded) -> str | None:
    """Say in what two test sets differ, None if they have the same targets."""
    if one.classes != two.classes:
        return "other classes"
    if len(one.targets) != len(two.targets):
        return f"{len(one.targets):,} and {len(two.targets):,} images"
    other = int((one.targets != two.targets).sum())
    return f"{other:,} of {len(one.targets):,} targets are not the same" if other else None


def same_images(sides: Sequence[Side]) -> bool:
    """Tell whether the runs' values are of the same test images, as far as data and predictions tell."""
    return not _other_data(sides) or not any("refused" in _test(*pair) for pair in combinations(sides, 2))


def _other_data(sides: Sequence[Side]) -> bool:
    return len({side.checksum for side in sides if side.checksum}) > 1
