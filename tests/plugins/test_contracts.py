"""Every built-in component keeps the contract of its kind: a new one is covered as soon as it is registered."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from fakes.wandb_log import OfflineRun
from frame.plugins.load import load_plugins
from frame.plugins.registry import OWN
from frame.testing import CONTRACTS, checks, contract_of, run_check
from frame_plugins.data.cifar10 import CLASSES


def write_images(_, root):
    """Write a tree `train|test/<class>/` of small images."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for number in range(2):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")


def write_idx(_, root):
    """Write MNIST's four files, of a few images of noise."""
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        for name, shape in (("images-idx3", (20, 28, 28)), ("labels-idx1", (20,))):
            values = rng.integers(0, 256, shape, np.uint8) if len(shape) > 1 else np.arange(20, dtype=np.uint8) % 10
            head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
            (root / f"{part}-{name}-ubyte").write_bytes(head + values.tobytes())


def tensorboard_curves(_, folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def wandb_curves(_, folder):
    curves, until = {}, time.monotonic() + 60
    while (log := OfflineRun(folder)).exit_code is None:  # finish() may return before the file is complete
        assert time.monotonic() < until
        time.sleep(0.05)
    for row in log.history:
        for name, value in row.items():
            curves.setdefault(name, []).append(value)
    return curves


ATTRIBUTES = {
    "dataset/cifar10": {"prepare": write_images},
    "dataset/idx": {"prepare": write_idx},
    "dataset/image_folder": {"prepare": write_images},
    "transform/albumentations": {
        "settings": {
            "pipeline": [
                {"use": "PadIfNeeded", "min_height": 40, "min_width": 40},
                {"use": "RandomCrop", "height": 32, "width": 32},
                {"use": "HorizontalFlip", "p": 0.5},
                {"use": "CoarseDropout", "p": 1.0, "fill": "mean"},
            ]
        }
    },
    "transform/torchvision": {
        "settings": {
            "pipeline": [
                {"use": "RandomCrop", "size": 32, "padding": 4},
                {"use": "RandomHorizontalFlip"},
                {"use": "ColorJitter", "brightness": 0.2},
            ]
        }
    },
    "analyzer/confusion": {"settings": {"pairs": 3, "images_per_cell": 3}},
    "analyzer/correct": {"settings": {"count": 6}},
    "analyzer/grad_cam": {"settings": {"pages": 2, "overlays": 2, "correct": 1, "misclassified": 1}},
    "analyzer/misclassified": {"settings": {"count": 6}},
    "analyzer/robustness": {"settings": {"images": 6, "severities": [3]}},
    "analyzer/samples": {"settings": {"count": 6}},
    "lr_finder/lr_range_test": {"settings": {"num_steps": 25}},
    "model/custom_resnet": {"settings": {"widths": [8, 16, 16, 32]}},
    "model/whitened_convnet": {"settings": {"widths": [8, 16, 16]}},
    "tracker/tensorboard": {"curves": tensorboard_curves},
    "tracker/wandb": {"curves": wandb_curves},
}
"""What some need: settings that have no default, a few images, and less work than their defaults ask for."""

LISTING = "test_listing_it_imports_nothing_slow"
"""Takes a process each; that `frame list` imports nothing slow holds for all at once (test_nothing_heavy_is_imported).
"""

SLOW = ("tracker/mlflow",)
"""What imports a library for seconds in each of its checks."""

BUILT_IN = {
    f"{registry.kind}/{name}": entry.component
    for registry in load_plugins().registries
    for name, entry in registry.entries.items()
    if entry.origin.startswith(f"{OWN} ")
}
CASES = {name: contract_of(component, **ATTRIBUTES.get(name, {})) for name, component in BUILT_IN.items()}


@pytest.mark.parametrize(
    ("contract", "check"),
    [
        pytest.param(case, check, id=f"{name}-{check}", marks=[pytest.mark.slow] * (name in SLOW))
        for name, case in CASES.items()
        for check in checks(case)
        if check != LISTING
    ],
)
def test_built_in(contract, check):
    outcome = run_check(contract, check)
    assert outcome.result == "ok", outcome.message


def test_every_contract_has_a_built_in_component():
    tried = {base for case in CASES.values() for base in case.__mro__}
    assert set(CONTRACTS) <= tried
    assert set(ATTRIBUTES) <= set(BUILT_IN)
