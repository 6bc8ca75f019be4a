"""Pictures of where in an image the model saw the class that it named, by an analyzer that makes heat maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from ..api.components import AnalyzerComponent
from ..api.figures import overlay
from ..api.model_guard import untouched
from ..errors import UserError
from ..input.pipeline import Pipeline
from ..recipe.load import Loaded
from ..recipe.recipe import Named
from ..training.build import Network
from ..training.culprit import blame

FALLBACK = "grad_cam"
"""The analyzer that makes the maps where the recipe names none that does."""
SIDE = 224
"""Pixels: a smaller image is enlarged by a whole factor until its longer side has them."""


@dataclass
class HeatPictures:
    """Writes a picture for each image, numbered from 1 in the order of the answers. Made by `heat_pictures`."""

    folder: Path
    analyzer: Named[AnalyzerComponent]
    written: int = 0

    def write(self, network: Network, pipeline: Pipeline, names: Sequence[str], classes: np.ndarray) -> None:
        """Write the pictures of all images of `pipeline`; their files' `names` and the `classes` to look for, (N,)."""
        numbers = range(len(names))
        layers = network.recipe.model.component.cam_layers()
        inputs = pipeline.inputs(numbers)
        with untouched(network.model) as model, blame("analyzer", self.analyzer):
            heats = self.analyzer.component.heat(model, inputs, classes, layers)
        for name, pixels, heat in zip(names, pipeline.pixels(numbers), heats, strict=True):
            self.written += 1
            picture = PIL.Image.fromarray(overlay(pixels, heat, SIDE))
            picture.save(self.folder / f"{self.written:06}-{_safe(Path(name).stem)}.png")


def heat_pictures(loaded: Loaded, folder: Path) -> HeatPictures:
    """Choose the analyzer and make the folder. Raises UserError where there is none, or it cannot be made."""
    registry = loaded.plugins.registries["analyzer"]
    offers = list(loaded.recipe.analyzers)
    if FALLBACK in registry:
        offers.append(Named(FALLBACK, registry[FALLBACK]()))
    analyzer = next((named for named in offers if type(named.component).heat is not AnalyzerComponent.heat), None)
    if analyzer is None:
        raise UserError(
            f"--cam needs an analyzer that makes heat maps, and none is here: {FALLBACK} comes with frame-train (see "
            "frame plugin list for whether it loaded); or add one with a method `heat` to the recipe"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--cam {folder}: cannot be a folder: {error.strerror or error}") from error
    return HeatPictures(folder, analyzer)


def _safe(stem: str) -> str:
    """Return a file's stem as one that is plain everywhere: letters, digits, `_`, `-` and `.`, at most 100."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:100]
