"""What a report says: of one run, of one recipe with several seeds, of several runs, of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from wandb_workspaces.reports.v2 import interface as wr

from frame import shorten

from . import panels, tables
from .comparing import Comparable, Repeats, comparable, differences, percent, repeats
from .runs import ReportedRun
from .sweeps import Sweep

PREDICTED = (
    "A selection of test images, those that the analyzers chose: filter and sort them by class, confidence or loss."
)
SEVERAL_DATA = "Results on different data, or by different metrics, are not compared: each has its own section below."
NAME = 80
"""Characters of a set of runs' name at most."""
OPTIMISTIC = " It was chosen by the test set, which flatters it: `data.validation` makes the number an honest one."
BANDS = "A line is the mean over the seeds, its band one standard deviation."


@dataclass(frozen=True)
class Site:
    """Where the runs are at W&B. urls: of the runs' pages; artifacts: Markdown links by kind; both by the runs' ids."""

    entity: str
    project: str
    urls: Mapping[str, str]
    artifacts: Mapping[str, Mapping[str, str]]
    view: str | None = None
    """The address of the saved view of these runs."""

    def runset(self, runs: Sequence[ReportedRun], name: str = "runs", *, grouped: bool = False) -> wr.Runset:
        """Return a set of runs for panels. grouped: they are one line, or bar.

        With its project named, it makes sure that the project is there: `Report.save` would make a new one.
        """
        by = ["config.name"] if grouped else []
        filters = f"Metric('ID') in {[run.id for run in runs]}"
        return wr.Runset(entity=self.entity, project=self.project, name=name, filters=filters, groupby=by)


@dataclass(frozen=True)
class Shape:
    """A report's title, and what it is made of."""

    title: str
    blocks: Sequence[Any]


def shape(runs: Sequence[ReportedRun], sweep: Sweep | None, site: Site) -> Shape:
    """Return the report that fits the runs."""
    if sweep:
        return _of_sweep(sweep, runs, site)
    if len(runs) == 1:
        return _of_one(runs[0], site)
    if len(repeats(runs)) == 1:
        return _of_repeats(Repeats(runs), site)
    return _of_several(runs, site)


def _of_one(run: ReportedRun, site: Site) -> Shape:
    head = f"This run is {run.record.get('state', 'unknown')}"
    if run.accuracy is not None:
        head = f"{percent(run.accuracy)} test accuracy"
    table = wr.MarkdownBlock(tables.of_runs([run], site.urls))
    blocks = [*_head(head, site), wr.H2("Results"), table, *_rest([run], [site.runset([run])], site)]
    return Shape(f"{run.name} {run.folder.name}", blocks)


def _of_repeats(one: Repeats, site: Site) -> Shape:
    runs, count = one.runs, len(one.accuracies)
    heads = (f"None of {len(runs)} seeds has finished yet", f"{one.spread} test accuracy with 1 of {len(runs)} seeds")
    head = heads[count] if count < 2 else f"{one.spread} test accuracy: mean and standard deviation of {count} seeds"
    runset = site.runset(runs, "all seeds", grouped=True)
    blocks = [
        *_head(head, site),
        wr.H2("Results"),
        wr.P("One recipe, run with several seeds: how far the results lie apart is chance."),
        wr.MarkdownBlock(tables.of_repeats([one])),
        wr.MarkdownBlock(tables.of_runs(runs, site.urls)),
        _grid([site.runset(runs)], [panels.bars("Test accuracy of each seed", panels.ACCURACY, len(runs))]),
        *_rest(runs, [runset], site, banded=True),
    ]
    return Shape(f"{runs[0].name}: {len(runs)} seeds", blocks)


def _of_several(runs: Sequence[ReportedRun], site: Site) -> Shape:
    sets, alike = comparable(runs), repeats(runs)
    banded = len(alike) < len(runs)
    runsets = [site.runset(runs)]
    if banded:
        runsets = [site.runset(one.runs, name, grouped=True) for one, name in zip(alike, _names(alike), strict=True)]
    head, says = _best(sets[0]), []
    if len(sets) > 1:
        head, says = f"{len(runs)} runs on different data, or by different metrics", [wr.P(SEVERAL_DATA)]
    results = [block for each in sets for block in _compared(each, site)]
    names = ", ".join(dict.fromkeys(run.name for run in runs))
    blocks = [*_head(head, site), *says, *results, *_rest(runs, runsets, site, banded=banded)]
    return Shape(f"{names}: {len(runs)} runs", blocks)


def _of_test_set(metric: str) -> bool:
    """Whether who chooses by this metric looks at the test set."""
    return metric.startswith("test/")


def _best(one: Comparable) -> str:
    """Name the best of runs that may be compared."""
    if (best := one.best) is None:
        return "No run has a result yet"
    accuracy = "" if best.accuracy is None else f": {percent(best.accuracy)} test accuracy"
    if len(one.runs) == 1:
        return f"One run on {best.data}{accuracy}"
    return f"Best of {len(one.runs)} runs on {best.data} by {best.metric}{accuracy}"


def _compared(one: Comparable, site: Site) -> list[Any]:
    """Return a section about runs that may be compared, its heading first."""
    alike = repeats(one.runs)
    blocks: list[Any] = [
        wr.H2(f"Results on {one}"),
        wr.P(f"{_best(one)}.{OPTIMISTIC * (len(one.runs) > 1 and _of_test_set(one.runs[0].metric))}"),
        wr.MarkdownBlock(tables.of_runs(one.runs, site.urls)),
    ]
    if len(alike) < len(one.runs):
        blocks += [wr.P("Over the seeds of each recipe:"), wr.MarkdownBlock(tables.of_repeats(alike))]
    bars = panels.bars(f"Test accuracy on {one.runs[0].data}", panels.ACCURACY, len(one.runs))
    return [*blocks, _grid([site.runset(one.runs)], [bars])]


def _of_sweep(sweep: Sweep, runs: Sequence[ReportedRun], site: Site) -> Shape:
    best = sweep.best_run(runs)
    key = panels.summary_key(sweep.metric, last=bool(best and best.keeps_last))
    goal = "more" if sweep.mode == "max" else "less"
    runset, shown = site.runset(runs, "trials"), [best] if best else runs
    blocks = [
        *_head(sweep.headline(), site),
        wr.H2("Trials"),
        wr.P(f"Method {sweep.method}; {goal} of {sweep.metric} is better.{OPTIMISTIC * _of_test_set(sweep.metric)}"),
        wr.MarkdownBlock(sweep.table()),
        wr.H2("What matters"),
        wr.P(
            "In the upper panel follow the lines that end where the metric is best: where they lie close together on "
            "an axis, that setting matters. The lower one says how much each setting tells about the metric, and in "
            "which direction; with few trials that is little more than chance."
        ),
        _grid([runset], [panels.parallel(sweep, key), panels.importance(key)]),
        wr.H2("Results"),
        _grid([runset], [panels.bars(f"{sweep.metric} of each trial", key, len(runs))]),
        *_rest(runs, [runset], site, shown=shown),
    ]
    return Shape(f"Sweep {sweep.name}: {len(sweep.trials)} trials", blocks)


def _head(headline: str, site: Site) -> list[Any]:
    blocks: list[Any] = [wr.H1(headline), wr.TableOfContents()]
    if site.view:
        blocks.append(wr.MarkdownBlock(f"[These runs in a saved view of the project's workspace]({site.view})"))
    return blocks


def _rest(
    runs: Sequence[ReportedRun], runsets: Sequence[wr.Runset], site: Site, *, banded: bool = False,
    shown: Sequence[ReportedRun] | None = None,
) -> list[Any]:  # fmt: skip
    """Return what every report has. shown: the runs whose pictures and recipe are shown; all of them without it."""
    shown = shown or runs
    plots, says = panels.curves(runs, banded=banded)
    blocks: list[Any] = [wr.H2("Curves"), *([wr.P(BANDS)] if banded else []), *_list(says), _grid(runsets, plots)]
    several = len(runs) > 1
    blocks += [
        wr.H2("Comparison" if several else "Settings and summary"),
        *([wr.P("What differs between the runs, in their settings and in what they came to.")] if several else []),
        _grid([site.runset(runs)], [panels.comparer(several=several)]),
    ]
    if media := panels.media(shown):
        blocks += [wr.H2("What the analyzers found"), _grid([site.runset(shown)], media)]
    if table := panels.predictions(shown):
        blocks += [wr.H2("Predictions on the test set"), wr.P(PREDICTED), _grid([site.runset(shown)], table)]
    return [*blocks, *_artifacts(runs, site), *_setup(runs, shown[0])]


def _artifacts(runs: Sequence[ReportedRun], site: Site) -> list[Any]:
    """Return links to what the runs took and left, as far as W&B was asked for it."""
    known = [run for run in runs if site.artifacts.get(run.id)]
    if not known:
        return []
    kinds = list(dict.fromkeys(kind for run in known for kind in site.artifacts[run.id]))
    rows = [[run.folder.name, *(site.artifacts[run.id].get(kind, "") for kind in kinds)] for run in known]
    says = "Data that a run took, and what it left; each has its lineage at W&B."
    if len(known) < len(runs):
        says += f" Of {len(known)} of the {len(runs)} runs."
    return [wr.H2("Artifacts"), wr.P(says), wr.MarkdownBlock(tables.markdown(("run", *kinds), rows))]


def _setup(runs: Sequence[ReportedRun], told: ReportedRun) -> list[Any]:
    text = "The recipe, with every value that was used:"
    if len(runs) > 1:
        text = f"The recipe of {told.folder.name}; where the others differ from it is compared above:"
    recipe = wr.CodeBlock(yaml.safe_dump(dict(told.recipe), sort_keys=False, allow_unicode=True), language="yaml")
    return [wr.H2("Setup"), wr.MarkdownBlock(tables.of_setup(runs)), wr.P(text), recipe]


def _names(sets: Sequence[Repeats]) -> list[str]:
    """Return a name for each set of repeats: the recipe's, and the settings that tell it from others of that name."""
    apart = differences([one.runs[0] for one in sets])
    names = [": ".join(filter(None, (one.runs[0].name, settings))) for one, settings in zip(sets, apart, strict=True)]
    return [shorten(name, NAME) for name in names]


def _grid(runsets: Sequence[wr.Runset], shown: Sequence[Any]) -> wr.PanelGrid:
    return wr.PanelGrid(runsets=list(runsets), panels=list(shown))


def _list(lines: Sequence[str]) -> list[Any]:
    return [wr.UnorderedList(items=list(lines))] if lines else []
