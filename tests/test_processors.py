"""The tests' own option: what `train.precision: auto` takes is what they pretend, in processes of their own too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import on_path
from fakes.processor import sitecustomize as processor

CODE = f"""
import os, sys
import sitecustomize
from frame.compute.device import choose_backend
from frame.recipe.settings import TrainSettings
settings = TrainSettings(epochs=1, device="cpu")
print(choose_backend(settings).precision)
os.environ["{processor.VARIABLE}"] = "fp32"
sitecustomize.change(sys.modules["torch.cpu"])
print(choose_backend(settings).precision)
"""


def test_a_process_of_a_test_takes_the_precision_that_is_pretended():
    environment = os.environ | on_path(Path(processor.__file__).parent) | {processor.VARIABLE: "bf16"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("bf16\nfp32\n", "")
