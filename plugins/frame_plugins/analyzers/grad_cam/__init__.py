"""Class activation maps: where in the image the model saw the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Picture, UserError, figures, hookimpl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from .layouts import Layout
    from .pictures import View

Method = Literal[
    "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "elementwise", "eigencam", "fem", "scorecam"
]
Target = Literal["predicted", "true"]
TITLE = "Grad-CAM"
CLASSLESS = ("eigencam", "fem")
"""Methods that look at the activations alone, and at no class."""


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
    """Number of rightly classified images shown at every layer, drawn with the run's seed."""
    misclassified: int = Field(5, ge=0, le=50)
    """Number of misclassified images shown at every layer, the most confident mistakes first."""
    overlays: int = Field(25, ge=0, le=400)
    """Number of misclassified images in the grid of overlays at one layer, the most confident mistakes first."""
    pages: int = Field(25, ge=0, le=1000)
    """Number of right and of wrong answers, each, whose maps stand on the image's own page in the report. The images
    of the pictures are the first of them; 25 are those that the analyzers `correct` and `misclassified` show."""
    method: Method = "gradcam"
    """How activations and gradients become a map. Most take one forward and backward pass for each image and class, all
    layers together. `eigencam` and `fem` show the main pattern of the activations and look at no class. `scorecam`
    needs no gradients, but a forward pass for each channel of each layer: hundreds to thousands of times as long."""
    targets: tuple[Target, ...] = Field(("predicted", "true"), min_length=1)
    """The classes whose evidence is shown: the `predicted`, the `true`, or both. For a right answer they are one."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from .maps import offered, survey

        names = self.layers or tuple(run.cam_layers)
        named = (*self.layers, self.overlay_layer) if self.overlay_layer else self.layers
        others = offered(run.model, run.cam_layers)
        found = survey(run.model, run.evaluation_inputs([0]), [*names, *named, *others])
        flaws = {name: one.flaw for name, one in found.items() if one.flaw}
        good = {name: one.layout for name, one in found.items() if not one.flaw}
        refused = [f"layer '{name}' cannot be shown: {flaws[name]}" for name in dict.fromkeys(named) if name in flaws]
        if refused:
            raise UserError(f"grad_cam: {'; '.join(refused)}. Layers that can: {', '.join(good) or 'none'}")
        notes = [f"Layer '{name}' is left out: {flaws[name]}." for name in dict.fromkeys(names) if name in flaws]
        shown = [name for name in good if name in names]
        overlay = self.overlay_layer or (shown[-1] if shown else None)
        if overlay is None:
            have = ", ".join(good) or "none"
            notes.append(f"The model names no layer to look at: name some in grad_cam's `layers`. It has: {have}.")
            return AnalyzerResult(TITLE, notes=tuple(notes))
        layers = {name: layout for name, layout in good.items() if name in (*shown, overlay)}
        return self._result(run, layers, shown, overlay, notes)

    def heat(
        self, model: nn.Module, inputs: Tensor, classes: npt.NDArray[np.int64], cam_layers: Sequence[str]
    ) -> npt.NDArray[np.float32]:
        """Return the maps at `overlay_layer`, else at the deepest of the layers whose map is larger than 1x1."""
        from .maps import layer_maps, offered, survey

        names = [self.overlay_layer] if self.overlay_layer else self.layers or cam_layers
        found = survey(model, inputs[:1], [*names, *offered(model, cam_layers)])
        good = {name: one.layout for name, one in found.items() if not one.flaw}
        shown = [name for name in good if name in names]
        if not shown:
            refused = "; ".join(f"layer '{name}' cannot be shown: {found[name].flaw}" for name in names)
            raise UserError(
                f"grad_cam: {refused or 'the model names no layer to look at'}. Name one in grad_cam's "
                f"`overlay_layer`; layers that can: {', '.join(good) or 'none'}"
            )
        deepest = {shown[-1]: good[shown[-1]]}
        return layer_maps(model, inputs, classes.tolist(), deepest, self.method)[:, 0]

    def _result(
        self, run: AnalysisRun, layers: Mapping[str, Layout], shown: Sequence[str], overlay: str, notes: list[str]
    ) -> AnalyzerResult:
        """Make the maps of all images at once; then the pictures, and the images with their maps."""
        from . import pictures as draw

        right = self._choose(run, correct=True, count=max(self.correct, self.pages))
        wrong = self._choose(run, correct=False, count=max(self.misclassified, self.overlays, self.pages))
        views = self._views(run, [*right, *wrong], layers)
        few, most, many = right[: self.correct], wrong[: self.misclassified], wrong[: self.overlays]
        pictures: list[Picture] = []
        if most and shown:
            pictures.append(draw.depths(run, views, most, shown, correct=False, evidence=self._evidence()))
        if many:
            pictures.append(draw.overlays(run, views, many, overlay, evidence=self._evidence()))
        if few and shown:
            pictures.append(draw.depths(run, views, few, shown, correct=True, evidence=self._evidence()))
        images = [
            replace(image, heats={name: heat for view in views[image.index] for name, heat in view.by_name().items()})
            for image in figures.labelled_images(run, [*wrong, *right])
        ]
        notes.extend(figures.shortage(len(right), self.correct, correct=True))
        notes.extend(figures.shortage(len(wrong), max(self.misclassified, self.overlays), correct=False))
        return AnalyzerResult(TITLE, figures=tuple(pictures), images=tuple(images), notes=tuple(notes))

    def _choose(self, run: AnalysisRun, *, correct: bool, count: int) -> list[int]:
        order: Literal["random", "confidence"] = "random" if correct else "confidence"
        return figures.choose(run.predictions, correct=correct, order=order, count=count, seed=run.seed).tolist()

    def _views(self, run: AnalysisRun, indices: Sequence[int], layers: Mapping[str, Layout]) -> dict[int, list[View]]:
        """Return what is to be shown of each image: a view for each class, once where the classes are one."""
        from .maps import activation_maps
        from .pictures import View

        targets: Sequence[Target] = ("predicted",) if self.method in CLASSLESS else self.targets
        classes = {"predicted": run.predictions.predicted, "true": run.predictions.targets}
        wanted: dict[tuple[int, int], Target] = {}
        for index in indices:
            for target in targets:
                wanted.setdefault((index, int(classes[target][index])), target)
        maps = activation_maps(run, list(wanted), layers, self.method)
        views: dict[int, list[View]] = {index: [] for index in indices}
        for (index, number), target in wanted.items():
            view = ("main", "pattern") if self.method in CLASSLESS else (target, run.data.classes[number])
            views[index].append(View(*view, maps[index, number]))
        return views

    def _evidence(self) -> str:
        if self.method in CLASSLESS:
            return f"main pattern of the activations ({self.method}, which looks at no class)"
        return f"evidence for the class ({self.method})"


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"grad_cam": GradCAM}
