"""The tests' own option: what `train.precision: auto` takes is what they pretend, in processes of their own too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import on_path
from fakes.processor import sitecustomize as processor

CODE = """
from frame.compute.device import choose_backend
from frame.recipe.settings import TrainSettings
print(choose_backend(TrainSettings(epochs=1, device="cpu")).precision)
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_process_of_a_test_takes_the_precision_that_is_pretended(precision):
    environment = os.environ | on_path(Path(processor.__file__).parent) | {processor.VARIABLE: precision}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{precision}\n", "")
