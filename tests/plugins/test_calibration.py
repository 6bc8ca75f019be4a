from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from fakes.analysis_run import make_run, predictions_of, random_split
from fakes.pictures import render
from frame import Chart, Series, Split, wilson_interval
from frame_plugins.analyzers.calibration import Calibration


def run_with(probabilities, targets):
    """A run whose model gave these probabilities, (N, classes), to images of these classes."""
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    names = [f"class {c}" for c in range(probabilities.shape[1])]
    test = Split(random_split(len(targets), size=4).images, targets)
    return make_run(classes=names, test=test, predictions=predictions_of(np.log(probabilities + 1e-12), targets))


def series(chart):
    return {line.name: line for line in chart.series}


def noisy(count=2000, classes=10):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, classes, count)
    logits = 2 * rng.normal(size=(count, classes)) + 4 * np.eye(classes)[targets]
    probabilities = np.exp(logits)
    return run_with(probabilities / probabilities.sum(1, keepdims=True), targets)


def test_scores_of_a_known_case():
    # 100 answers at 90 %, of which 80 are right, and 100 at 60 %, of which 60 are.
    probabilities = [[0.9, 0.1]] * 100 + [[0.6, 0.4]] * 100
    targets = [0] * 80 + [1] * 20 + [0] * 60 + [1] * 40
    result = Calibration(bins=10).build(run_with(probabilities, targets))
    scores = result.scalars
    assert scores["expected calibration error"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.0, abs=1e-6)
    assert scores["top-1 accuracy"] == pytest.approx(0.7)
    assert scores["mean confidence"] == pytest.approx(0.75)
    errors = (np.array(probabilities) - np.eye(2)[targets]) ** 2
    assert scores["Brier score"] == pytest.approx(errors.sum(1).mean(), abs=1e-6)
    assert scores["negative log-likelihood"] == pytest.approx(log_loss(targets, probabilities), abs=1e-6)
    assert "top-3 accuracy" not in scores  # there are two classes
    bars = series(result.figures[0])["accuracy"]
    filled = {round(x): y for x, y in zip(bars.x, bars.y, strict=True) if np.isfinite(y)}
    assert filled == pytest.approx({55: 0.6, 85: 0.8})  # 0.6 belongs to (0.5, 0.6]
    at = [round(x) for x in bars.x].index(85)
    assert (bars.low[at], bars.high[at]) == wilson_interval(80, 100)
    assert bars.low[0] is None  # no image is there
    assert [row[1:] for row in result.tables[1].rows] == [(100, 0.6, 0.6), (100, 0.8, 0.9)]
    assert "too sure of itself" in result.figures[0].caption


def test_top_k_counts_images_whose_class_is_among_the_k_likeliest():
    ranks = [0, 0, 1, 2, 3, 4, 5, 6]  # of the right class
    probabilities = [np.roll([0.3, 0.2, 0.15, 0.12, 0.1, 0.07, 0.06], -rank) for rank in ranks]
    scores = Calibration().build(run_with(probabilities, [0] * 8)).scalars
    assert [scores[f"top-{k} accuracy"] for k in (1, 3, 5)] == [2 / 8, 4 / 8, 6 / 8]


@pytest.mark.slow  # importing torchmetrics takes 7 s
def test_the_calibration_error_is_that_of_torchmetrics():
    from torchmetrics.functional.classification import multiclass_calibration_error

    run = noisy()
    probabilities, targets = run.predictions.probabilities, run.predictions.targets
    expected = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(targets), 10, n_bins=15)
    assert expected > 0.02
    assert Calibration().build(run).scalars["expected calibration error"] == pytest.approx(float(expected), abs=1e-6)


def test_a_model_hotter_than_it_should_be_is_overconfident_and_a_colder_one_cautious():
    run = noisy()

    def scaled(factor):
        logits = run.predictions.logits * factor
        return Calibration().build(replace(run, predictions=predictions_of(logits, run.predictions.targets)))

    best = min((scaled(factor) for factor in (0.8, 1.0, 1.2)), key=lambda r: r.scalars["expected calibration error"])
    sharp, flat = scaled(4), scaled(0.25)
    assert sharp.scalars["expected calibration error"] > 2 * best.scalars["expected calibration error"]
    assert "too sure of itself" in sharp.figures[0].caption
    assert "less sure than it could be" in flat.figures[0].caption
    assert sharp.scalars["top-1 accuracy"] == flat.scalars["top-1 accuracy"]


def test_histograms_are_shares_of_the_right_and_of_the_wrong_answers():
    run = noisy()
    result = Calibration(bins=20).build(run)
    right, wrong = result.figures[1].series
    hits = int(run.predictions.correct.sum())
    assert (right.name, wrong.name) == (f"right ({hits:,})", f"wrong ({2000 - hits:,})")
    assert sum(right.y) == pytest.approx(1)
    assert sum(wrong.y) == pytest.approx(1)
    assert right.y[-1] == pytest.approx((run.predictions.confidence[run.predictions.correct] >= 0.95).mean())
    assert right.x[-1] == pytest.approx(97.5)
    assert np.average(right.x, weights=right.y) > np.average(wrong.x, weights=wrong.y)


def test_the_bars_of_right_and_wrong_answers_stand_side_by_side():
    right, wrong = (
        Series(name, [25, 75], [0.5, 0.5], color, "bars") for name, color in (("r", "blue"), ("w", "orange"))
    )
    both = render(Chart("both", "Both", "confidence (%)", "share (%)", [right, wrong], "The shares of both kinds."))
    row = both[len(both) // 2].astype(int)
    colours = [(row[:, 2] - row[:, 0] > 60), (row[:, 0] - row[:, 2] > 60)]  # bluish, orange
    places = [np.flatnonzero(np.diff(colour.astype(int)) == 1) for colour in colours]
    assert [len(starts) for starts in places] == [2, 2]
    assert (places[0] < places[1]).all()
    widths = [int(colour.sum()) for colour in colours]
    assert widths[0] == pytest.approx(widths[1], rel=0.03)  # neither covers the other


def test_answers_that_are_all_right_and_all_certain():
    result = Calibration().build(run_with(np.eye(4)[[0, 1, 2, 3]], [0, 1, 2, 3]))
    assert result.scalars["expected calibration error"] == pytest.approx(0, abs=1e-6)
    assert result.scalars["top-3 accuracy"] == 1
    assert [line.name for line in result.figures[1].series] == ["right (4)"]


def test_classes_that_the_test_set_lacks():
    result = Calibration().build(run_with([[0.5, 0.2, 0.1, 0.2]] * 3, [0, 0, 1]))
    assert result.scalars["top-1 accuracy"] == pytest.approx(2 / 3)
    assert np.isfinite(list(result.scalars.values())).all()
