"""frame trains image classifiers from YAML recipes. What stands here is public: plugins import nothing else of it."""

from .components import (
    AUTO,
    AnalyzerComponent,
    BatchTransform,
    CallbackComponent,
    Component,
    DatasetComponent,
    EvaluatorComponent,
    LearningRate,
    LossComponent,
    LRFinderComponent,
    ModelComponent,
    OptimizerComponent,
    SampleTransform,
    SchedulerComponent,
    TrackerComponent,
    TransformComponent,
)
from .contracts import AnalysisRun, BatchDraws, Callback, LRProblem, Scheduler, Tracker, TrainingRun
from .data import DataInfo, DataSplits, Image, Images, Predictions, Split, Targets, take
from .errors import FrameError, Problem, RunFailed, UserError, suggest
from .hookspecs import hookimpl
from .model_guard import untouched
from .results import AnalyzerResult, LabelledImage, LRFinding, Picture, Table
from .steps import Steps

__version__ = "0.1.0"

__all__ = [
    "AUTO",
    "AnalysisRun",
    "AnalyzerComponent",
    "AnalyzerResult",
    "BatchDraws",
    "BatchTransform",
    "Callback",
    "CallbackComponent",
    "Component",
    "DataInfo",
    "DataSplits",
    "DatasetComponent",
    "EvaluatorComponent",
    "FrameError",
    "Image",
    "Images",
    "LRFinderComponent",
    "LRFinding",
    "LRProblem",
    "LabelledImage",
    "LearningRate",
    "LossComponent",
    "ModelComponent",
    "OptimizerComponent",
    "Picture",
    "Predictions",
    "Problem",
    "RunFailed",
    "SampleTransform",
    "Scheduler",
    "SchedulerComponent",
    "Split",
    "Steps",
    "Table",
    "Targets",
    "Tracker",
    "TrackerComponent",
    "TrainingRun",
    "TransformComponent",
    "UserError",
    "hookimpl",
    "suggest",
    "take",
    "untouched",
]
