"""Components that each break one promise of their kind, with a part of what the check says that finds it."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

from typing import Any

from .common import broken, net
from .datasets import DATASETS
from .every_kind import EVERY_KIND
from .models import EVALUATORS, LOSSES, MODELS
from .optimizers import FINDERS, OPTIMIZERS, SCHEDULERS
from .runs import ANALYZERS, CALLBACKS, NEEDS, TRACKERS, retrains, stays_in_training
from .transforms import BATCHES, SAMPLES

KINDS: dict[str, list[Any]] = {
    "ModelComponent": MODELS,
    "DatasetComponent": DATASETS,
    "SampleTransform": SAMPLES,
    "BatchTransform": BATCHES,
    "LossComponent": LOSSES,
    "EvaluatorComponent": EVALUATORS,
    "OptimizerComponent": OPTIMIZERS,
    "SchedulerComponent": SCHEDULERS,
    "LRFinderComponent": FINDERS,
    "CallbackComponent": CALLBACKS,
    "TrackerComponent": TRACKERS,
    "AnalyzerComponent": ANALYZERS,
}
BROKEN = [
    *EVERY_KIND,
    ("cam_layers_exist", "names no layer 'deeep'", broken("ModelComponent", lambda self, data: net(data), cam_layers=lambda self: ("stem", "deeep"))),
    ("cam_layers_exist", "is a text: return a tuple", broken("ModelComponent", lambda self, data: net(data), cam_layers=lambda self: "stem")),
    ("leaves_the_model_as_it_was", "leave the model in eval mode", broken("AnalyzerComponent", retrains, **NEEDS)),
    ("leaves_the_model_as_it_was", "put it back, or take frame.untouched(model)", broken("AnalyzerComponent", stays_in_training, **NEEDS)),
    *[(check, says, build if isinstance(build, type) else broken(kind, build)) for kind, cases in KINDS.items() for check, says, build in cases],
]  # fmt: skip
"""(the check, a part of what it says, the component)."""
