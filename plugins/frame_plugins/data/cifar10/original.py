"""The original CIFAR-10 files: `cifar-10-batches-py` and the archive it comes in.

The batches are pickles, which can run anything when they are read: only files with the original's checksum are.
"""

from __future__ import annotations

import socket
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5, check_integrity, download_url

from frame import Split, UserError

from . import CLASSES

BATCHES: str = CIFAR10.base_folder
ARCHIVE: str = CIFAR10.filename
NETWORK_TIMEOUT_SECONDS = 30


def read_batches(root: Path) -> tuple[Split, Split]:
    """Return train and test of `root/cifar-10-batches-py`, in the original's order."""
    try:
        # torchvision verifies the checksum of each file before it unpickles any
        train, test = (CIFAR10(root, train=train) for train in (True, False))
    except OSError as error:
        raise UserError(f"{root / BATCHES}: cannot be read: {error}") from error
    except RuntimeError as error:
        files = [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]
        wrong = [name for name, md5 in files if not check_integrity(root / BATCHES / name, md5)]
        raise UserError(
            f"{root / BATCHES}: missing or not the original's (checksum): {', '.join(wrong)}; remove this folder to "
            "have it downloaded, or copy it anew"
        ) from error
    return _split(train), _split(test)


def _split(part: CIFAR10) -> Split:
    # torchvision gives a transposed view of (N, 3, 32, 32)
    return Split(np.ascontiguousarray(part.data), np.asarray(part.targets, np.int64))


def read_archive(archive: Path) -> tuple[Split, Split]:
    """Return train and test of `cifar-10-python.tar.gz`, unpacked in a temporary folder: its own may be read-only."""
    try:
        md5 = calculate_md5(archive)
    except OSError as error:
        raise UserError(f"{archive}: cannot be read: {error.strerror}") from error
    if md5 != CIFAR10.tgz_md5:
        raise UserError(
            f"{archive}: damaged or incomplete: its md5 is {md5}, the original's {CIFAR10.tgz_md5}; remove it to have "
            "it downloaded, or copy it anew"
        )
    with tempfile.TemporaryDirectory(prefix="frame-cifar10-") as folder:
        try:
            unpack(archive, Path(folder))
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise UserError(f"{archive} cannot be unpacked: {error}") from error
        return read_batches(Path(folder))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, none of whose members may lie outside the folder, or be more than a file."""
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(folder, filter="data")


def download(root: Path) -> None:
    """Put the original's `cifar-10-batches-py` into `root`. Raises UserError that says how to do it by hand.

    What is not whole, or not the original, never gets there: it is moved when all checksums are right.
    """
    new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cifar10-download-", dir=root) as folder, _network_timeout():
            download_url(CIFAR10.url, folder, ARCHIVE, CIFAR10.tgz_md5)
            unpack(Path(folder) / ARCHIVE, Path(folder))
            CIFAR10(folder)  # verifies the checksum of each file
            _move(Path(folder) / BATCHES, root / BATCHES)
    except (OSError, RuntimeError, HTTPException, tarfile.TarError, zlib.error, EOFError) as error:
        if new:
            with suppress(OSError):
                root.rmdir()
        raise UserError(
            f"CIFAR-10 is not in {root} and could not be downloaded ({error}). Put one of these there, or say in "
            f"data.root or the variable FRAME_DATA_DIR where it is:\n"
            f"  {root / ARCHIVE}, from {CIFAR10.url}, md5 {CIFAR10.tgz_md5}\n"
            f"  {root}/train/<class>/ and {root}/test/<class>/ with the images, classes {', '.join(CLASSES)}"
        ) from error


@contextmanager
def _network_timeout() -> Iterator[None]:
    """Give up on a server that does not answer; torchvision would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _move(batches: Path, place: Path) -> None:
    try:
        batches.rename(place)
    except OSError:
        if not place.is_dir():  # else another run was faster, and brought the same files
            raise
