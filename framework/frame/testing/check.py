"""Runs the contract of a component's kind outside of pytest, check by check."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from unittest import SkipTest

from ..api.components import Component
from ..errors import lines_to
from .analyzers import AnalyzerContract
from .contract import ComponentContract, missing_settings, needs
from .data import DatasetContract
from .guards import Advice
from .models import EvaluatorContract, LossContract, ModelContract
from .optimizers import LRFinderContract, OptimizerContract, SchedulerContract
from .runs import CallbackContract, TrackerContract
from .transforms import BatchTransformContract, SampleTransformContract

CONTRACTS: tuple[type[ComponentContract], ...] = (
    DatasetContract,
    SampleTransformContract,
    BatchTransformContract,
    ModelContract,
    LossContract,
    OptimizerContract,
    SchedulerContract,
    LRFinderContract,
    CallbackContract,
    TrackerContract,
    AnalyzerContract,
    EvaluatorContract,
)


@dataclass(frozen=True)
class Outcome:
    """What one check came to. message: what is wrong and what to do, empty where all is well."""

    check: str
    result: Literal["ok", "failed", "advice", "skipped"]
    message: str = ""


def contract_of(component: type[Component], **attributes: Any) -> type[ComponentContract]:
    """Return the contract of a component's kind, for that component; of a kind that has none, what every one promises.

    attributes: `settings`, `image_shape`, ...
    """
    base = next((contract for contract in CONTRACTS if issubclass(component, contract.kind)), ComponentContract)
    return type(f"Test{component.__name__}", (base,), {"component": component, **attributes})


def checks(contract: type[ComponentContract]) -> list[str]:
    """Return the names of a contract's test methods, those that every kind has first."""
    found = [name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test_")]
    order = [name for cls in reversed(contract.__mro__) for name in vars(cls)]
    return sorted(found, key=order.index)


def run_contract(contract: type[ComponentContract]) -> Iterator[Outcome]:
    """Run every check of a contract; nothing that a component raises gets out."""
    missing = missing_settings(contract.component, contract.settings)
    if missing:
        yield Outcome("builds", "skipped", f"{contract.component.__name__} {needs(missing)}")
        return
    for name in checks(contract):
        yield run_check(contract, name)


def run_check(contract: type[ComponentContract], name: str) -> Outcome:
    """Run one check."""
    words = name.removeprefix("test_").replace("_", " ")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(contract(), name)()
        except SkipTest as skip:
            return Outcome(words, "skipped", str(skip))
        except AssertionError as error:
            return Outcome(words, "failed", str(error) + _place(error.__cause__))
        except (Exception, SystemExit) as error:  # whatever a component does, the other checks are made
            return Outcome(words, "failed", f"{type(error).__name__}: {error}{_place(error)}")
    advice = [str(one.message) for one in caught if issubclass(one.category, Advice)]
    return Outcome(words, "advice", "; ".join(advice)) if advice else Outcome(words, "ok")


def _place(error: BaseException | None) -> str:
    """Return the line that raised: what a traceback would lead to."""
    lines = lines_to(error) if error else []
    return f" ({lines[-1]})" if lines else ""
