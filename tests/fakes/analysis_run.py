"""A small AnalysisRun made by hand: frame.testing's, with what the analyzers' tests change in it."""

import numpy as np

from frame import LRFinding
from frame.testing import TinyNet, analysis_run
from frame.testing.examples import CLASSES, epoch_lines, fake_predictions, predictions_of, random_split

__all__ = ["CLASSES", "TinyNet", "epoch_lines", "fake_predictions", "make_run", "predictions_of", "random_split"]


def make_run(
    mistakes=40,
    count=100,
    channels=3,
    size=16,
    classes=CLASSES,
    metrics=None,
    train=None,
    test=None,
    predictions=None,
    **changes,
):
    """Return a run with `mistakes` wrong answers on `count` test images, or on those given."""
    train = train or random_split(count, size, channels, classes, seed=1)
    test = test or random_split(count, size, channels, classes, seed=2)
    predictions = predictions or fake_predictions(test.targets, mistakes, len(classes))
    history = {} if metrics is None else {"metrics": metrics}
    return analysis_run(train=train, test=test, predictions=predictions, classes=classes, **history, **changes)


def range_test(steps=100):
    """A range test whose loss falls to its lowest at 0.01 and then explodes."""
    lrs = np.geomspace(1e-6, 1, steps)
    x = np.log10(lrs)
    losses = 2.3 - 0.9 / (1 + np.exp(-2.5 * (x + 3.3))) + np.exp(2.4 * (x + 1.2))
    return LRFinding(tuple(lrs), tuple(losses), 4.6e-4, "steepest descent")
