"""Class activation maps: where in the image the model saw the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Picture, hookimpl

from .._choice import choose, shortage

if TYPE_CHECKING:
    from .maps import Maps

Method = Literal["gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "elementwise", "eigencam", "eigengradcam"]
TITLE = "Grad-CAM"


class GradCAM(AnalyzerComponent):
    """Heat maps of what spoke for a class, at several depths, on right and on wrong answers.

    Source: Selvaraju et al. 2017, Grad-CAM, https://arxiv.org/abs/1610.02391, as the package pytorch-grad-cam has it.
    """

    needs_model: ClassVar[bool] = True

    layers: tuple[str, ...] = ()
    """Names of the model's layers, shallow to deep (`layer1`, `blocks.3.conv`). Empty: those that the model names."""
    overlay_layer: str | None = None
    """The layer of the grid of overlays. Empty: the deepest of the layers whose map is larger than 1x1."""
    correct: int = Field(5, ge=0, le=50)
    """Number of rightly classified images, drawn with the run's seed."""
    misclassified: int = Field(5, ge=0, le=50)
    """Number of misclassified images shown at every layer, the most confident mistakes first."""
    overlays: int = Field(25, ge=0, le=400)
    """Number of misclassified images in the grid of overlays at one layer, the most confident mistakes first."""
    method: Method = "gradcam"
    """How activations and gradients become a map. `eigencam` looks at no class at all."""
    target: Literal["predicted", "true"] = "predicted"
    """The class whose evidence is shown."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from .maps import convolutions, heat_layers

        names = self.layers or tuple(run.cam_layers)
        wanted = (*names, self.overlay_layer) if self.overlay_layer else names
        if not wanted:
            found = ", ".join(convolutions(run.model)) or "none"
            note = f"The model names no layers to look at: name some in grad_cam's `layers`. Its convolutions: {found}."
            return AnalyzerResult(TITLE, notes=(note,))
        layers, notes = heat_layers(run.model, run.evaluation_inputs([0]), wanted)
        if not layers:
            return AnalyzerResult(TITLE, notes=tuple(notes))
        shown = [name for name in layers if name in names]
        overlay = self.overlay_layer or shown[-1]
        return self._result(run, layers, shown, overlay if overlay in layers else None, notes)

    def _result(
        self, run: AnalysisRun, layers: Sequence[str], shown: Sequence[str], overlay: str | None, notes: list[str]
    ) -> AnalyzerResult:
        """Make the maps of all images at once, and the pictures from them."""
        from . import pictures as draw

        right = self._choose(run, correct=True, count=self.correct)
        wrong = self._choose(run, correct=False, count=max(self.misclassified, self.overlays))
        maps = self._maps(run, [*right, *wrong], layers)
        pictures: list[Picture] = []
        few = wrong[: self.misclassified]
        if right and shown:
            pictures.append(draw.depths(run, maps, right, shown, correct=True, evidence=self._evidence()))
        if few and shown:
            pictures.append(draw.depths(run, maps, few, shown, correct=False, evidence=self._evidence()))
        if wrong[: self.overlays] and overlay:
            pictures.append(draw.overlays(run, maps, wrong[: self.overlays], overlay, evidence=self._evidence()))
        notes.extend(shortage(len(right), self.correct, correct=True))
        notes.extend(shortage(len(wrong), max(self.misclassified, self.overlays), correct=False))
        return AnalyzerResult(TITLE, pictures=tuple(pictures), notes=tuple(notes))

    def _choose(self, run: AnalysisRun, *, correct: bool, count: int) -> list[int]:
        order: Literal["random", "confidence"] = "random" if correct else "confidence"
        return choose(run.predictions, correct=correct, order=order, count=count, seed=run.seed).tolist()

    def _maps(self, run: AnalysisRun, indices: Sequence[int], layers: Sequence[str]) -> Maps:
        from .maps import activation_maps

        predictions = run.predictions
        classes = predictions.predicted if self.target == "predicted" else predictions.targets
        return activation_maps(run, indices, classes[list(indices)].tolist(), layers, self.method)

    def _evidence(self) -> str:
        if self.method == "eigencam":
            return "main pattern of the activations (EigenCAM looks at no class)"
        return f"evidence for the {self.target} class ({self.method})"


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"grad_cam": GradCAM}
