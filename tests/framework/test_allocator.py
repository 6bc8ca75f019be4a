"""Memory that a step frees stays with the process, so that the next step need not have it cleared by the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from frame.compute.device import choose_backend
from frame.recipe.settings import TrainSettings

if sys.argv[1] == "frame":
    choose_backend(TrainSettings(epochs=1, device="cpu"))
torch.ones(25_000_000).sum()  # 100 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(25_000_000).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_freed_tensor_s_memory_is_used_again():
    def faults(who: str) -> int:
        return int(subprocess.run([sys.executable, "-c", SCRIPT, who], capture_output=True, check=True).stdout)

    assert faults("frame") < faults("nobody") / 10
