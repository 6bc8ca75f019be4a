"""From a checked recipe to what a run works with: data, pipelines, model, loss, checked against each other."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..api.components import BatchTransform, TransformComponent
from ..api.data import DataInfo, DataSplits, Size, Split
from ..api.steps import Steps
from ..compute.device import Backend, choose_backend
from ..compute.distributed import ALONE, World
from ..compute.randomness import epoch_order, rng_untouched
from ..errors import UserError, coded, expanded
from ..input.data_checks import check_as_promised, refuse_unread
from ..input.fitting import at_size
from ..input.pipeline import Normalize, Pipeline, scale
from ..input.sizes import fit_data
from ..recipe.recipe import Named, Recipe
from ..recipe.settings import Normalization
from .culprit import blame, blamed
from .engine import Forward, Loss
from .faults import faults_explained

INIT_IMAGES = 5000
"""As many training images, or all there are, does a model see that takes its first weights from the data."""


@dataclass(frozen=True)
class Network:
    """A recipe's model with all that an image passes through on its way to logits."""

    recipe: Recipe
    info: DataInfo
    backend: Backend
    model: nn.Module
    loss: Loss
    forward: Forward

    def evaluation(self, split: Split) -> Pipeline:
        """Return the batches of a split as the recipe evaluates them, training images too."""
        recipe = self.recipe
        split = at_size(split, self.info.size)
        return _pipeline(recipe, self.info, split, self.backend, recipe.eval_transforms, recipe.data.eval_batch_size)


@dataclass(frozen=True)
class Parts(Network):
    """What a recipe names, built: everything but optimizers and schedules, which wait for the LR finder."""

    data: DataSplits
    steps: Steps
    training: Pipeline
    watched: Pipeline
    test: Pipeline

    @property
    def parameters(self) -> int:
        """How many numbers the model learns or keeps fixed."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def data_root(recipe: Recipe) -> Path:
    """Return the folder of the data: the recipe's, else that of FRAME_DATA_DIR, else `data`."""
    return expanded(recipe.data.root or os.environ.get("FRAME_DATA_DIR") or "data")


def load_data(recipe: Recipe) -> DataSplits:
    """Read the recipe's data, split its validation set off, and fit the images to the recipe's sizes."""
    with coded("bad-data"):
        with blame("dataset", recipe.dataset):
            data = recipe.dataset.component.build(data_root(recipe))
        check_as_promised(data, recipe.dataset.use)
        if recipe.data.validation:
            try:
                data = data.with_validation(recipe.data.validation, recipe.seed)
            except ValueError as error:
                raise UserError(f"data.validation: {recipe.data.validation} cannot be split off: {error}") from error
        data = fit_data(data, recipe.data, takes_source=takes_source(recipe.train_transforms))
        refuse_unread(data, skip=recipe.data.unreadable == "skip")
        return data


def build(recipe: Recipe, data: DataSplits, world: World = ALONE, *, fresh: bool = True) -> Parts:
    """Build the recipe's parts on its device, and check that the model's output fits the data.

    fresh: let the model take its first weights from the data, if it does; a resumed run has weights already.
    Raises UserError or RunFailed. The global generators must have been seeded: they give the initial weights.
    """
    with faults_explained(recipe), coded("bad-value"):
        parts = _parts(recipe, data, world)
        if fresh:
            _init_from_data(parts)
        _rehearse(parts)
        _rehearse_smallest_batch(parts)
    return parts


def _parts(recipe: Recipe, data: DataSplits, world: World) -> Parts:
    network = build_network(recipe, data.info, world)
    steps = Steps(
        len(data.train), recipe.data.batch_size, recipe.train.epochs, recipe.train.accumulate, recipe.data.drop_last
    )
    test = network.evaluation(data.test)
    return Parts(
        **vars(network),
        data=data,
        steps=steps,
        training=replace(
            _pipeline(
                recipe,
                data.info.at_training_size(),
                data.train,
                network.backend,
                recipe.train_transforms,
                recipe.data.batch_size,
            ),
            skip=recipe.data.unreadable == "skip",
        ),
        watched=network.evaluation(data.validation) if data.validation else test,
        test=test,
    )


def build_network(recipe: Recipe, info: DataInfo, world: World = ALONE) -> Network:
    """Build the recipe's model with what evaluates it, for data that `info` describes; the data itself is not needed.

    Raises UserError or RunFailed.
    """
    backend = choose_backend(recipe.train, world)
    with blame("model", recipe.model):
        model = recipe.model.component.build(info)
    with blame("loss", recipe.loss):
        loss = blamed(recipe.loss.component.build(info), "loss", recipe.loss)
    forward: Forward = plain_forward
    if recipe.evaluator:
        with blame("evaluator", recipe.evaluator):
            forward = blamed(recipe.evaluator.component.build(info), "evaluator", recipe.evaluator)
    return Network(recipe, info, backend, backend.place(model), loss, forward)


def plain_forward(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the model's own logits: the evaluation of a recipe that names no evaluator."""
    return model(images)


def _pipeline(
    recipe: Recipe,
    info: DataInfo,
    split: Split,
    backend: Backend,
    transforms: Sequence[Named[TransformComponent]],
    batch_size: int,
) -> Pipeline:
    samples: list[Any] = []
    batches: list[Any] = []
    for named in transforms:
        component: Any = named.component
        with blame("transform", named):
            function = blamed(component.build(info), "transform", named)
        (batches if isinstance(component, BatchTransform) else samples).append(function)
    settings, normalize = recipe.data, _normalization(recipe, info, backend)
    if settings.pipeline == "device" and not isinstance(split.images, np.ndarray):
        message = f"device needs images that are one array, and '{recipe.dataset.use}' reads them one by one; take auto"
        raise UserError(f"data.pipeline: {message}")
    return Pipeline(
        split, samples, batches, normalize, backend, batch_size, recipe.seed, settings.workers, settings.pipeline
    )


def takes_source(transforms: Sequence[Named[TransformComponent]]) -> bool:
    """Tell whether the first of these transforms is given each image whole."""
    return any(getattr(named.component, "takes_source", False) for named in transforms[:1])


def _normalization(recipe: Recipe, info: DataInfo, backend: Backend) -> Callable[[torch.Tensor], torch.Tensor]:
    if recipe.data.normalize is False:
        return scale
    mean, std = mean_and_std(recipe, info)
    channels = info.channels
    if {len(mean), len(std)} != {channels}:
        raise UserError(f"data.normalize: the images have {channels} channels, mean {len(mean)} and std {len(std)}")
    return Normalize(mean, std, backend.device)


def mean_and_std(recipe: Recipe, info: DataInfo) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel by which pixels, scaled to [0, 1], are normalised."""
    chosen = recipe.data.normalize
    if chosen is False:
        return (0.0,) * info.channels, (1.0,) * info.channels
    return (chosen.mean, chosen.std) if isinstance(chosen, Normalization) else (info.mean, info.std)


def _init_from_data(parts: Parts) -> None:
    """Show training images, as evaluation would, to a model that has `init_from_data`: the first ones of epoch 0."""
    init = getattr(parts.model, "init_from_data", None)
    if init is None:
        return
    pipeline = replace(parts.evaluation(parts.data.train), skip=parts.training.skip)
    first = epoch_order(parts.recipe.seed, 0, len(parts.data.train))[:INIT_IMAGES]
    with rng_untouched(), torch.no_grad(), blame("model", parts.recipe.model):
        init(pipeline.inputs(first.tolist()))


@torch.inference_mode()
def _rehearse(parts: Parts) -> None:
    """Send two images through transforms and model: what does not fit would fail much later, or in a worker."""
    named, classes, info = parts.recipe.model, parts.data.info.num_classes, parts.data.info
    with rng_untouched():
        train = _rehearsed(
            "train_transforms", parts.training, parts.recipe.train_transforms, info.at_training_size().size
        )
        test = _rehearsed("eval_transforms", parts.test, parts.recipe.eval_transforms, info.size)
        for pipeline in (parts.training, parts.watched, parts.test):
            pipeline.resident  # noqa: B018 - now rather than at the first epoch: there may be no room
        for images in (test, train) if info.train_sizes else (test,):
            with blame("model", named), parts.backend.autocast():
                shape = tuple(parts.model.eval()(images).shape)
            if shape != (len(images), classes):
                raise UserError(
                    f"model '{named.use}' answers {len(images)} images with a tensor of shape {shape}; "
                    f"the data's {classes} classes need ({len(images)}, {classes})"
                )


def _rehearsed(
    section: str, pipeline: Pipeline, transforms: Sequence[Named[TransformComponent]], size: Size
) -> torch.Tensor:
    """Return two images as the model is given them. Raises UserError where they have another size than they should."""
    with blame(f"data.{section}"):
        images = pipeline.first(2)
        if tuple(images.shape[2:]) != size:
            raise UserError(_other_size(section, pipeline, transforms, size))
    return images


def _other_size(section: str, pipeline: Pipeline, transforms: Sequence[Named[TransformComponent]], size: Size) -> str:
    """Say which transform it is that leaves images of another size than the model is to see."""
    sizes = [tuple(pipeline.with_first(count, size).first(1).shape[2:]) for count in range(len(transforms) + 1)]
    last = next(at for at in range(len(transforms), 0, -1) if sizes[at] != sizes[at - 1])
    (height, width), key = sizes[-1], {"train": "data.size", "eval": "data.eval_size"}[section.partition("_")[0]]
    return (
        f"data.{section}.{last - 1}: '{transforms[last - 1].use}' leaves images of {height}x{width} pixels, not "
        f"{size[0]}x{size[1]} ({key}): say {key}=[{height},{width}], or let the transforms end with that size"
    )


def _rehearse_smallest_batch(parts: Parts) -> None:
    """Send the smallest batch that any process will train on through a copy of the model.

    BatchNorm refuses one value per channel, and a run would find that out at the end of its first epoch. A batch as
    large as the others is not tried: it would fail at the first step. Raises UserError, alike in all processes.
    """
    size, usual = (_least_share(parts, count) for count in (parts.steps.smallest_batch, parts.recipe.data.batch_size))
    if 1 < size == usual:
        return
    with rng_untouched(), torch.no_grad(), blame("model", parts.recipe.model):
        images = parts.training.first(2)
        try:
            _train_forward(parts, images, size)
        except Exception as error:
            _train_forward(parts, images, max(2, usual))  # what fails here too is not the small batch's fault
            raise UserError(_too_small(parts, size, error)) from error


def _least_share(parts: Parts, count: int) -> int:
    """Return how many images a layer sees at once, at least, of a batch of `count`: each process has one or more."""
    world = parts.backend.world
    return max(world.size, count) if parts.recipe.train.sync_batchnorm else max(1, count // world.size)


def _train_forward(parts: Parts, images: torch.Tensor, size: int) -> None:
    """Let a copy of the model see `size` images in train mode; images: (N, C, H, W), repeated as needed."""
    batch = parts.backend.order(images[torch.arange(size, device=images.device) % len(images)])
    with parts.backend.autocast():
        copy.deepcopy(parts.model).train()(batch)


def _too_small(parts: Parts, size: int, error: Exception) -> str:
    steps, world, data = parts.steps, parts.backend.world, parts.recipe.data
    images = f"{size} image{'s' * (size > 1)}"
    whose = f" for one of {world.size} processes" if world.size > 1 else ""
    if steps.smallest_batch == data.batch_size:
        return (
            f"data.batch_size: '{parts.recipe.model.use}' cannot train on {images}{whose} ({error}); take a larger one"
        )
    return (
        f"data.batch_size: {steps.samples} training images in batches of {data.batch_size} leave a last batch of "
        f"{steps.smallest_batch}, {images}{whose}, on which '{parts.recipe.model.use}' cannot train ({error}); "
        "set data.drop_last=true, or take another data.batch_size"
    )
