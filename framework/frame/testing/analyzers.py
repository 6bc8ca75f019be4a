"""The contract of analyzers: results that can be saved, drawn and read, whatever the model got right or wrong."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..analysis.analyze import save_result
from ..api.components import AnalyzerComponent, Component, HistoryAnalyzer
from ..api.contracts import AnalysisRun, RunHistory, SchedulePlan
from ..api.figures import png
from ..api.model_guard import untouched, withheld
from ..api.results import AnalyzerResult, Chart, Figure, LabelledImage, LRFinding, Matrix, Picture, Table
from .contract import ComponentContract
from .examples import analysis_run, data_info, epoch_lines, fake_predictions, random_split
from .guards import difference, doing, modes, require, weights

COUNT = 40
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class AnalyzerContract(ComponentContract):
    """What an analyzer promises: an AnalyzerResult for every run, whatever it has or lacks."""

    kind: ClassVar[type[Component]] = AnalyzerComponent
    image_shape: ClassVar[tuple[int, int, int]] = (16, 16, 3)

    def run(self, mistakes: int = 12, count: int = COUNT, channels: int | None = None) -> AnalysisRun:
        """Return a run to analyze: `mistakes` of `count` test images are answered wrongly."""
        size, _, own = self.image_shape
        classes = data_info(self.image_shape, self.classes).classes
        train, test = (random_split(count, size, channels or own, classes, seed) for seed in (1, 2))
        predictions = fake_predictions(test.targets, mistakes, len(classes))
        lrs = tuple(np.geomspace(1e-5, 1, 40).tolist())
        losses = tuple((2.3 - np.exp(-((np.log10(lrs) + 2) ** 2)) + np.square(lrs)).tolist())
        finding = LRFinding(lrs, losses, 1e-3, "steepest descent")
        plan = SchedulePlan((1.0, 2.0, 3.0, 4.0), (0.1, 0.2, 0.1, 0.0), (0.9, 0.8, 0.9, 0.95))
        timing = [{"kind": "epoch", "epoch": epoch, "step": 10 * epoch, "seconds": 1.5} for epoch in range(1, 5)]
        return analysis_run(
            train=train, test=test, predictions=predictions, classes=classes,
            lr_finding=finding, plan=plan, timing=timing,
        )  # fmt: skip

    def analyze(self, run: AnalysisRun | RunHistory) -> AnalyzerResult:
        """Build the result as the host does: the model in eval mode, and only for those that declare it."""
        component = self.ready()
        given: Any = run
        if isinstance(run, AnalysisRun) and not component.needs_model:
            hidden = withheld()
            given = replace(run, model=hidden, logits=hidden)
        guard = untouched(run.model) if isinstance(run, AnalysisRun) and component.needs_model else nullcontext()
        with guard:
            result = component.build(given)
        require(
            isinstance(result, AnalyzerResult), f"{self.name}.build returned {type(result).__name__}, no AnalyzerResult"
        )
        return result

    def outcome(self) -> Any:
        return self.analyze(self.run())

    def test_its_figures_render(self) -> None:
        result = self.analyze(self.run())
        check_result(self.name, result)
        for figure in result.figures:
            with doing(f"drawing the figure '{figure.name}' of {self.name}"):
                image = png(figure)
            require(image.startswith(b"\x89PNG"), f"the figure '{figure.name}' of {self.name} holds no PNG")

    def test_can_do_with_right_answers_only(self) -> None:
        self._survives(self.run(mistakes=0), "a run without a mistake")

    def test_can_do_with_wrong_answers_only(self) -> None:
        self._survives(self.run(mistakes=COUNT), "a run that got everything wrong")

    def test_can_do_with_few_grey_images(self) -> None:
        self._survives(self.run(mistakes=1, count=3, channels=1), "a run on three grey images")

    def test_can_do_without_history(self) -> None:
        """As in a run that has no LR finder and no schedule, after its first epoch."""
        run = replace(self.run(), metrics=epoch_lines(1), timing=(), lr_finding=None, plan=None)
        self._survives(run, "a run of one epoch, without LR finder and schedule")
        if issubclass(self._class(), HistoryAnalyzer):
            history = RunHistory(run.folder, run.metrics, run.timing, run.plan, run.lr_finding)
            self._survives(history, "a run in training")

    def test_leaves_the_model_as_it_was(self) -> None:
        if not self._class().needs_model:
            return
        run = self.run()
        before, mode = weights(run.model), modes(run.model)
        with doing(self.name):
            self.ready().build(run)
        where = difference(before, weights(run.model))
        message = "leave the model in eval mode, and work on a copy where weights must change"
        require(where is None, f"{self.name} changes the model's {where}: {message}")
        message = "changes the train or eval mode of the model: put it back, or take frame.untouched(model)"
        require(modes(run.model) == mode, f"{self.name} {message}")

    def _survives(self, run: AnalysisRun | RunHistory, what: str) -> None:
        with doing(f"{self.name} for {what}", "say in `notes` what cannot be shown, and return the rest"):
            result = self.analyze(run)
        check_result(self.name, result, what)


def check_result(owner: str, result: AnalyzerResult, what: str = "a run") -> None:
    """Check that a result can be saved and shown. Raises AssertionError that names `owner`."""
    where = f"{owner} for {what}"
    require(result.title.strip(), f"{where}: the result has no title")
    for kind, parts in (("figure", result.figures), ("table", result.tables)):
        _check_names(where, kind, [part.name for part in parts])
        untitled = [part.name for part in parts if not part.title.strip()]
        require(not untitled, f"{where}: {kind} {', '.join(untitled)} has no title")
    for figure in result.figures:
        require(figure.caption.strip(), f"{where}: figure '{figure.name}' has no caption: say how to read it")
        _check_figure(f"{where}: figure '{figure.name}'", figure)
        if isinstance(figure, Picture):
            _check_thumbnails(f"{where}: figure '{figure.name}'", figure, result)
    for table in result.tables:
        _check_table(f"{where}: table '{table.name}'", table)
    for image in result.images:
        _check_image(f"{where}: image {image.index}", image)
    for name, value in result.scalars.items():
        require(_is_number(value), f"{where}: scalar '{name}' is {value!r}: leave out what is no finite number")
    advice = "return plain values: str, int, float, and what frame's results are made of"
    with tempfile.TemporaryDirectory() as folder, doing(f"saving the result of {where}", advice):
        save_result(Path(folder), 0, result, draw=False)


def _check_thumbnails(where: str, picture: Picture, result: AnalyzerResult) -> None:
    maps = {image.index: image.heats for image in result.images}
    for each in picture.thumbnails:
        require(
            each.index in maps, f"{where} has a thumbnail of image {each.index}, which is not in the result's images"
        )
        lost = [name for name in each.maps if name not in maps[each.index]]
        require(not lost, f"{where}: image {each.index} has no heat map {', '.join(lost)}")


def _check_names(where: str, kind: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    require(not twice, f"{where}: two {kind}s are called {', '.join(twice)}: each is a file, give it a name of its own")
    bad = [name for name in names if not FILE_NAME.fullmatch(name)]
    message = "is no file's name: letters, digits, dots, dashes and underscores"
    require(not bad, f"{where}: the {kind} {', '.join(map(repr, bad))} {message}")


def _check_figure(where: str, figure: Figure) -> None:
    if isinstance(figure, Chart):
        labels = figure.x_label.strip() and figure.y_label.strip()
        require(labels, f"{where} has an axis without a label: name it, with its unit")
        for series in figure.series:
            found = f"{len(series.x)} x and {len(series.y)} y in '{series.name}'"
            require(len(series.x) == len(series.y), f"{where} has {found}: one of each per point")
            ends = (len(series.low), len(series.high))
            even = ends in ((0, 0), (len(series.y), len(series.y)))
            require(even, f"{where} has {ends[0]} low, {ends[1]} high ends in '{series.name}': one of each per point")
            require(all(map(_is_number, series.x)), f"{where} has an x in '{series.name}' that is no finite number")
        names = [series.name for series in figure.series]
        require(len(set(names)) == len(names), f"{where} has two series of one name: tell them apart")
    elif isinstance(figure, Matrix):
        size, shape = len(figure.classes), np.asarray(figure.counts).shape
        require(shape == (size, size), f"{where} has counts {shape} for {size} classes: make them (true, predicted)")
    else:
        known = isinstance(figure, Picture) and (isinstance(figure.image, bytes) or hasattr(figure.image, "savefig"))
        require(known, f"{where} is no Chart, no Matrix and no Picture of a matplotlib figure or of PNG bytes")


def _check_table(where: str, table: Table) -> None:
    width = len(table.columns)
    require(len(set(table.columns)) == width, f"{where} has two columns of one name")
    for number, row in enumerate(table.rows):
        require(len(row) == width, f"{where} has {len(row)} cells in row {number} and {width} columns")
        odd = [cell for cell in row if not (cell is None or isinstance(cell, str | int | float))]
        kinds = ", ".join(type(cell).__name__ for cell in odd)
        require(not odd, f"{where} has a {kinds} in row {number}: take str, int, float or None")


def _check_image(where: str, image: LabelledImage) -> None:
    pixels = image.image
    fits = (
        isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3)
    )
    require(fits, f"{where} is {getattr(pixels, 'dtype', '')} {getattr(pixels, 'shape', type(pixels).__name__)}: "
            "make it (H, W, 1 or 3) uint8")  # fmt: skip
    for name, heat in image.heats.items():
        inside = heat.ndim == 2 and bool(((heat >= 0) & (heat <= 1)).all())
        require(inside, f"{where}: heat map '{name}' is {heat.shape} of {heat.min():g} to {heat.max():g}: "
                "make it (h, w), within [0, 1]")  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and isfinite(value)
