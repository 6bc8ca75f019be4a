"""The images that the page carries: small ones to browse, with their heat maps, and the analyzers' pictures."""

from __future__ import annotations

import base64
import io
import itertools
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..api.figures import HEAT
from ..api.ranking import number
from ..rundir.folder import RunDir
from ..rundir.jsonfile import MAX_BYTES, damaged, small_enough
from ..rundir.weights import read_classes, read_predictions
from .shapes import Damaged

BUDGET = 4_000_000
"""Bytes of all browsable images together: with the pictures, a report stays under 8 MB."""
SIDE = 160
"""Pixels of a browsable image's longer side at most; smaller ones stay as they are, to the pixel."""
HEAT_SIDE = 56
TOP = 5
"""How many classes an image's page lists."""
FORMATS = ("PNG", "JPEG", "WEBP")

Entry = dict[str, Any]


@dataclass(frozen=True)
class SavedPredictions:
    """The saved predictions. probabilities: (N, classes); targets: (N,)."""

    probabilities: np.ndarray
    targets: np.ndarray
    classes: list[str]

    @classmethod
    def read(cls, folder: RunDir) -> SavedPredictions | None:
        """Return what the run predicted, None if it has not come to that. Raises UserError for damaged files."""
        if not (folder.predictions.is_file() and folder.weights.is_file()):
            return None
        classes = read_classes(folder)
        predictions = read_predictions(folder, len(classes))
        return cls(np.nan_to_num(predictions.probabilities), predictions.targets, classes)

    @property
    def mistakes(self) -> int:
        return int((self.probabilities.argmax(1) != self.targets).sum())

    def cells(self) -> list[tuple[int, int, int]]:
        """Return how many images there are of each true and predicted class: (true, predicted, count) where any."""
        places = self.targets * len(self.classes) + self.probabilities.argmax(1)
        found, counts = np.unique(places, return_counts=True)
        pairs = (divmod(place, len(self.classes)) for place in found.tolist())
        return [(*pair, count) for pair, count in zip(pairs, counts.tolist(), strict=True)]

    def top(self, index: int) -> list[tuple[str, float]]:
        """Return the likeliest classes of one image with their probabilities."""
        row = self.probabilities[index]
        return [(self.classes[k], round(float(row[k]), 4)) for k in np.argsort(-row)[:TOP]]


def browsable(
    folder: RunDir, results: Sequence[Mapping[str, Any]], predictions: SavedPredictions | None, notes: Damaged
) -> tuple[list[Entry], int]:
    """Return the images of all analyzers, one entry an image, as many as fit, and how many did not.

    notes: gets what is damaged.
    """
    gathered: dict[int, Entry] = {}
    spent = left_out = 0
    with Archives(folder.analysis) as archives:
        for name, item in _in_turns(results):
            if item["index"] not in gathered and spent > BUDGET:
                left_out += 1
            elif name not in archives.broken:
                spent += notes.without(0, _gather, gathered, archives, name, item, predictions)
    return list(gathered.values()), left_out


def _gather(
    gathered: dict[int, Entry], archives: Archives, name: str, item: Entry, predictions: SavedPredictions | None
) -> int:
    """Add an image of an analyzer, with its heat maps, to those gathered; return how many bytes that takes."""
    entry, spent = gathered.get(item["index"]), 0
    if entry is None:
        entry = gathered[item["index"]] = _entry(item, archives.read(name, item["file"]), predictions)
        spent = len(entry["src"])
    if name not in entry["in"]:
        entry["in"].append(name)
    for heat, file in item["heats"].items():
        grey = archives.read(name, file)
        source = _webp(_heat(grey), lossless=False)
        entry["heats"].append({"name": heat, "src": source, "cold": grey.getextrema()[1] == 0})
        spent += len(source)
    return spent


def _in_turns(results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Entry]]:
    """Yield (analyzer, image): those with heat maps first, then an image of each analyzer in turn."""
    queues = [[(result["name"], item) for item in result["images"]] for result in results]
    yield from (pair for queue in queues for pair in queue if pair[1]["heats"])
    for turn in itertools.zip_longest(*queues):
        yield from (pair for pair in turn if pair and not pair[1]["heats"])


def _entry(item: Entry, image: Image.Image, predictions: SavedPredictions | None) -> Entry:
    facts = {key: item[key] for key in ("index", "target", "predicted", "source")}
    facts |= {"confidence": _finite(item["confidence"]) or 0.0, "loss": _finite(item["loss"])}
    top = predictions.top(item["index"]) if predictions and item["index"] < len(predictions.targets) else []
    return {**facts, **small_picture(image), "top": top, "in": [], "heats": []}


def small_picture(image: Image.Image) -> Entry:
    """Return an image as pages carry it, as `src`, and whether it is `small`: then it is shown pixel for pixel."""
    image.thumbnail((SIDE, SIDE))
    small = max(image.size) <= 64
    return {"src": _webp(image, lossless=small), "small": small}


def _finite(value: float | None) -> float | None:
    """Return a number with four decimals; null where it is none, or not finite."""
    known = number(value)
    return None if known is None else round(known, 4)


class Archives:
    """The images.zip of each analyzer, opened once. broken: the analyzers whose archive is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: dict[str, zipfile.ZipFile] = {}
        self.broken: set[str] = set()

    def __enter__(self) -> Archives:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self.open.values():
            archive.close()

    def read(self, name: str, file: str) -> Image.Image:
        """Return an analyzer's image. Raises UserError where its archive is damaged."""
        path = self.folder / name / "images.zip"
        try:
            if name not in self.open:
                self.open[name] = zipfile.ZipFile(small_enough(path))
            member = self.open[name].getinfo(file)
            if member.file_size > MAX_BYTES:
                raise ValueError(f"{file} has more than {MAX_BYTES:,} bytes")
            return _decode(io.BytesIO(self.open[name].read(member)))
        except Exception as error:  # what zipfile, its decompressors and PIL raise
            self.broken.add(name)
            raise damaged(path, error) from error


def _decode(source: Path | io.BytesIO) -> Image.Image:
    """Return an image, grey or RGB. Raises what PIL raises, also for more pixels than it thinks right."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(source, formats=FORMATS) as image:
            return image.copy() if image.mode == "L" else image.convert("RGB")


@cache
def _inferno() -> np.ndarray:
    """(256, 3) uint8: the colours of heat maps, as in the pictures."""
    from matplotlib import colormaps

    return (colormaps[HEAT](np.arange(256))[:, :3] * 255).astype(np.uint8)


def _heat(image: Image.Image) -> Image.Image:
    """Colour a heat map; where there is no heat it is transparent."""
    image.thumbnail((HEAT_SIDE, HEAT_SIDE))
    heat = np.asarray(image.convert("L"))
    alpha = (255 * np.minimum(1, 0.25 + heat / 255)).astype(np.uint8)
    return Image.fromarray(np.dstack([_inferno()[heat], np.where(heat > 8, alpha, 0)]).astype(np.uint8))


def _webp(image: Image.Image, *, lossless: bool) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="webp", lossless=lossless, quality=88, method=4)
    return data_uri(buffer.getvalue())


def inline_picture(figure: Entry, path: Path) -> None:
    """Put a picture's file into the figure, smaller than the PNG on the disk, with its size in pixels.

    Raises UserError where it is damaged.
    """
    try:
        image = _decode(small_enough(path))
        figure["src"] = _webp(image, lossless=False)
    except Exception as error:  # what PIL raises
        raise damaged(path, error) from error
    figure["width"], figure["height"] = image.size


def data_uri(content: bytes) -> str:
    """Return a WebP image as an address that a page can hold."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
