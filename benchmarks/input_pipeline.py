"""Images per second of crop, flip, cutout and normalisation on one thread: frame's batched transforms against
torchvision v2 and albumentations image by image.

    uv run python benchmarks/input_pipeline.py

Each makes normalised float batches of 512 from uint8 images of 32 x 32 in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else importing it asks its server for news

import albumentations
import cv2
import numpy as np
import torch
from _pairs import arguments, interleaved, print_conditions, print_table, ratios, spread
from _synthetic import split
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from frame import DataInfo, Split
from frame.compute.allocator import keep_freed_memory
from frame.compute.device import Backend
from frame.input.pipeline import Normalize, Pipeline
from frame_plugins.transforms.batch_ops import Cutout, RandomCrop, RandomFlip

MEAN, STD, BATCH = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26), 512
CPU = torch.device("cpu")
Epoch = Callable[[], object]  # reads every image once


def batched(data: Split) -> Epoch:
    """Return an epoch of frame's own pipeline."""
    info = DataInfo(tuple("abcdefghij"), (32, 32, 3), MEAN, STD, len(data))
    transforms = [component.build(info) for component in (RandomCrop(padding=4), RandomFlip(), Cutout(size=8, p=0.75))]
    normalize = Normalize(MEAN, STD, CPU)
    pipeline = Pipeline(data, [], transforms, normalize, Backend(CPU, "fp32", True), BATCH, seed=0)
    epochs = iter(range(10**9))
    return lambda: sum(len(batch) for batch in pipeline.training(next(epochs), -(-len(data) // BATCH)))


def one_by_one(change: Callable[[int], Tensor], count: int) -> Epoch:
    """Return an epoch that changes each image by itself and stacks the batches. change: number -> (C, H, W)."""

    def epoch() -> None:
        for first in range(0, count, BATCH):
            torch.stack([change(number) for number in range(first, min(first + BATCH, count))])

    return epoch


def torchvision_on(images: list[object], start: list[v2.Transform]) -> Epoch:
    """Return an epoch of torchvision v2 over PIL images or uint8 tensors."""
    steps = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *start, v2.ToDtype(torch.float32, scale=True)]
    erase = v2.RandomErasing(p=0.75, scale=(1 / 16, 1 / 16), ratio=(1, 1), value=list(MEAN))  # 8 x 8 of 32 x 32
    transform = v2.Compose([*steps, erase, v2.Normalize(MEAN, STD)])
    return one_by_one(lambda number: transform(images[number]), len(images))


def albumentations_on(images: np.ndarray) -> Epoch:
    """Return an epoch of albumentations over uint8 arrays."""
    fill = tuple(round(255 * mean) for mean in MEAN)
    one = (8, 8)
    transform = albumentations.Compose(
        [
            albumentations.PadIfNeeded(40, 40, border_mode=cv2.BORDER_CONSTANT, fill=0),
            albumentations.RandomCrop(32, 32),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.CoarseDropout((1, 1), one, one, fill=fill, p=0.75),
            albumentations.Normalize(MEAN, STD),
        ]
    )

    def change(number: int) -> Tensor:
        return torch.from_numpy(transform(image=images[number])["image"]).permute(2, 0, 1)

    return one_by_one(change, len(images))


def main() -> None:
    """Time the epochs and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="images of an epoch of the batched transforms")
    parser.add_argument("--single", type=int, default=4_000, help="images of an epoch of the others")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a run on the CPU does; it holds for all
    cv2.setNumThreads(0)
    large, small = split(options.images, 32), split(options.single, 32)
    pixels = np.asarray(small.images)
    pictures, tensors = [Image.fromarray(one) for one in pixels], list(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    ways = {
        "frame, batched": (batched(large), len(large)),
        "torchvision v2, PIL images": (torchvision_on(pictures, [v2.ToImage()]), len(small)),
        "torchvision v2, tensors": (torchvision_on(tensors, []), len(small)),
        "albumentations": (albumentations_on(pixels), len(small)),
    }

    def rate(epoch: Epoch, images: int) -> float:
        since = time.perf_counter()
        epoch()
        return images / (time.perf_counter() - since)

    candidates = {name: partial(rate, *way) for name, way in ways.items()}
    interleaved(candidates, 1)
    found = interleaved(candidates, options.pairs)
    first = next(iter(ways))
    rows = [[name, format(median(found[name]), ",.0f"), *spread(ratios(found, first, name), ".1f")] for name in ways]
    print_table(["", "images/s", "frame's over it: median", "min", "max"], rows)
    print_conditions(options.pairs)


if __name__ == "__main__":
    main()
