"""Another processor: torch says of the CPU that it computes in bf16, or that it does not, as a variable has it.

Python imports a module of this name at its start, so that processes which tests start pretend as well: the tests put
this folder on their path. torch is not imported for it.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

VARIABLE = "TESTS_AUTO_PRECISION"


class AfterTorchCpu(MetaPathFinder):
    """Finds `torch.cpu` as Python does, and changes the module once it is there."""

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "torch.cpu":
            return None
        spec = PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = execute_and_change
        return spec


def change(cpu: ModuleType) -> None:
    """Make `torch.cpu` say what the variable says."""
    real, bf16 = cpu.get_capabilities, os.environ[VARIABLE] == "bf16"
    cpu.get_capabilities = lambda: {**real(), "avx512_bf16": bf16, "amx_bf16": bf16}


def pretend() -> None:
    """Change the module, now or when it will be imported."""
    if "torch.cpu" in sys.modules:
        change(sys.modules["torch.cpu"])
    else:
        sys.meta_path.insert(0, AfterTorchCpu())


if VARIABLE in os.environ and __name__ == "sitecustomize":
    pretend()
