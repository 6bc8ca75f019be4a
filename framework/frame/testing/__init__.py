"""Contract tests for plugin authors: what a component of each kind promises, checked by one line of a test.

    from frame.testing import ModelContract

    class TestTiny(ModelContract):
        component = Tiny

pytest collects the class; `frame plugin check` runs the same checks without it. Each check is a method whose failure
says what is wrong and what to do. Nothing here is needed at run time.
"""

from .analyzers import AnalyzerContract, check_result
from .check import CONTRACTS, Outcome, checks, contract_of, run_check, run_contract
from .contract import ComponentContract
from .data import DatasetContract
from .examples import TinyNet, analysis_run, analyzer_result, data_info, lr_problem, model_inputs, training_run
from .guards import Advice
from .models import EvaluatorContract, LossContract, ModelContract
from .optimizers import LRFinderContract, OptimizerContract, SchedulerContract
from .runs import CallbackContract, TrackerContract
from .transforms import BatchTransformContract, SampleTransformContract

__all__ = [
    "CONTRACTS",
    "Advice",
    "AnalyzerContract",
    "BatchTransformContract",
    "CallbackContract",
    "ComponentContract",
    "DatasetContract",
    "EvaluatorContract",
    "LRFinderContract",
    "LossContract",
    "ModelContract",
    "OptimizerContract",
    "Outcome",
    "SampleTransformContract",
    "SchedulerContract",
    "TinyNet",
    "TrackerContract",
    "analysis_run",
    "analyzer_result",
    "check_result",
    "checks",
    "contract_of",
    "data_info",
    "lr_problem",
    "model_inputs",
    "run_check",
    "run_contract",
    "training_run",
]
