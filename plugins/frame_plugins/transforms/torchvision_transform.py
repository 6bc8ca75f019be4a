"""Augmentation with torchvision's v2 transforms, any of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import isclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import Component, DataInfo, Image, Problem, SampleTransform, hookimpl

from .._catalogue import Library
from ._pipeline import Pipeline, Step, build_steps, check_pipeline

if TYPE_CHECKING:
    import numpy as np


def _transforms() -> dict[str, type]:
    """Return torchvision's transforms by name."""
    from torchvision.transforms import v2

    classes = {name: value for name, value in vars(v2).items() if isclass(value)}
    return {name: value for name, value in classes.items() if issubclass(value, v2.Transform) and value != v2.Transform}


TORCHVISION = Library("torchvision", "transform", _transforms)


class TorchvisionTransform(SampleTransform):
    """A pipeline of torchvision.transforms.v2 classes, applied image by image on the CPU.

    Enumerations and dtypes are written by name (`interpolation: bilinear`, `policy: cifar10`, `dtype: float32`);
    `fill: mean` stands for the dataset's mean colour.
    """

    pipeline: tuple[Step, ...] = Field(min_length=1, examples=[[{"use": "RandomHorizontalFlip", "p": 0.5}]])
    """The steps in order, each `{use: <class of torchvision.transforms.v2>, <its arguments>}`; RandomApply nests."""

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> Iterable[Problem]:
        return check_pipeline(TORCHVISION, settings.get("pipeline"))

    def build(self, data: DataInfo) -> Pipeline:
        steps = build_steps(TORCHVISION, _create, self.pipeline, data)
        from torchvision.transforms import v2

        return Pipeline("torchvision", _Seeded(v2.Compose(steps)), steps, _alone)


def _create(transform: type, arguments: dict[str, Any]) -> Any:
    from torchvision.transforms.v2 import AutoAugmentPolicy, InterpolationMode

    by_name = {"interpolation": InterpolationMode, "policy": AutoAugmentPolicy, "dtype": _dtype}
    return transform(**{key: by_name[key](value) if key in by_name else value for key, value in arguments.items()})


def _dtype(name: str) -> Any:
    import torch

    dtype = getattr(torch, str(name), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"'{name}' is no dtype; write uint8 or float32")
    return dtype


def _alone(step: Any, image: Image) -> Any:
    import numpy as np

    return _Seeded(step)(image, np.random.default_rng(0))


@dataclass(frozen=True)
class _Seeded:
    """Makes torch's random numbers depend on the caller's generator, and leaves torch's own as they were."""

    transform: Any

    def __call__(self, image: Image, rng: np.random.Generator) -> Any:
        import numpy as np
        import torch
        from torchvision.tv_tensors import Image as ImageTensor

        pixels = ImageTensor(torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1))  # (C, H, W)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63)))  # torch.manual_seed would seed CUDA too
            changed = self.transform(pixels)
        return changed.permute(1, 2, 0).numpy() if isinstance(changed, torch.Tensor) else changed  # (H, W, C)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"torchvision": TorchvisionTransform}
