"""Callbacks, trackers and analyzers that each break one promise."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

import frame
from frame import AnalyzerResult, Callback, Chart, Picture, Series, Table


def callback(**methods):
    return lambda self, run: type("Mine", (Callback,), methods)()


class Stops(Callback):
    """Ends the run after three epochs, if it is not interrupted."""

    def __init__(self, run):
        self.run, self.epochs = run, 0

    def on_epoch_end(self, metrics):
        self.epochs += 1
        if self.epochs == 3:
            self.run.stop("enough")


CALLBACKS = [
    ("builds", "lacks state_dict, load_state_dict(): derive it from frame.Callback", lambda self, run: SimpleNamespace(on_run_start=print)),
    ("builds", "raised KeyError: 'f1'", callback(on_epoch_end=lambda self, metrics: metrics["f1"])),
    ("leaves_the_models_mode_alone", "Mine.on_epoch_start changes the train or eval mode", lambda self, run: type("Mine", (Callback,), {"on_epoch_start": lambda self: run.model.train(not run.model.training)})()),
    ("its_state_comes_back", "return all that it remembers from state_dict()", lambda self, run: Stops(run)),
    ("its_state_comes_back", "state['best'] is a numpy.float64; a state holds tensors and plain values only", callback(state_dict=lambda self: {"best": np.float64(1)})),
    ("leaves_the_global_generators_alone", "the global generator of numpy", callback(on_step_end=lambda self: np.random.rand())),
]  # fmt: skip


def tracker(**methods):
    nothing = dict.fromkeys(("log", "log_result", "finish"), lambda self, *arguments: None)
    return lambda self, run: type("Mine", (), nothing | methods)()


def online(self, metrics, epoch, step):
    import urllib.request

    urllib.request.urlopen("https://example.org", timeout=1)


TRACKERS = [
    ("builds", "no network: example.org", tracker(log=online)),
    ("builds", "log_result() of Broken raised AttributeError", tracker(log_result=lambda self, name, result: result.html)),
    ("builds", "leaves stray.txt in the working folder: write into run.folder only", tracker(log=lambda self, *row: Path("stray.txt").touch())),
    ("builds", "lacks finish()", lambda self, run: SimpleNamespace(log=print, log_result=print)),
    ("survives_a_run_that_failed_early", "finish('failed') of Broken raised KeyError", tracker(finish=lambda self, status: {"finished": 0}[status])),
    ("leaves_the_environment_alone", "leaves environment variables changed: MY_TRACKER", tracker(log=lambda self, *row: os.environ.update(MY_TRACKER="1"))),
    ("leaves_the_global_generators_alone", "the global generator of python", tracker(log=lambda self, *row: random.random())),
]  # fmt: skip


def shows(**parts):
    return lambda self, run: AnalyzerResult(**{"title": "Broken", **parts})


def chart(**changes):
    values = {"name": "c", "title": "C", "x_label": "x", "y_label": "y", "series": (), "caption": "A chart."}
    return shows(figures=(Chart(**values | changes),))


def divides(count):
    """Return an analyzer that divides by something of the run."""
    return lambda self, run: AnalyzerResult("Broken", scalars={"x": 1 // count(run)})


def retrains(self, run):
    run.model.train()(run.evaluation_inputs([0, 1]))
    return AnalyzerResult("Broken")


def stays_in_training(self, run):
    run.model.head.train()
    return AnalyzerResult("Broken")


def not_declared(self, run):
    return AnalyzerResult("Broken", scalars={"x": float(run.model(run.evaluation_inputs([0])).sum())})


def correct(run):
    return int(run.predictions.correct.sum())


NEEDS: dict[str, Any] = {"needs_model": True, "__annotations__": {"needs_model": ClassVar[bool]}}

ANALYZERS = [
    ("builds", "returned dict, no AnalyzerResult", lambda self, run: {}),
    ("builds", "set `needs_model = True` on its class", not_declared),
    ("same_seed_same_outcome", "take random numbers from what `build` is given", shows_random := lambda self, run: AnalyzerResult("Broken", scalars={"x": np.random.rand()})),
    ("leaves_the_global_generators_alone", "the global generator of numpy", shows_random),
    ("its_figures_render", "the result has no title", shows(title=" ")),
    ("its_figures_render", "figure 'p' of Broken holds no PNG", shows(figures=(Picture("p", "P", b"GIF", "A picture."),))),
    ("its_figures_render", "has no caption: say how to read it", chart(caption="")),
    ("its_figures_render", "'a/b' is no file's name", chart(name="a/b")),
    ("its_figures_render", "two figures are called p", shows(figures=(Picture("p", "P", b"", "A."), Picture("p", "P", b"", "B.")))),
    ("its_figures_render", "has a thumbnail of image 7, which is not in", shows(figures=(Picture("p", "P", b"", "A.", [frame.Thumbnail(7)]),))),
    ("its_figures_render", "has an axis without a label", chart(y_label="")),
    ("its_figures_render", "2 x and 1 y in 's': one of each per point", chart(series=(Series("s", (1, 2), (1,)),))),
    ("its_figures_render", "two series of one name", chart(series=(Series("s", (1,), (1,)), Series("s", (1,), (2,))))),
    ("its_figures_render", "1 cells in row 0 and 2 columns", shows(tables=(Table("t", "T", ("a", "b"), ((1,),)),))),
    ("its_figures_render", "has a int64 in row 0: take str, int, float or None", shows(tables=(Table("t", "T", ("a",), ((np.int64(1),),)),))),
    ("its_figures_render", "2 low, 0 high ends in 's'", chart(series=(Series("s", (1, 2), (1, 2), low=(0, 1)),))),
    ("its_figures_render", "scalar 'x' is nan: leave out what is no finite number", shows(scalars={"x": float("nan")})),
    ("its_figures_render", "image 0 is float64 (4, 4): make it (H, W, 1 or 3) uint8", shows(images=(frame.LabelledImage(np.zeros((4, 4)), 0, "a", "b", 1.0, 0.0),))),
    ("can_do_with_right_answers_only", "say in `notes` what cannot be shown", divides(lambda run: len(run.predictions.targets) - correct(run))),
    ("can_do_with_wrong_answers_only", "a run that got everything wrong raised ZeroDivisionError", divides(correct)),
    ("can_do_with_few_grey_images", "a run on three grey images raised ZeroDivisionError", divides(lambda run: len(run.predictions.targets) // 10)),
    ("can_do_without_history", "without LR finder and schedule raised", divides(lambda run: len(run.lr_finding.lrs))),
]  # fmt: skip
