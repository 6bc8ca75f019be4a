"""The curve of the learning-rate range test."""

from __future__ import annotations

from frame import AnalyzerResult, Chart, Component, HistoryAnalyzer, Mark, RunHistory, Series, hookimpl

TITLE = "Learning-rate range test"


class LRFinderCurve(HistoryAnalyzer):
    """Loss against learning rate as the LR finder measured it, with the suggestion marked.

    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186
    """

    def build(self, run: RunHistory) -> AnalyzerResult:
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
        low, start = float(losses.min()), float(losses[0])
        span = max(start - low, 0.05 * abs(start), 1e-6)
        chart = Chart(
            "lr_finder",
            TITLE,
            "learning rate (log scale)",
            "training loss, smoothed",
            [
                Series("loss", lrs.tolist(), losses.tolist(), "blue"),
                Series("lowest loss", [scalars["lowest_loss_lr"]], [low], "grey", kind="points"),
            ],
            caption,
            x_log=True,
            # The descent is what counts, not how far the loss exploded in the end.
            y_range=(low - 0.12 * span, min(float(losses.max()), start + span) + 0.12 * span),
            marks=(Mark(finding.suggestion, f"suggested: {finding.suggestion:.3g}"),),
        )
        return AnalyzerResult(TITLE, figures=(chart,), scalars=scalars)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"lr_finder_curve": LRFinderCurve}
