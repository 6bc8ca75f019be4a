"""Cross-entropy, the loss of classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from frame import Component, DataInfo, LossComponent, hookimpl

if TYPE_CHECKING:
    from torch import nn


class CrossEntropy(LossComponent):
    """Cross-entropy of logits (N, classes) with class indices (N,) or class probabilities (N, classes)."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Part of the target's probability that is spread evenly over all classes (Szegedy et al., 2016)."""

    def build(self, data: DataInfo) -> nn.CrossEntropyLoss:  # noqa: ARG002
        from torch import nn

        return nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"cross_entropy": CrossEntropy}
