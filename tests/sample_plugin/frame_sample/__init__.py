"""A sample plugin: a model, an analyzer and a recipe that uses both. Listing it imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, DataInfo, ModelComponent, Table, hookimpl

if TYPE_CHECKING:
    from torch import nn


class TinyCNN(ModelComponent):
    """Two convolutions and a linear layer, for trying things out."""

    width: int = Field(8, gt=0)
    """Channels of the first convolution; the second has twice as many."""

    def build(self, data: DataInfo) -> nn.Module:
        from .network import tiny_cnn

        return tiny_cnn(self.width, data.channels, data.num_classes)

    def cam_layers(self) -> tuple[str, ...]:
        return ("first", "second")


class PredictedClasses(AnalyzerComponent):
    """How often each class was predicted, beside how often it is right: a model that favours a class shows here."""

    at_least: int = Field(0, ge=0)
    """Leave out classes that were predicted less often."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        import numpy as np

        classes = run.info.classes
        predicted = np.bincount(run.predictions.predicted, minlength=len(classes))
        true = np.bincount(run.predictions.targets, minlength=len(classes))
        rows = [
            (name, int(p), int(t)) for name, p, t in zip(classes, predicted, true, strict=True) if p >= self.at_least
        ]
        table = Table("counts", "Predictions of each class", ("class", "predicted", "images"), rows)
        return AnalyzerResult("Predicted classes", tables=(table,), scalars={"classes shown": len(rows)})


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer the components by name."""
    return {"tiny_cnn": TinyCNN, "predicted_classes": PredictedClasses}


@hookimpl
def frame_recipes() -> Path:
    """Return the recipes that travel with this package."""
    return Path(__file__).parent / "recipes"
