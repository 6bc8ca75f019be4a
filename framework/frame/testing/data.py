"""The contract of datasets: images (H, W, C) uint8, one integer target each, the same at each reading."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np

from ..api.components import Component, DatasetComponent
from ..api.data import DataSplits, Source, Split
from ..errors import FrameError
from .contract import ComponentContract
from .guards import no_network, require

LOOKED_AT = 8
"""Images of a split that are read."""


class DatasetContract(ComponentContract):
    """What a dataset promises: uint8 images of one shape, int64 targets, the same at each reading."""

    kind: ClassVar[type[Component]] = DatasetComponent
    root: ClassVar[Path | None] = None
    """A folder that holds the data; without it, a new one, which `prepare` fills."""
    data_may_be_missing: ClassVar[bool] = False
    """Whether the checks that need data are skipped where the dataset says that it has none."""

    def prepare(self, root: Path) -> None:
        """Write what the dataset reads (a few images will do) into the folder `root`; override it where needed."""

    @contextmanager
    def read(self) -> Iterator[DataSplits]:
        """Build the dataset without a network; its files are there as long as the block runs."""
        with tempfile.TemporaryDirectory() as folder, no_network():
            if self.root is None:
                self.prepare(Path(folder))
            try:
                data = self.ready().build(self.root or Path(folder))
            except (FrameError, OSError) as error:
                message = f"{self.name} finds no data: {error}".replace(folder, "the data root")
                if self.data_may_be_missing:
                    raise SkipTest(f"{message}; set FRAME_DATA_DIR to a folder that has them") from error
                advice = "override prepare(root), which writes a few images, or give `root`, a folder that has them"
                raise AssertionError(f"{message}; {advice}") from error
            require(isinstance(data, DataSplits), f"{self.name}.build returned {type(data).__name__}, not DataSplits")
            yield data

    def outcome(self) -> Any:
        with self.read() as data:
            facts = [data.classes, data.shape, data.mean, data.std, data.checksum]
            return [
                facts,
                [
                    [name, part.targets, list(part.sources), [pixels(one) for one in some(part)]]
                    for name, part in splits(data)
                ],
            ]

    def test_images_are_as_promised(self) -> None:
        with self.read() as data:
            for name, split in splits(data):
                where = f"the {name} split of {self.name}"
                require(len(split), f"{where} is empty: raise a UserError that says where its images should be")
                found, expected = len(split.images), len(split.targets)
                require(found == expected, f"{where} has {found} images and {expected} targets: one target an image")
                for image in some(split):
                    if data.shape is None:
                        self._check_source(image, where)
                        continue
                    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
                    message = f"has an image of shape {shape}, and says {tuple(data.shape)}: make them (H, W, C)"
                    require(shape == tuple(data.shape), f"{where} {message}")
                    require(dtype == np.uint8, f"{where} has an image of {dtype}: pixels are uint8, 0..255")

    def _check_source(self, image: Any, where: str) -> None:
        advice = "give DataSplits a shape where all images have one, and a frame.Source for each where they have not"
        require(isinstance(image, Source), f"{where} has an image that is a {type(image).__name__}: {advice}")
        whole, part = image.decode(), image.decode((0, 0, image.width / 2, image.height), (3, 5))
        found = whole.shape[:2], part.shape[:2]
        right = (image.height, image.width), (3, 5)
        require(found == right, f"{where}: an image decodes to {found}, not {right}: all of it, and a part at a size")
        require(whole.dtype == np.uint8, f"{where} has an image of {whole.dtype}: pixels are uint8, 0..255")

    def test_targets_are_as_promised(self) -> None:
        with self.read() as data:
            classes = data.classes
            named = isinstance(classes, tuple) and classes and all(isinstance(one, str) and one for one in classes)
            require(named, f"the classes of {self.name} are {classes!r}: return a tuple of names")
            require(len(set(classes)) == len(classes), f"two classes of {self.name} have one name: tell them apart")
            for name, split in splits(data):
                where, targets = f"the targets of the {name} split of {self.name}", split.targets
                fits = isinstance(targets, np.ndarray) and targets.ndim == 1 and targets.dtype == np.int64
                kind = f"{getattr(targets, 'dtype', type(targets).__name__)} {getattr(targets, 'shape', '')}".strip()
                require(fits, f"{where} are {kind}: return an array (N,) of int64")
                known = bool(((targets >= 0) & (targets < len(classes))).all())
                require(known, f"{where} reach from {targets.min()} to {targets.max()}: count {len(classes)} from 0")
                sources = len(split.sources)
                require(sources in (0, len(split)), f"{where}: there are {sources} sources: name one an image, or none")

    def test_statistics_are_as_promised(self) -> None:
        with self.read() as data:
            for name in ("mean", "std"):
                if data.shape is None:
                    continue
                values, channels = getattr(data, name), data.shape[2]
                message = f"{name} of {self.name} has {len(values)} values for {channels} channels"
                require(len(values) == channels, f"{message}: return one a channel")
                scaled = all(0 <= value <= 1 for value in values) and (name == "mean" or min(values) > 0)
                message = f"{name} of {self.name} is {values}: compute it of pixels scaled to [0, 1]; a std is above 0"
                require(scaled, message)
            message = "return one of images and targets, so that a resumed run knows its data"
            require(data.checksum, f"{self.name} has no checksum: {message}")

    def test_missing_data_is_the_users_error(self) -> None:
        """No traceback for a mistyped folder: an error that says what belongs there."""
        with tempfile.TemporaryDirectory() as folder, no_network():
            try:
                self.ready().build(Path(folder) / "missing")
            except FrameError:
                return
            except Exception as error:
                message = f"{self.name} with a data root that does not exist raised {type(error).__name__}: {error}"
                raise AssertionError(f"{message}; raise frame.UserError, which says what it looks for") from error


def some(split: Split) -> list[Any]:
    """Return some of a split's images: the first ones and the last."""
    numbers = {*range(min(LOOKED_AT, len(split))), len(split) - 1} - {-1}
    return [split.images[number] for number in sorted(numbers)]


def pixels(image: Any) -> Any:
    """Return an image's pixels."""
    return image.decode() if isinstance(image, Source) else image


def splits(data: DataSplits) -> Iterator[tuple[str, Split]]:
    """Yield the dataset's splits by name."""
    yield "train", data.train
    yield "test", data.test
    if data.validation:
        yield "validation", data.validation
