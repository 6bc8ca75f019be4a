import os
import pickle
import re
import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError

from frame import UserError
from frame.api.images import mean_and_std
from frame.input.sizes import fit_data
from frame.recipe.settings import DataSettings
from frame_plugins.data.image_folder import ImageFolder, frame_components

SIZE = 16


def save(file, pixels, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.asarray(pixels, np.uint8)).save(file, **options)


def write_tree(root, parts=("train", "test"), classes=("ant", "bee"), per_class=3):
    rng = np.random.default_rng(0)
    for part in parts:
        for name in classes:
            for number in range(per_class):
                save(root / part / name / f"{number}.png", rng.integers(0, 256, (20, 30, 3)))


def build(root, size=SIZE, memory_limit=2**30, **settings):
    return fit_data(ImageFolder().build(root), DataSettings(size=size, **settings), memory_limit=memory_limit)


def error_text(root):
    with pytest.raises(UserError) as error:
        build(root)
    return str(error.value)


def test_is_offered_under_its_name():
    assert frame_components() == {"image_folder": ImageFolder}


def test_reads_classes_and_images_in_order(tmp_path):
    write_tree(tmp_path)
    data = build(tmp_path)
    assert data.classes == ("ant", "bee")
    assert data.shape == (SIZE, SIZE, 3)
    assert data.train.images.shape == (6, SIZE, SIZE, 3)
    assert data.train.images.dtype == np.uint8
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.targets.dtype == np.int64
    assert list(data.test.sources) == [f"test/{name}/{number}.png" for name in ("ant", "bee") for number in range(3)]
    assert data.validation is None


def test_hidden_and_other_files_are_passed_over_and_nested_folders_read(tmp_path):
    write_tree(tmp_path)
    image = np.zeros((20, 20, 3))
    save(tmp_path / "train/ant/by/day/x.JPG", image, format="JPEG")
    save(tmp_path / "train/ant/.cache/y.png", image)
    save(tmp_path / "train/ant/._0.png", image)
    save(tmp_path / "train/.thumbnails/z.png", image)
    (tmp_path / "train/ant/notes.txt").write_text("not an image")
    sources = build(tmp_path).train.sources
    assert list(sources[:4]) == ["train/ant/0.png", "train/ant/1.png", "train/ant/2.png", "train/ant/by/day/x.JPG"]
    assert len(sources) == 7


def test_image_is_scaled_and_cut_to_the_centred_square(tmp_path):
    write_tree(tmp_path)
    wide = np.zeros((32, 96, 3))
    wide[:, 32:64] = 200  # the centred square; what lies beside it is black
    save(tmp_path / "train/ant/0.png", wide)
    save(tmp_path / "train/ant/1.png", wide.transpose(1, 0, 2))
    images = build(tmp_path).train.images
    assert (images[:2, 1:-1, 1:-1] == 200).all()
    assert (images[:2] > 150).all()  # scaling smooths the edges a little


def test_image_is_turned_upright(tmp_path):
    write_tree(tmp_path)
    upright = np.zeros((32, 32, 3))
    upright[:16] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # stored as seen with the camera on its side: turn it clockwise to look at it
    save(tmp_path / "train/ant/0.png", np.rot90(upright), exif=exif)
    image = build(tmp_path).train.images[0]
    assert (image[:7] == 255).all()
    assert (image[9:] == 0).all()


def test_grey_transparent_and_palette_images_become_rgb(tmp_path):
    write_tree(tmp_path)
    save(tmp_path / "train/ant/0.png", np.full((20, 20), 90))
    save(tmp_path / "train/ant/1.png", np.full((20, 20, 4), [10, 20, 30, 128]))
    palette = PIL.Image.fromarray(np.full((20, 20, 3), [40, 50, 60], np.uint8)).convert("P", palette=1, colors=4)
    palette.save(tmp_path / "train/ant/2.png", transparency=bytes([0, 255]))
    images = build(tmp_path, background=(200, 100, 0)).train.images
    half = [round((128 * own + 127 * below) / 255) for own, below in ((10, 200), (20, 100), (30, 0))]
    found = images[:3, 3, 3]
    assert np.abs(found.astype(int) - [[90, 90, 90], half, [200, 100, 0]]).max() <= 1  # rounded twice


def test_the_background_is_the_mean_of_what_is_opaque(tmp_path):
    for part in ("train", "test"):
        save(tmp_path / part / "ant/0.png", np.full((20, 20, 3), [30, 60, 90]))
        save(tmp_path / part / "bee/0.png", np.full((20, 20, 4), [255, 255, 255, 0]))
        save(tmp_path / part / "bee/1.png", np.full((10, 20, 3), [50, 80, 130]))
    for limit in (0, 2**30):
        data = build(tmp_path, memory_limit=limit, fit="pad")
        assert data.mean == pytest.approx((40 / 255, 70 / 255, 110 / 255))
        assert data.train.images[1][3, 3].tolist() == data.train.images[2][0, 0].tolist() == [40, 70, 110]
        assert data.train.images[2][8, 8].tolist() == [50, 80, 130]


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_more_than_8_bits_are_refused_not_cut_off(tmp_path, memory_limit):
    write_tree(tmp_path)
    PIL.Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "train/ant/0.png")
    (said,) = build(tmp_path, memory_limit=memory_limit).train.unread.values()
    assert re.search(r"train/ant/0\.png: cannot be used: more than 8 bits a channel", said)


def png16(kind, channels):
    """A PNG of 8 x 8 pixels with 16 bits a channel; kind: PNG's number for its channels."""

    def chunk(name, content):
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    lines = (b"\0" + b"\x0f\xff" * 8 * channels) * 8
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff16():
    return cv2.imencode(".tiff", np.full((8, 8, 3), 4095, np.uint16))[1].tobytes()


DEEP = {
    "grey.png": png16(0, 1),
    "rgb.png": png16(2, 3),
    "grey with alpha.png": png16(4, 2),
    "rgba.png": png16(6, 4),
    "rgb.tiff": tiff16(),
    "rgb.ppm": b"P6 8 8 4095\n" + b"\x0f\xff" * 192,
    "plain.ppm": b"P3 8 8 4095\n" + b"4095 " * 192,
    "grey.pgm": b"P5 8 8 65535\n" + b"\x0f\xff" * 64,
}


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_more_than_8_bits_are_refused_in_every_form(tmp_path, memory_limit):
    write_tree(tmp_path)
    for name, content in DEEP.items():
        (tmp_path / "train/ant" / name).write_bytes(content)
    unread = build(tmp_path, memory_limit=memory_limit).train.unread
    assert len(unread) == len(DEEP)
    assert all("cannot be used: more than 8 bits a channel" in text for text in unread.values())


def test_8_bits_and_fewer_are_read_in_every_form(tmp_path):
    write_tree(tmp_path)
    image = PIL.Image.effect_noise((20, 20), 50)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK"):
        image.convert(mode).save(tmp_path / f"train/ant/mode {mode}.tiff")
        if mode != "CMYK":
            image.convert(mode).save(tmp_path / f"train/ant/mode {mode}.png")
    image.convert("RGB").save(tmp_path / "train/ant/0.bmp")
    (tmp_path / "train/ant/0.ppm").write_bytes(b"P6 8 8 15\n" + b"\x0f" * 192)
    (tmp_path / "train/ant/565.bmp").write_bytes(bmp565())
    data = build(tmp_path)
    assert data.train.unread == {}
    assert len(data.train) == 6 + 11 + 3


def bmp565():
    """A BMP of 8 x 8 pixels, 16 bits each: 5, 6 and 5 of the three channels."""
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    info = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, 3, 128, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + 40 + 12 + 128, 0, 0, 66) + info + masks + b"\xff" * 128


def test_val_is_the_test_part_where_there_is_no_other(tmp_path):
    write_tree(tmp_path, parts=("train", "val"))
    data = build(tmp_path)
    assert data.test.source(0) == "val/ant/0.png"
    assert data.validation is None


def test_val_is_validation_beside_test(tmp_path):
    write_tree(tmp_path, parts=("train", "val", "test"))
    data = build(tmp_path)
    assert data.test.source(0) == "test/ant/0.png"
    assert data.validation.source(0) == "val/ant/0.png"


def test_test_part_may_lack_a_class(tmp_path):
    write_tree(tmp_path, classes=("ant", "bee", "cow"))
    (tmp_path / "test/bee").rename(tmp_path / "test/.bee")
    assert build(tmp_path).test.targets.tolist() == [0, 0, 0, 2, 2, 2]


def test_lazy_images_are_the_same_ones(tmp_path):
    write_tree(tmp_path, parts=("train", "val", "test"))
    eager = build(tmp_path)
    lazy = build(tmp_path, memory_limit=1_000)
    assert not isinstance(lazy.train.images, np.ndarray)
    copy = pickle.loads(pickle.dumps(lazy.train.images))  # as a loader's worker gets it
    assert np.array_equal(np.stack(list(copy)), eager.train.images)
    assert len(lazy.validation.images) == 6
    assert (lazy.mean, lazy.std) == (eager.mean, eager.std)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_checksum_is_the_same_until_the_data_changes(tmp_path, memory_limit):
    write_tree(tmp_path)
    before = build(tmp_path, memory_limit=memory_limit).checksum
    assert build(tmp_path, memory_limit=memory_limit).checksum == before
    assert build(tmp_path, 2 * SIZE, memory_limit).checksum != before
    save(tmp_path / "test/bee/2.png", np.zeros((20, 20, 3)))
    assert build(tmp_path, memory_limit=memory_limit).checksum != before


def test_missing_root(tmp_path):
    assert f"{tmp_path / 'nowhere'}: no such folder" in error_text(tmp_path / "nowhere")


def test_empty_root_lacks_both_parts(tmp_path):
    text = error_text(tmp_path)
    assert "has no folder 'train'" in text
    assert "neither a folder 'test' nor 'val'" in text


def test_no_class_folders(tmp_path):
    save(tmp_path / "train/0.png", np.zeros((20, 20, 3)))
    (tmp_path / "test").mkdir()
    text = error_text(tmp_path)
    assert "needs a folder for each of two or more classes; found: none" in text
    assert f"{tmp_path / 'test'}: has no class folder" in text


def test_a_folder_too_many_is_noticed(tmp_path):
    write_tree(tmp_path / "x")
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / "x" / part).rename(tmp_path / part / "images")
    assert "two or more classes; found: images" in error_text(tmp_path)


def test_all_mistakes_of_the_tree_at_once(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "train/cow").mkdir()
    (tmp_path / "test/bee").rename(tmp_path / "test/bees")
    text = error_text(tmp_path)
    assert f"{tmp_path / 'train/cow'}: the folder of a class has no image" in text
    assert f"{tmp_path / 'test/bees'}: no class of train; did you mean 'bee'?" in text


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_unreadable_images_are_named(tmp_path, memory_limit):
    write_tree(tmp_path, per_class=10)
    for number in range(7):
        (tmp_path / f"train/ant/{number}.png").write_text("not an image")
    (tmp_path / "train/bee/9.png").unlink()
    (tmp_path / "train/bee/9.png").symlink_to(tmp_path / "gone.png")
    data = build(tmp_path, memory_limit=memory_limit)
    assert sorted(data.train.unread) == [*range(7), 19]
    assert data.train.unread[1] == f"{tmp_path}/train/ant/1.png: cannot be used: not an image"
    assert data.train.unread[19] == f"{tmp_path}/train/bee/9.png: cannot be used: No such file or directory"
    assert data.test.unread == {}
    with pytest.raises(UserError, match=r"/train/ant/0\.png: cannot be used: not an image"):
        data.train.image(0)
    whole = np.stack([data.train.image(index) for index in range(20) if index not in data.train.unread])
    assert data.mean == pytest.approx(whole.mean(axis=(0, 1, 2)) / 255)
    (tmp_path / "train/ant/9.png").write_text("not an image either")
    assert build(tmp_path, memory_limit=memory_limit).checksum != data.checksum


def truncate(file):
    file.write_bytes(file.read_bytes()[:-200])


def test_truncated_image_is_named(tmp_path):
    write_tree(tmp_path)
    truncate(tmp_path / "test/bee/1.png")
    assert list(build(tmp_path).test.unread) == [4]


def test_truncated_lazy_image_is_named_when_it_is_needed(tmp_path):
    write_tree(tmp_path)
    truncate(tmp_path / "test/bee/1.png")
    images = build(tmp_path, memory_limit=0).test.images
    assert images[3].shape == (SIZE, SIZE, 3)
    with pytest.raises(UserError, match=r"test/bee/1\.png: cannot be used"):
        images[4]


@pytest.mark.parametrize("size", [0, -64, 50_000])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValidationError):
        DataSettings(size=size)


def test_mean_and_std_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (50, 9, 7, 3), dtype=np.uint8)
    mean, std = mean_and_std(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)) / 255)
    assert std == pytest.approx(images.std(axis=(0, 1, 2)) / 255)


def test_statistics_of_many_images_see_every_class():
    images = np.zeros((6_000, 1, 1, 1), np.uint8)
    images[3_000:] = 100  # the second class
    assert mean_and_std(images)[0] == pytest.approx([50 / 255], rel=0.01)


def test_a_constant_channel_can_be_normalised():
    _, std = mean_and_std(np.full((3, 4, 4, 2), 77, np.uint8))
    assert std == (1 / 255, 1 / 255)


def link(place, target):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def test_what_is_left_out_is_counted_and_named(tmp_path):
    write_tree(tmp_path, parts=("train", "test", "valid"))
    image = (tmp_path / "train/ant/0.png").read_bytes()
    for name in ("ant/a.jfif", "ant/b.JFIF", "bee/c.jfif", "bee/d.jfif", "ant/e.jpe", "bee/none", "ant/.hidden.avif"):
        (tmp_path / "train" / name).write_bytes(image)
    (tmp_path / "train/loose.jpg").write_bytes(image)
    (tmp_path / "train/labels.csv").write_text("a,b")
    (tmp_path / "README.md").write_text("no image, and in no part: passed over")
    link(tmp_path / "train/ant/linked", tmp_path / "train/bee")
    link(tmp_path / "train/ant/deep/loop", tmp_path / "train/ant")
    data = build(tmp_path)
    assert {(one.kind, one.count): one.examples for one in data.left_out} == {
        (".jfif files", 4): ("train/ant/a.jfif", "train/ant/b.JFIF", "train/bee/c.jfif"),
        (".jpe files", 1): ("train/ant/e.jpe",),
        (".csv files", 1): ("train/labels.csv",),
        ("files without an ending", 1): ("train/bee/none",),
        ("images in no class folder", 1): ("train/loose.jpg",),
        ("linked folders", 2): ("train/ant/linked", "train/ant/deep/loop"),
        ("folders beside train, test, val", 1): ("valid",),
    }
    assert str(data.left_out[0]) == ".jfif files: 4 (train/ant/a.jfif, train/ant/b.JFIF, train/bee/c.jfif, ...)"
    assert data.info.left_out == data.left_out
    assert len(data.train) == 6


def test_endings_without_end_are_counted_together(tmp_path):
    write_tree(tmp_path)
    for number in range(30):
        (tmp_path / f"train/ant/image.{number:03}").touch()
    left_out = build(tmp_path).left_out
    assert len(left_out) == 21
    assert (left_out[0].kind, left_out[0].count) == ("files with other endings", 10)


def test_a_name_that_cannot_be_shown_is_written_as_escapes(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "train/ant" / os.fsdecode(b"\xff.heic")).touch()
    assert build(tmp_path).left_out[0].examples == ("'train/ant/\\udcff.heic'",)
