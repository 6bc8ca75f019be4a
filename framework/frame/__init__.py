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
from .api.data import (
    Box,
    DataInfo,
    DataSplits,
    Image,
    Images,
    Interpolation,
    Omission,
    Predictions,
    Size,
    Source,
    Split,
    Targets,
    take,
)
from .api.hookspecs import hookimpl
from .api.layers import Layer, layers_of
from .api.model_guard import untouched
from .api.optim import ParameterGroup, WeightDecay, parameter_groups, torch_form, trainable_parameters
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
    Thumbnail,
)
from .api.shares import wilson_interval
from .api.steps import Steps
from .api.text import shorten
from .errors import FrameError, Problem, RunFailed, UserError, suggest
from .secrets import hide_secrets, hide_settings, known_secrets, names_a_secret

if TYPE_CHECKING:
    from .api import figures as figures
    from .api import images as images
    from .rundir.cache import cached as cached
    from .runs.open import Run as Run
    from .runs.open import load_run as load_run
    from .runs.open import run as run

__version__ = "0.1.0"

__all__ = [
    "AUTO",
    "AnalysisRun",
    "AnalyzerComponent",
    "AnalyzerResult",
    "BatchDraws",
    "BatchTransform",
    "Box",
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
    "Interpolation",
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
    "OptimizerComponent",
    "ParameterGroup",
    "Picture",
    "Predictions",
    "Problem",
    "RunFailed",
    "RunHistory",
    "SampleTransform",
    "SchedulePlan",
    "Scheduler",
    "SchedulerComponent",
    "Series",
    "Size",
    "Source",
    "Split",
    "Steps",
    "Table",
    "Targets",
    "Thumbnail",
    "Tracker",
    "TrackerComponent",
    "TrainingRun",
    "TransformComponent",
    "UserError",
    "WeightDecay",
    "best_of",
    "better",
    "hide_secrets",
    "hide_settings",
    "hookimpl",
    "known_secrets",
    "layers_of",
    "mode_of",
    "names_a_secret",
    "parameter_groups",
    "shorten",
    "suggest",
    "take",
    "torch_form",
    "trainable_parameters",
    "untouched",
    "wilson_interval",
]
"""What `from frame import *` brings. The rest is public too, and imported only when it is asked for by its name."""

_LATE = {
    "figures": "api.figures",
    "images": "api.images",
    "cached": "rundir.cache",
    "Run": "runs.open",
    "load_run": "runs.open",
    "run": "runs.open",
}
"""Public names of what needs torch, PIL or the disk, with where they are."""


def __getattr__(name: str) -> object:
    """Import what is late when it is asked for: `import frame` stays light."""
    if name not in _LATE:
        raise AttributeError(f"module 'frame' has no attribute '{name}'")
    module = import_module(f".{_LATE[name]}", __name__)
    return module if module.__name__.endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, *_LATE, "__version__"]
