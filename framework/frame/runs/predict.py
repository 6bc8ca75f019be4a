"""A finished run's model on image files, a batch at a time: of a million files, no list is ever made."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from glob import has_magic, iglob
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from ..analysis.heat_pictures import HeatPictures
from ..api.data import Image, Size, Split
from ..api.images import EncodedSource, Omissions, is_image_name
from ..errors import UserError
from ..input.fitting import Fit, fit_of
from ..input.pipeline import Pipeline
from ..training.build import Network
from ..training.culprit import EVALUATION, at_work
from ..training.faults import faults_explained
from .open import Run

THREADS = 8
"""That decode images at most."""

Unread = Callable[[str, str], None]
"""Gets the name of a file or folder that cannot be read, and why."""


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image file with their probabilities, the likeliest first."""

    file: str
    top: list[tuple[str, float]]


def predict(
    run: Run, files: Iterable[str], top: int, unread: Unread, pictures: HeatPictures | None = None
) -> Iterator[Prediction]:
    """Yield the kept model's answer to each image file, in order, without those that cannot be read.

    An image is fitted as the run's test images were, and then passes through all that they did. pictures: write them of
    each batch before its predictions. Raises UserError for a run whose data has neither one nor three channels.
    """
    network = run.network()
    if run.info.channels not in (1, 3):
        raise UserError(f"{run.path}: its images have {run.info.channels} channels, which no image file is read as")
    prepare = partial(_prepared, fit=fit_of(network.recipe.data, run.info), size=run.info.size)
    names, size = iter(files), network.recipe.data.eval_batch_size
    with faults_explained(network.recipe), ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        while batch := list(islice(names, size)):
            with warnings.catch_warnings():
                warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)  # PIL's word for too many pixels
                found = list(zip(batch, pool.map(prepare, batch), strict=True))
            for name, image in found:
                if isinstance(image, UserError):
                    unread(name, str(image.__cause__ or image))
            read = [(name, image) for name, image in found if not isinstance(image, UserError)]
            if read:
                images = np.stack([image for _, image in read])  # (N, H, W, C)
                pipeline = network.evaluation(Split(images, np.zeros(len(images), np.int64)))
                probabilities = _answered(network, pipeline)
                if pictures:
                    pictures.write(network, pipeline, [name for name, _ in read], probabilities.argmax(1))
                for (name, _), row in zip(read, probabilities, strict=True):
                    yield Prediction(name, [(run.info.classes[k], float(row[k])) for k in np.argsort(-row)[:top]])


def _prepared(name: str, fit: Fit, size: Size) -> Image | UserError:
    """Return an image file at the size of evaluation, (H, W, C) uint8, or why it cannot be."""
    try:
        return fit(EncodedSource(Path(name), name), size)
    except UserError as error:
        return error


@at_work(EVALUATION)
@torch.inference_mode()
def _answered(network: Network, pipeline: Pipeline) -> np.ndarray:
    """Return the probabilities (N, classes) of all images of `pipeline`."""
    with network.backend.autocast():
        logits = network.forward(network.model, pipeline.inputs(range(len(pipeline.split))))
    return logits.float().softmax(1).cpu().numpy()


def image_files(names: Iterable[str], listed: Iterable[str], unread: Unread, left_out: Omissions) -> Iterator[str]:
    """Yield the files that these names mean: a file, a folder's images at any depth, a pattern, or `-`: those `listed`.

    Hidden files and folders are passed over; left_out counts what else of a folder is: files with other endings, and
    links to folders. A folder's files come as the disk has them, in no order.
    """
    for name in names:
        if not name:
            continue
        if name == "-":
            yield from image_files((line.rstrip("\r\n") for line in listed), (), unread, left_out)
        elif Path(name).is_dir():
            yield from _below(name, unread, left_out)
        elif has_magic(name) and not Path(name).exists():
            matches = iglob(name, recursive=True)  # noqa: PTH207 - any pattern, from any root
            if (first := next(matches, None)) is None:
                unread(name, "no file fits this pattern")
                continue
            yield from image_files((match for part in ([first], matches) for match in part), (), unread, left_out)
        else:
            yield name


def _below(folder: str, unread: Unread, left_out: Omissions) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_dir():
                        left_out.add("linked folders", entry.path)
                    elif is_image_name(entry.name):
                        yield entry.path
                    else:
                        left_out.add_file(entry.path)
        except OSError as error:
            unread(place, error.strerror or str(error))
