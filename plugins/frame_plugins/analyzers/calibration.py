"""Whether the model knows when it is right: top-k accuracy, calibration, confidence of right and wrong answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from frame import (
    AnalysisRun,
    AnalyzerComponent,
    AnalyzerResult,
    Chart,
    Color,
    Component,
    Series,
    Table,
    hookimpl,
    wilson_interval,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from frame import Predictions

    Floats = npt.NDArray[np.float64]

TITLE = "Calibration"
TOP = (1, 3, 5)


@dataclass(frozen=True)
class Bins:
    """Confidence in bins of one width: centres, counts, accuracy and mean confidence; NaN for the last two if empty."""

    centres: Floats
    counts: npt.NDArray[np.int64]
    accuracy: Floats
    confidence: Floats

    @property
    def error(self) -> float:
        """The expected calibration error: mean distance of accuracy and confidence, weighted by the bins' counts."""
        import numpy as np

        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


class Calibration(AnalyzerComponent):
    """Top-k accuracy; how far the confidence can be believed (reliability diagram, ECE, Brier score, NLL).

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
    """

    bins: int = Field(15, ge=2, le=100)
    """Number of bins of the confidence, from 0 to 1."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from sklearn.metrics import brier_score_loss

        predictions = run.predictions
        bins = split_by_confidence(predictions, self.bins)
        classes = range(run.data.info.num_classes)
        scores = {
            **{f"top-{k} accuracy": accuracy for k, accuracy in top_accuracies(predictions).items()},
            "expected calibration error": bins.error,
            "Brier score": float(
                brier_score_loss(predictions.targets, predictions.probabilities, labels=classes, scale_by_half=False)
            ),
            "negative log-likelihood": float(predictions.losses.mean(dtype=float)),
            "mean confidence": float(predictions.confidence.mean(dtype=float)),
        }
        charts = (reliability(predictions, bins), histograms(predictions, self.bins))
        return AnalyzerResult(TITLE, figures=charts, tables=(score_table(scores), bin_table(bins)), scalars=scores)


def top_accuracies(predictions: Predictions) -> dict[int, float]:
    """Return the share of images whose class is among the k of the highest logits, for each k below the classes."""
    from sklearn.metrics import top_k_accuracy_score

    classes = predictions.logits.shape[1]
    more = {
        k: float(top_k_accuracy_score(predictions.targets, predictions.logits, k=k, labels=range(classes)))
        for k in TOP[1:]
        if k < classes
    }
    return {1: predictions.accuracy, **more}


def split_by_confidence(predictions: Predictions, count: int) -> Bins:
    """Return accuracy and mean confidence in `count` bins ((m - 1) / count, m / count], as in the source."""
    import numpy as np
    from sklearn.calibration import calibration_curve

    confidence = predictions.confidence.astype(float).clip(0, 1)
    accuracy, mean = calibration_curve(predictions.correct.astype(int), confidence, pos_label=1, n_bins=count)
    edges = np.linspace(0, 1, count + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=count)
    filled = np.full((2, count), np.nan)
    filled[:, counts > 0] = accuracy, mean  # scikit-learn leaves the empty ones out
    return Bins((edges[:-1] + edges[1:]) / 2, counts, filled[0], filled[1])


def reliability(predictions: Predictions, bins: Bins) -> Chart:
    """Return the reliability diagram, and say which way the model errs and what to do about it."""
    confidence, accuracy = float(predictions.confidence.mean(dtype=float)), predictions.accuracy
    too = "too sure of itself" if confidence > accuracy else "less sure than it could be"
    caption = (
        "Accuracy of the answers given with each confidence. Bars below their points: too confident; above: too "
        f"cautious. On the whole the model is {too} (mean confidence {100 * confidence:.1f} %, accuracy "
        f"{100 * accuracy:.1f} %); the expected calibration error is {100 * bins.error:.1f} %. Where the confidence is "
        "used, scale the logits by a temperature fitted to validation images; label smoothing and mixup in training "
        "help too. The lines on the bars are 95 % intervals (Wilson): they are long where a bin has few images."
    )
    x = (100 * bins.centres).tolist()
    low, high = zip(*map(sure, bins.accuracy, bins.counts), strict=True)
    series = [
        Series("accuracy", x, bins.accuracy.tolist(), "blue", kind="bars", low=low, high=high),
        Series("mean confidence", x, bins.confidence.tolist(), "orange", kind="points"),
        Series("perfectly calibrated", [0, 100], [0, 1], "grey", dashed=True),
    ]
    name = "reliability"
    return Chart(
        name, "Reliability diagram", "confidence (%)", "accuracy (%)", series, caption, percent=True, y_range=(0, 1)
    )


def sure(accuracy: float, count: int) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a bin's accuracy, none for an empty bin."""
    return wilson_interval(round(accuracy * count), int(count)) if count else (None, None)


def histograms(predictions: Predictions, count: int) -> Chart:
    """Return how the confidence of right and of wrong answers is spread, each as shares of its kind."""
    import numpy as np

    kinds: dict[str, tuple[Color, npt.NDArray[np.bool_]]] = {
        "right": ("blue", predictions.correct),
        "wrong": ("vermillion", ~predictions.correct),
    }
    series = []
    for name, (color, kind) in kinds.items():
        counts, edges = np.histogram(predictions.confidence[kind].clip(0, 1), count, (0, 1))
        if counts.sum():
            x = (50 * (edges[:-1] + edges[1:])).tolist()
            shares = (counts / counts.sum()).tolist()
            series.append(Series(f"{name} ({counts.sum():,})", x, shares, color, kind="bars"))
    caption = (
        "How sure the model was of its right and of its wrong answers: the share of each kind by confidence. The "
        "further apart the two, the better a threshold on the confidence sorts out mistakes; wrong answers on the "
        "far right are mistakes that no threshold finds."
    )
    y_label = "share of each kind (%)"
    title = "Confidence of right and wrong answers"
    return Chart("confidence", title, "confidence (%)", y_label, series, caption, percent=True)


def score_table(scores: dict[str, float]) -> Table:
    """Return the scores, a row each."""
    caption = (
        "Top-k: the share of images whose class is among the k likeliest. Expected calibration error: how far, on "
        "average, accuracy is from confidence (0 is best). Brier score: squared error of all probabilities, summed "
        "over the classes (0 to 2, 0 is best). Negative log-likelihood: the cross-entropy, in nats (0 is best)."
    )
    rows = [(name, round(value, 4)) for name, value in scores.items()]
    return Table("scores", "Scores", ("score", "value"), rows, caption)


def bin_table(bins: Bins) -> Table:
    """Return the filled bins, a row each."""
    half = 0.5 / len(bins.centres)
    values = zip(bins.centres, bins.counts, bins.accuracy, bins.confidence, strict=True)
    rows = [
        (
            f"{100 * (centre - half):.1f} to {100 * (centre + half):.1f} %",
            int(count),
            round(float(accuracy), 4),
            round(float(mean), 4),
        )
        for centre, count, accuracy, mean in values
        if count
    ]
    columns = ("confidence", "images", "accuracy", "mean confidence")
    caption = "Bins without an image are left out."
    return Table("reliability", "Bins of the reliability diagram", columns, rows, caption, percent=columns[2:])


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"calibration": Calibration}
