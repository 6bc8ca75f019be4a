"""Augmentation with albumentations, any of its image transforms by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import isclass
from random import Random
from typing import TYPE_CHECKING, Any

from pydantic import Field

from frame import Component, DataInfo, Image, Problem, SampleTransform, hookimpl

from .._catalogue import Library
from ._pipeline import Pipeline, Step, build_steps, check_pipeline

if TYPE_CHECKING:
    import numpy as np


def _transforms() -> dict[str, type]:
    """Return albumentations' transforms by name."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks its server for news
    import albumentations
    from albumentations.core.composition import BaseCompose
    from albumentations.core.transforms_interface import BasicTransform

    kinds = (BasicTransform, BaseCompose)
    classes = {name: value for name, value in vars(albumentations).items() if isclass(value)}
    return {name: value for name, value in classes.items() if issubclass(value, kinds) and value not in kinds}


ALBUMENTATIONS = Library("albumentations", "transform", _transforms)


class Albumentations(SampleTransform):
    """A pipeline of albumentations transforms (version 2.0, https://albumentations.ai), applied image by image.

    `fill: mean` stands for the dataset's mean colour in any transform that has a `fill`.
    """

    pipeline: tuple[Step, ...] = Field(min_length=1, examples=[[{"use": "HorizontalFlip", "p": 0.5}]])
    """The steps in order, each `{use: <class of albumentations>, <its arguments>}`; OneOf and its like nest."""

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> Iterable[Problem]:
        return check_pipeline(ALBUMENTATIONS, settings.get("pipeline"))

    def build(self, data: DataInfo) -> Pipeline:
        steps = build_steps(ALBUMENTATIONS, _create, self.pipeline, data)
        import albumentations

        return Pipeline("albumentations", _Seeded(albumentations.Compose(steps)), steps, _alone)


def _create(transform: type, arguments: dict[str, Any]) -> Any:
    # Where a class checks its arguments it only warns of some mistakes and takes its defaults, unless it is strict.
    strict = {"strict": True} if "InitSchema" in vars(transform) else {}
    return transform(**arguments, **strict)


def _alone(step: Any, image: Image) -> Any:
    return step(image=image, force_apply=True)["image"]


@dataclass(frozen=True)
class _Seeded:
    """Gives all transforms the caller's generator. A seed instead would give each the same draws."""

    compose: Any

    def __call__(self, image: Image, rng: np.random.Generator) -> Any:
        self.compose.set_random_state(rng, Random(int(rng.integers(2**63))))  # noqa: S311
        return self.compose(image=image)["image"]


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"albumentations": Albumentations}
