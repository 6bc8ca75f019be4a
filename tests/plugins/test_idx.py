"""Images in MNIST's file format."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from frame import UserError
from frame_plugins.data.idx import Idx

DEBIANS = Path("/usr/share/datasets/fashion-mnist")
RNG = np.random.default_rng(0)


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder: Path, size=(5, 4), **changed: bytes) -> Path:
    """Write the four files, those of training gzipped; `changed`: other contents, by a file's first two words."""
    pixels = {part: RNG.integers(0, 256, (count, *size), np.uint8) for part, count in (("train", 6), ("t10k", 3))}
    for part, images in pixels.items():
        labels = (np.arange(len(images)) % 3).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = changed.get(name.partition("-idx")[0].replace("-", "_"), idx(array))
            if part == "train":
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name.replace("-idx", ".idx")).write_bytes(content)
    return folder


def test_images_labels_and_classes_are_the_files(tmp_path):
    data = Idx(classes=("a", "b", "c")).build(write(tmp_path))
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(6, 5, 4, 1)
    assert np.array_equal(data.train.images, pixels)
    assert data.train.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert (data.classes, data.shape, len(data.test)) == (("a", "b", "c"), (5, 4, 1), 3)
    assert data.train.source(4) == "train-images-idx3-ubyte.gz[4]"
    assert Idx().build(tmp_path).classes == ("0", "1", "2")


def test_colour_images_are_arrays_of_four_dimensions(tmp_path):
    assert Idx().build(write(tmp_path, size=(5, 4, 3))).shape == (5, 4, 3)


GOOD = np.zeros((6, 5, 4), np.uint8)
WRONG = {
    "an ending that is missing": ({"train_images": idx(GOOD)[:-7]}, "cut short or damaged: it has 129 bytes, not 136"),
    "a head that is missing": ({"train_images": b"\0\0\x08\x03\0\0"}, "it has 6 bytes, not a whole head"),
    "another format": ({"train_images": b"\x89PNG\r\n"}, "is no idx file: it begins with 89 50 4e 47"),
    "nothing": ({"t10k_labels": b""}, "is no idx file: it begins with nothing"),
    "other values": ({"train_images": idx(GOOD.astype(">f4"), 0x0D)}, "holds float32 values: pixels and labels are"),
    "labels for images": ({"train_images": idx(GOOD[:, 0, 0])}, "an array of 1 dimensions, not 3 or 4"),
    "fewer labels": ({"train_labels": idx(GOOD[:5, 0, 0])}, "has 6 images, and train-labels-idx1-ubyte.gz has 5 label"),
    "no image": ({"train_images": idx(GOOD[:0]), "train_labels": idx(GOOD[:0, 0, 0])}, "has no image"),
    "two shapes": ({"t10k_images": idx(np.zeros((3, 5, 5), np.uint8))}, "5x4x1 in training, 5x5x1 in testing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(tmp_path, what):
    changed, said = WRONG[what]
    with pytest.raises(UserError) as error:
        Idx().build(write(tmp_path, **changed))
    assert said in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_all_missing_files_and_classes_too_few_are_named(tmp_path):
    with pytest.raises(UserError) as error:
        Idx().build(tmp_path)
    assert [line.partition(": no such file")[0] for line in str(error.value).splitlines()] == [
        str(tmp_path / f"{part}-{kind}-ubyte") for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    with pytest.raises(UserError, match=r"data\.classes: names 2 classes, and there is an image of number 2"):
        Idx(classes=("a", "b")).build(write(tmp_path))


def test_a_damaged_archive_is_named(tmp_path):
    file = write(tmp_path) / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        Idx().build(tmp_path)


@pytest.mark.skipif(not DEBIANS.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist_is_read_as_debian_has_it():
    data = Idx().build(DEBIANS)
    assert (len(data.train), len(data.test), data.shape) == (60_000, 10_000, (28, 28, 1))
    assert np.bincount(data.train.targets).tolist() == [6_000] * 10
    assert data.mean == pytest.approx([0.286], abs=0.002)
    assert data.std == pytest.approx([0.353], abs=0.002)
