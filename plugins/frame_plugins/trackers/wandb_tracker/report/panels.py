"""A report's panels, which W&B draws from what the runs logged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from wandb_workspaces.reports.v2 import interface as wr  # `v2` itself hides its names from type checkers

from ..charts import CLASSES, own_curves
from .runs import ReportedRun, metrics, read
from .sweeps import Sweep

WIDTH = 24
"""Columns of a panel grid."""
ACCURACY = "test_accuracy"
"""The summary's key of the test accuracy."""
PREDICTIONS = "predictions"
"""The key of the table of predictions."""
MOST_RUNS = 100
"""Runs that a chart shows at most; W&B's own choice is 10."""


@dataclass(frozen=True)
class Curve:
    """A line plot. metrics: those of them that no run logged are left out. says: what to look for in it."""

    title: str
    x: str
    metrics: Sequence[str]
    says: str
    log: bool = False


CURVES = (
    Curve("Loss", "epoch", ("train/loss", "val/loss", "test/loss"),
          "falls and levels off. A training loss that falls on while the other rises is overfitting."),
    Curve("Accuracy", "epoch", ("train/acc", "val/acc", "test/acc"),
          "with augmentation, the training's may well lie below the other."),
    Curve("Learning rate", "trainer/step", ("lr",), "the rate that each step took; read it beside the loss."),
    Curve("Momentum", "trainer/step", ("momentum",), "one cycle moves it against the learning rate."),
    Curve("Gradient norm", "trainer/step", ("train/grad_norm",),
          "before clipping, on a log scale. Level is healthy; growth by orders of magnitude comes before divergence.",
          log=True),
    Curve("Throughput, images/s", "trainer/step", ("perf/images_per_s",),
          "training images a second; dips are other work on the machine."),
)  # fmt: skip


def curves(runs: Sequence[ReportedRun], *, banded: bool = False) -> tuple[list[wr.LinePlot], list[str]]:
    """Return line plots, two in a row, and what to look for in each.

    banded: runs of a group are one line, their mean, with a band of one standard deviation.
    """
    logged = set().union(*(metrics(run.folder) for run in runs))
    shown = [(curve, y) for curve in CURVES if (y := [key for key in curve.metrics if key in logged])]
    band: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"} if banded else {}
    plots = [
        wr.LinePlot(
            title=curve.title,
            x=curve.x,
            y=list[wr.MetricType](y),
            title_x="epoch" if curve.x == "epoch" else "optimizer step",
            log_y=True if curve.log else None,
            max_runs_to_show=min(len(runs), MOST_RUNS),
            layout=_half(place),
            **band,
        )
        for place, (curve, y) in enumerate(shown)
    ]
    return plots, [f"{curve.title}: {curve.says}" for curve, _ in shown]


def bars(title: str, key: str, count: int, *, grouped: bool = False) -> wr.BarPlot:
    """Return a bar for each run, or group of runs, of a number of the summary."""
    return wr.BarPlot(
        title=title,
        metrics=[key],
        orientation="h",
        max_runs_to_show=min(count, MOST_RUNS),
        max_bars_to_show=min(count, MOST_RUNS),
        groupby_aggfunc="mean" if grouped else None,
        groupby_rangefunc="stddev" if grouped else None,
        layout=wr.Layout(w=WIDTH, h=8),
    )


def parallel(sweep: Sweep, key: str) -> wr.ParallelCoordinatesPlot:
    """Return an axis for each key of the sweep's space that is one value, and for the metric. key: the summary's."""
    columns = [
        wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=setting, log="loguniform" in takes or None)
        for setting, takes in sweep.space.items()
        if (name := _axis(setting, takes))
    ]
    columns.append(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(key), display_name=sweep.metric))
    title = f"{sweep.name}: a line for each trial"
    return wr.ParallelCoordinatesPlot(columns=columns, title=title, layout=wr.Layout(w=WIDTH, h=10))


def _axis(setting: str, takes: Mapping[str, Any]) -> str | None:
    """Return the config's key that stands for a setting on an axis: of a component its name, of a list nothing."""
    values = takes.get("choice") or ()
    if any(isinstance(value, list) for value in values):
        return None
    return f"{setting}.use" if any(isinstance(value, Mapping) for value in values) else setting


def importance(key: str) -> wr.ParameterImportancePlot:
    """Return how much each setting says about a number of the summary, as W&B finds it over the runs."""
    return wr.ParameterImportancePlot(with_respect_to=key, layout=wr.Layout(y=10, w=WIDTH, h=10))


def summary_key(metric: str, *, last: bool) -> str:
    """Return the summary's key of a metric's best value, or last one; `tracker.define_metrics` says which there are."""
    kind = metric.rpartition("/")[2]
    best = {"acc": "max", "loss": "min"}.get(kind)
    return f"{metric}.{'last' if last else best}" if best else metric


def comparer(*, several: bool) -> wr.RunComparer:
    """Return the runs' settings and summaries side by side; of several runs, those that differ."""
    return wr.RunComparer(diff_only=True if several else None, layout=wr.Layout(w=WIDTH, h=10))


def media(runs: Sequence[ReportedRun]) -> list[wr.MediaBrowser]:
    """Return a browser for each analyzer's pictures, in the order of the recipe."""
    keys: dict[str, dict[str, None]] = {}
    titles = {}
    for run in runs:
        drawn = own_curves(yaml.safe_load((run.folder / "recipe.resolved.yaml").read_text()))
        results = ((path.parent.name, read(path)) for path in run.folder.glob("analysis/*/result.json"))
        for name, result in sorted(results, key=lambda found: found[1]["order"]):
            sent = [each for each in result.get("figures", ()) if _is_picture(each, of_curves=name in drawn)]
            keys.setdefault(name, {}).update(dict.fromkeys(f"{name}/{Path(each['file']).stem}" for each in sent))
            titles[name] = result["title"]
    shown = [(titles[name], list(of)) for name, of in keys.items() if of]
    return [
        wr.MediaBrowser(title=title, media_keys=of, num_columns=2, layout=wr.Layout(y=12 * i, w=WIDTH, h=12))
        for i, (title, of) in enumerate(shown)
    ]


def predictions(runs: Collection[ReportedRun]) -> list[wr.WeavePanelSummaryTable]:
    """Return the table of predictions, if a run has one."""
    if not any((run.folder / "predictions.safetensors").is_file() for run in runs):
        return []
    return [wr.WeavePanelSummaryTable(table_name=PREDICTIONS, layout=wr.Layout(w=WIDTH, h=14))]


def _is_picture(figure: Mapping[str, Any], *, of_curves: bool) -> bool:
    """Whether the tracker sent a figure as a picture; `charts.is_picture` says the same of the figure itself."""
    native = figure["kind"] == "matrix" and len(figure["classes"]) <= CLASSES
    return not native and not (of_curves and figure["kind"] == "chart")


def _half(place: int) -> wr.Layout:
    """Return the place of a panel that shares its row with another."""
    return wr.Layout(x=place % 2 * WIDTH // 2, y=place // 2 * 8, w=WIDTH // 2, h=8)
