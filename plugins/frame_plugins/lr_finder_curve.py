"""The curve of the learning-rate range test."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, LRFinding, Picture, hookimpl

from ._figures import BLUE, MUTED, VERMILLION, house_style, line_axes, new_figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

TITLE = "Learning-rate range test"


class LRFinderCurve(AnalyzerComponent):
    """Loss against learning rate as the LR finder measured it, with the suggestion marked.

    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186
    """

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        import numpy as np

        finding = run.lr_finding
        if finding is None:
            note = (
                "The run did not look for a learning rate: the recipe has no lr_finder, or no setting that says auto."
            )
            return AnalyzerResult(TITLE, notes=(note,))
        lrs, losses = np.array(finding.lrs), np.array(finding.losses)
        finite = np.isfinite(losses)
        lrs, losses = lrs[finite], losses[finite]
        scalars = {"suggestion": finding.suggestion}
        if not len(losses):
            return AnalyzerResult(TITLE, scalars=scalars, notes=("No learning rate gave a finite loss: no curve.",))
        scalars["lowest_loss_lr"] = float(lrs[losses.argmin()])
        caption = (
            f"Loss (smoothed) at rising learning rates. Suggested: {finding.suggestion:.3g} ({finding.rule}). "
            f"The loss was lowest at {scalars['lowest_loss_lr']:.3g}. Losses far above the start are cut off."
        )
        picture = Picture("lr_finder", TITLE, draw(finding, lrs, losses), caption)
        return AnalyzerResult(TITLE, pictures=(picture,), scalars=scalars)


def draw(finding: LRFinding, lrs: np.ndarray, losses: np.ndarray) -> Figure:
    """Draw the curve of finite losses; the scale shows the descent, not how far the loss exploded in the end."""
    import numpy as np

    with house_style():
        figure = new_figure(4.2)
        axes = line_axes(figure, (1, 1, 1), TITLE, "learning rate (log scale)", "training loss, smoothed")
        axes.set_xscale("log")
        axes.plot(lrs, losses, color=BLUE, marker="o" if len(lrs) < 3 else "")
        low, start = losses.min(), losses[0]
        span = max(start - low, 0.05 * abs(start), 1e-6)
        axes.set_ylim(low - 0.12 * span, min(losses.max(), start + span) + 0.12 * span)
        height = float(np.interp(np.log(finding.suggestion), np.log(lrs), losses))
        axes.axvline(finding.suggestion, color=VERMILLION, linestyle="--", linewidth=1.2)
        label = f"suggested: {finding.suggestion:.3g}\n" + fill(f"({finding.rule})", 44)
        axes.plot(finding.suggestion, height, "o", color=VERMILLION, markersize=7, label=label)
        axes.plot(lrs[losses.argmin()], low, "v", color=MUTED, markersize=6, label="lowest loss")
        axes.legend(loc="best")
    return figure


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"lr_finder_curve": LRFinderCurve}
