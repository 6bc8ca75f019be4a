"""frame trains image classifiers from YAML recipes. What stands here is public: plugins import nothing else of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .api.components import (
    AUTO,
    AnalyzerComponent,
    BatchTransform,
    CallbackComponent,
    Component,
    DatasetComponent,
    EvaluatorComponent,
    HistoryAnalyzer,
    LearningRate,
    LossComponent,
    LRFinderComponent,
    MetricName,
    ModelComponent,
    OptimizerComponent,
    SampleTransform,
    SchedulerComponent,
    TrackerComponent,
    TransformComponent,
)
from .api.contracts import (
    AnalysisRun,
    BatchDraws,
    Callback,
    LRProblem,
    RunHistory,
    SchedulePlan,
    Scheduler,
    Tracker,
    TrainingRun,
)
from .api.data import DataInfo, DataSplits, Image, Images, Omission, Predictions, Split, Targets, take
from .api.figures import COLORS, house_style, new_figure, png, shorten
from .api.hookspecs import hookimpl
from .api.layers import Layer, layers_of
from .api.model_guard import untouched
from .api.ranking import best_of, better, mode_of
from .api.results import (
    AnalyzerResult,
    Chart,
    Color,
    Figure,
    LabelledImage,
    LRFinding,
    Mark,
    Matrix,
    Picture,
    Series,
    Table,
)
from .api.steps import Steps
from .errors import FrameError, Problem, RunFailed, UserError, suggest
from .secrets import hide_secrets, hide_settings, known_secrets, names_a_secret

if TYPE_CHECKING:
    from .api.images import (
        IMAGE_ENDINGS,
        PrepareImage,
        UnreadableImageError,
        fit_image,
        is_image_name,
        opened_image,
        read_image,
        refuse_more_than_8_bits,
        shown_name,
        to_rgb,
    )
    from .api.omissions import Omissions
    from .rundir.cache import cached
    from .runs.open import Run, load_run, run

__version__ = "0.1.0"

__all__ = [
    "AUTO",
    "COLORS",
    "IMAGE_ENDINGS",
    "AnalysisRun",
    "AnalyzerComponent",
    "AnalyzerResult",
    "BatchDraws",
    "BatchTransform",
    "Callback",
    "CallbackComponent",
    "Chart",
    "Color",
    "Component",
    "DataInfo",
    "DataSplits",
    "DatasetComponent",
    "EvaluatorComponent",
    "Figure",
    "FrameError",
    "HistoryAnalyzer",
    "Image",
    "Images",
    "LRFinderComponent",
    "LRFinding",
    "LRProblem",
    "LabelledImage",
    "Layer",
    "LearningRate",
    "LossComponent",
    "Mark",
    "Matrix",
    "MetricName",
    "ModelComponent",
    "Omission",
    "Omissions",
    "OptimizerComponent",
    "Picture",
    "Predictions",
    "PrepareImage",
    "Problem",
    "Run",
    "RunFailed",
    "RunHistory",
    "SampleTransform",
    "SchedulePlan",
    "Scheduler",
    "SchedulerComponent",
    "Series",
    "Split",
    "Steps",
    "Table",
    "Targets",
    "Tracker",
    "TrackerComponent",
    "TrainingRun",
    "TransformComponent",
    "UnreadableImageError",
    "UserError",
    "best_of",
    "better",
    "cached",
    "fit_image",
    "hide_secrets",
    "hide_settings",
    "hookimpl",
    "house_style",
    "is_image_name",
    "known_secrets",
    "layers_of",
    "load_run",
    "mode_of",
    "names_a_secret",
    "new_figure",
    "opened_image",
    "png",
    "read_image",
    "refuse_more_than_8_bits",
    "run",
    "shorten",
    "shown_name",
    "suggest",
    "take",
    "to_rgb",
    "untouched",
]


_LATE = {
    "rundir.cache": ("cached",),
    "runs.open": ("Run", "load_run", "run"),
    "api.images": (
        "IMAGE_ENDINGS",
        "PrepareImage",
        "UnreadableImageError",
        "fit_image",
        "is_image_name",
        "opened_image",
        "read_image",
        "refuse_more_than_8_bits",
        "shown_name",
        "to_rgb",
    ),
    "api.omissions": ("Omissions",),
}


def __getattr__(name: str) -> object:
    """Import what needs torch or PIL, or reads and writes files, when it is asked for: `import frame` stays light."""
    for module, names in _LATE.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module 'frame' has no attribute '{name}'")
