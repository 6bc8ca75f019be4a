"""Memory that a step frees stays with the process, so that the next step need not have it cleared by the system."""

from __future__ import annotations

import sys

import pytest

from conftest import clean_environment
from fakes import launching

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
def test_a_freed_tensor_s_memory_is_used_again(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def faults(who: str) -> int:
        done = launching.run([who], tmp_path, clean_environment(tmp_path), module="script")
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert faults("frame") < faults("nobody") / 10
