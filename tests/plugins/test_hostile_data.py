"""Whatever lies in a data folder: data that can be used, or an error that names what cannot, in bounded time."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tarfile
import zlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torchvision.datasets import CIFAR10

from frame import DataSplits, UserError
from frame.input.sizes import fit_data
from frame.recipe.settings import DataSettings
from frame_plugins.data.cifar10 import CLASSES, Cifar10
from frame_plugins.data.cifar10.original import ARCHIVE, BATCHES
from frame_plugins.data.image_folder import ImageFolder

SIZE = 16
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
NAMES = (
    "a\nb", "'\"`", "<img src=x onerror=alert(1)>", "..a",
    "...", "-rf", "--", " ", "x" * 200, "\x1b[31m", "${a}",
    "%s{}", "$x^{", "=1+1", "é\u202e", "con",
    "a\\b", os.fsdecode(b"\xff\xfe"), os.fsdecode(b"\xed\xa0\x80"),
)  # fmt: skip


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (32, 32), **options) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.effect_noise(size, 90).convert(mode).save(buffer, format=kind, **options)
    return buffer.getvalue()


REAL = {
    **{kind: encoded(kind) for kind in FORMATS},
    "palette": encoded("PNG", "P"),
    "transparent": encoded("PNG", "RGBA"),
    "one bit": encoded("TIFF", "1", compression="group4"),
    "packed": encoded("TIFF", compression="tiff_lzw"),
    "cmyk": encoded("JPEG", "CMYK"),
    "lossless": encoded("WEBP", "RGBA", lossless=True),
    "moving": encoded("GIF", "P", save_all=True, append_images=[PIL.Image.new("P", (32, 32), 3)]),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(/tmp/pwned) (w) file\n",
}


@st.composite
def damaged(draw) -> bytes:
    """A real image with some of its bytes changed, swapped, taken out or cut off."""
    raw = bytearray(REAL[draw(st.sampled_from(sorted(REAL)))])
    early = st.integers(0, 80) | st.integers(0, len(raw) - 1)  # headers are where the lies are told
    for _ in range(draw(st.integers(0, 4))):
        raw[min(draw(early), len(raw) - 1)] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    if draw(st.booleans()):
        raw = raw[: draw(st.integers(0, len(raw)))]
    return bytes(raw)


contents = st.binary(max_size=300) | damaged() | damaged()
file_names = st.builds(
    lambda stem, ending: f"{stem}{ending}",
    st.sampled_from(NAMES) | st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=8),
    st.sampled_from([".png", ".JPG", ".gif", ".tiff", ".webp", ".bmp", ".ppm", "", ".png.txt", ".exe"]),
)
links = st.sampled_from(
    ["/dev/zero", "/dev/null", "/dev/stdin", ".", "..", "../..", "/", "/proc", "gone", "itself", "0.png"]
)
Oddity = tuple[str, str, bytes | str | None]
oddities = st.lists(
    st.tuples(st.just("file"), file_names, contents)
    | st.tuples(st.just("link"), file_names | st.just("itself"), links)
    | st.tuples(st.sampled_from(["pipe", "folder"]), file_names, st.none()),
    min_size=1,
    max_size=4,
)
places = st.sampled_from(["", "train", "test", "train/ant", "train/airplane", "test/bee", "val", "train/ant/deep"])


def put(folder: Path, kind: str, name: str, content) -> None:
    """Put something odd into a folder, if it can have such a name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.parent != folder or os.path.lexists(path) or len(os.fsencode(name)) > 255 or name in ("", ".", ".."):
        return
    if kind == "file":
        path.write_bytes(content)
    elif kind == "link":
        path.symlink_to(content)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


def tree(root: Path, classes=("ant", "bee"), parts=("train", "test"), size=32) -> None:
    for part in parts:
        for name in classes:
            (root / part / name).mkdir(parents=True)
            (root / part / name / "0.png").write_bytes(encoded("PNG", size=(size, size)))


def load(root, memory_limit=2**30) -> DataSplits:
    return fit_data(ImageFolder().build(root), DataSettings(size=SIZE), memory_limit=memory_limit)


def read(build) -> DataSplits | None:
    """Return the data, None for a clear refusal; anything else is an error of the reader's."""
    with suppress(UserError):
        data = build()
        for split in (data.train, data.test):
            for index in range(len(split)):
                image = split.images[index]
                assert image.dtype == np.uint8
                assert image.shape == data.shape
            "".join([*split.sources, *data.classes]).encode()
        assert data.checksum
        return data
    return None


def check_image_folder(place: str, odd: list[Oddity], memory_limit: int) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        tree(root)
        for one in odd:
            put(root / place, *one)
        read(lambda: load(root, memory_limit))


def check_cifar10(place: str, odd: list[Oddity]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        tree(root, CLASSES)
        for one in odd:
            put(root / place, *one)
        read(lambda: Cifar10().build(root))


def check_original(odd: list[Oddity], archive: bytes, kind: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        (root / BATCHES if kind == "batches" else root).mkdir(parents=True)
        if kind == "archive":
            (root / ARCHIVE).write_bytes(archive)
        for number, (what, _, content) in enumerate(odd):
            put(root / BATCHES if kind == "batches" else root, what, f"data_batch_{number}", content)
        assert read(lambda: Cifar10().build(root)) is None


FUZZ = {
    "image_folder": (check_image_folder, (places, oddities, st.sampled_from([0, 2**30]))),
    "cifar10 as a tree": (check_cifar10, (places, oddities)),
    "cifar10's batches": (check_original, (oddities, st.just(b""), st.just("batches"))),
    "cifar10's archive": (check_original, (oddities, st.binary(), st.just("archive"))),
}


def fuzz(kind: str, examples: int) -> None:
    check, given_ = FUZZ[kind]
    allowed = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=examples, deadline=None, suppress_health_check=allowed)(given(*given_)(check))()


@pytest.mark.parametrize("kind", FUZZ)
def test_a_few(kind):
    fuzz(kind, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FUZZ)
def test_many_more(kind):
    fuzz(kind, 2000)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_class_and_of_a_file_is_taken_or_refused(tmp_path, name):
    tree(tmp_path, classes=("bee", name))
    (tmp_path / "train" / name / f"{name}.png").write_bytes(REAL["PNG"])
    data = read(lambda: load(tmp_path))
    if name.startswith(".") or not is_utf8(name):
        assert data is None
    else:
        assert name in data.classes
        assert f"train/{name}/{name}.png" in data.train.sources


def is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
@pytest.mark.parametrize("place", ["train/loop", "train"])
def test_a_link_to_a_folder_above_is_named(tmp_path, place, target):
    tree(tmp_path)
    if place == "train":
        (tmp_path / "train").rename(tmp_path / "elsewhere")
    (tmp_path / place).symlink_to(target)
    with pytest.raises(UserError, match="is a link to a folder that it lies in"):
        load(tmp_path)


def test_a_link_to_a_class_elsewhere_is_followed(tmp_path):
    tree(tmp_path / "elsewhere")
    tree(tmp_path / "root", classes=("bee",))
    for part in ("train", "test"):
        (tmp_path / "root" / part / "ant").symlink_to(tmp_path / "elsewhere" / part / "ant")
    assert load(tmp_path / "root").classes == ("ant", "bee")


def test_folders_nested_without_end_are_named(tmp_path):
    tree(tmp_path)
    here = os.open(tmp_path / "train/ant", os.O_RDONLY)
    for _ in range(1500):  # deeper than Python's stack
        os.mkdir("d", dir_fd=here)
        here, before = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    try:
        with pytest.raises(UserError, match="more than 40 levels of folders"):
            load(tmp_path)
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "train"], check=True)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_pipes_and_devices_are_not_waited_for(tmp_path, memory_limit):
    tree(tmp_path)
    os.mkfifo(tmp_path / "train/ant/pipe.png")
    (tmp_path / "train/ant/zeros.png").symlink_to("/dev/zero")
    unread = load(tmp_path, memory_limit).train.unread
    assert [text.partition(str(tmp_path))[2] for text in unread.values()] == [
        f"/train/ant/{name}.png: cannot be used: not a file" for name in ("pipe", "zeros")
    ]


def test_a_file_is_what_its_content_says_but_no_program(tmp_path):
    tree(tmp_path)
    (tmp_path / "train/ant/1.jpg").write_bytes(REAL["PNG"])
    assert len(load(tmp_path).train) == 3
    (tmp_path / "train/ant/2.png").write_bytes(REAL["EPS"])
    unread = load(tmp_path).train.unread
    assert unread == {2: f"{tmp_path}/train/ant/2.png: cannot be used: not an image"}


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_is_the_image(tmp_path, kind):
    tree(tmp_path)
    first, second = (PIL.Image.new("RGB", (32, 32), colour) for colour in ("#c80000", "#00c800"))
    first.save(tmp_path / "train/ant/0.png", format=kind, save_all=True, append_images=[second], lossless=True)
    pixel = load(tmp_path).train.images[0, 8, 8]
    assert pixel.tolist() == [200, 0, 0]


def hostile_members() -> bytes:
    """An archive whose members want to be written elsewhere."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, kind, target in [
            ("/pwned", tarfile.REGTYPE, ""),
            ("../pwned", tarfile.REGTYPE, ""),
            (f"{BATCHES}/data_batch_1", tarfile.SYMTYPE, "/etc/passwd"),
            (f"{BATCHES}/data_batch_2", tarfile.LNKTYPE, "../../etc/passwd"),
            (f"{BATCHES}/test_batch", tarfile.CHRTYPE, ""),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return file.getvalue()


def test_an_archive_that_is_not_the_original_is_never_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    root = tmp_path / "root"
    root.mkdir()
    (root / ARCHIVE).write_bytes(hostile_members())
    with pytest.raises(UserError, match="damaged or incomplete: its md5 is"):
        Cifar10().build(root)
    assert [path.name for path in tmp_path.rglob("*")] == ["root", ARCHIVE]
    assert not Path("/pwned").exists()


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/hostname", "gone"])
def test_batches_that_are_links_are_checked_as_files_are(tmp_path, target):
    (tmp_path / BATCHES).mkdir()
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        (tmp_path / BATCHES / name).symlink_to(target)
    with pytest.raises(UserError, match="missing or not the original's"):
        Cifar10().build(tmp_path)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, *, whole: bool = False) -> bytes:
    """A PNG that claims a size: one bit a pixel, black; `whole` has all of its lines, well packed."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    line = bytes(1 + -(-width // 8))
    lines = b"".join([*(packer.compress(line) for _ in range(height if whole else 1)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    side = 100_000
    return {
        "png that claims it": png_of(side, side),
        "png that has it": png_of(30_000, 30_000, whole=True),
        "a little too large": png_of(10_000, 8_001),
        "between PIL's warning and its error": png_of(10_000, 10_000),
        "gif": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + REAL["GIF"][10:],
        "bmp": REAL["BMP"][:18] + struct.pack("<ii", side, side) + REAL["BMP"][26:],
        "ppm": b"P6\n%d %d\n255\n" % (side, side),
        "webp": REAL["lossless"][:21] + b"\xff\xff\xff\x0f" + REAL["lossless"][25:],
        "jpeg": jpeg_of(65_535, 65_535),
    }


def jpeg_of(width: int, height: int) -> bytes:
    raw = REAL["JPEG"]
    at = raw.index(b"\xff\xc0") + 5
    return raw[:at] + struct.pack(">HH", height, width) + raw[at + 4 :]


READS = """
import resource, sys
from pathlib import Path
from frame.input.sizes import fit_data
from frame.recipe.settings import DataSettings
from frame_plugins.data.image_folder.reading import read_folder
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 700_000_000, now + 700_000_000))
data = fit_data(read_folder(Path(sys.argv[1])), DataSettings(size=16), memory_limit=int(sys.argv[2]))
print(*data.train.unread.values(), sep="\\n")
"""


def bounded(*arguments) -> str:
    """Read data in a process of its own with 700 MB beside what it begins with; return what it says."""
    command = [sys.executable, "-c", READS, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_images_of_absurd_size_are_refused_before_they_are_decoded(tmp_path, memory_limit):
    tree(tmp_path)
    files = bombs()
    for number, content in enumerate(files.values()):
        (tmp_path / f"train/ant/{number}.png").write_bytes(content)
    said = bounded(tmp_path, memory_limit)
    assert said.count("cannot be used: more than 80,000,000 pixels") == len(said.splitlines()) == len(files)


def test_cifar10_looks_at_the_size_before_it_decodes(tmp_path):
    tree(tmp_path, CLASSES)
    (tmp_path / "train/cat/1.png").write_bytes(png_of(8_900, 8_900))  # what can be decoded of it is a line
    (said,) = Cifar10().build(tmp_path).train.unread.values()
    assert said.endswith("train/cat/1.png: cannot be used: 8900x8900 pixels, not 32x32")
