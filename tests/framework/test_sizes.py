"""Images of any size: fitted to the recipe's, the same in training, evaluation, predict and export."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frame import load_run
from frame.api.data import DataInfo, Split, take
from frame.api.images import ArraySource, EncodedSource
from frame.compute.randomness import sample_rng
from frame.input.fitting import Fit
from frame.input.sizes import fit_data
from frame.recipe.settings import DataSettings
from frame_plugins.data.digits import Digits
from frame_plugins.data.image_folder import ImageFolder
from frame_plugins.transforms.random_resized_crop import RandomResizedCrop

CLASSES = ("ant", "bee")
TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


def ramp(height: int, width: int) -> np.ndarray:
    """Return an image (H, W, 3) that tells where each of its pixels was: red to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * (x + 0.5) / width, 255 * (y + 0.5) / height, np.full((height, width), 90)], -1).astype(
        np.uint8
    )


def photographs(folder: Path, shapes=((40, 60), (60, 40), (50, 50), (30, 90)), ending="png") -> Path:
    for part in ("train", "test"):
        for name in CLASSES:
            for number, shape in enumerate(shapes):
                file = folder / part / name / f"{number}.{ending}"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(ramp(*shape)).save(file, quality=95)
    return folder


def recipe(folder: Path, data: str, more: str = "") -> Path:
    file = folder / "photos.yaml"
    data = f"data: {{use: image_folder, root: photos, {data}}}"
    file.write_text(f"extends: {TINY}\n{data}\ntrain: {{epochs: 1}}\nmodel: {{pooled: true}}\n{more}")
    return file


def trained(cli, folder: Path, data: str, *overrides: str) -> Path:
    done = cli("run", recipe(folder, data), *overrides)
    assert done.code == 0, done.err
    (run,) = (folder / "runs" / "tiny").iterdir()
    return run


def test_images_of_several_sizes_need_one_and_are_named(cli, tmp_path):
    photographs(tmp_path / "photos")
    done = cli("run", recipe(tmp_path, "batch_size: 4"))
    assert done.code == 2
    assert "data.size: the images have 4 sizes (train/ant/0.png 40x60, train/ant/1.png 60x40" in done.err
    assert "as in data.size=64 or data.size=[64, 96]" in done.err


def test_images_of_one_size_need_none(cli, tmp_path):
    photographs(tmp_path / "photos", shapes=((24, 36), (24, 36)))
    assert load_run(trained(cli, tmp_path, "batch_size: 4")).info.shape == (24, 36, 3)


def test_evaluation_and_predict_see_another_size_than_training(cli, tmp_path):
    photographs(tmp_path / "photos")
    run = trained(cli, tmp_path, "batch_size: 4, size: [16, 24], eval_size: 32, crop_ratio: 0.8, fit: crop")
    info = load_run(run).info
    assert (info.size, info.train_sizes) == ((32, 32), ((16, 24),))
    done = cli("predict", run, tmp_path / "photos" / "test", "--json", "--top", "2")
    said = {
        line["file"]: {one["class"]: one["probability"] for one in line["top"]}
        for line in map(json.loads, done.out.splitlines())
    }
    files = sorted((tmp_path / "photos" / "test").rglob("*.png"))
    for file, row in zip(files, load_run(run).predictions().probabilities, strict=True):
        assert [said[str(file)][name] for name in CLASSES] == pytest.approx(row, abs=1e-6)
    again = cli("evaluate", run)
    assert again.code == 0, again.err


def test_an_export_says_how_an_image_is_fitted(cli, tmp_path):
    photographs(tmp_path / "photos")
    run = trained(cli, tmp_path, "batch_size: 4, size: 16, eval_size: [24, 32], fit: pad, background: [1, 2, 3]")
    done = cli("export", run, "--to", "safetensors")
    assert done.code == 0, done.err
    from safetensors import safe_open

    with safe_open(run / "export" / "model.safetensors", framework="numpy") as file:
        said = json.loads(file.metadata()["frame"])
    assert said["input"] | {"height": 24, "width": 32} == said["input"]
    assert said["preprocessing"]["fit"] == {
        "to": [24, 32], "how": "pad", "crop_ratio": 1, "interpolation": "bilinear", "background": [1, 2, 3],
    }  # fmt: skip


@pytest.mark.parametrize("section", ["train_transforms", "eval_transforms"])
def test_a_transform_that_leaves_another_size_is_named(cli, tmp_path, section):
    photographs(tmp_path / "photos")
    steps = (
        "[{use: torchvision, pipeline: [{use: Resize, size: [20, 28]}]}, "
        "{use: torchvision, pipeline: [{use: Grayscale, num_output_channels: 3}]}]"
    )
    done = cli("run", recipe(tmp_path, f"batch_size: 4, size: 16, {section}: {steps}"))
    assert done.code == 2
    key = "data.size" if section == "train_transforms" else "data.eval_size"
    assert (
        f"data.{section}.0: 'torchvision' leaves images of 20x28 pixels, not 16x16 ({key}): say {key}=[20,28]"
        in done.err
    )


def test_a_crop_of_the_whole_image_must_come_first_and_in_training(cli, tmp_path):
    photographs(tmp_path / "photos")
    crop = "{use: random_resized_crop}"
    late = cli(
        "validate",
        recipe(
            tmp_path,
            f"size: 16, train_transforms: [{{use: torchvision, pipeline: [{{use: RandomVerticalFlip}}]}}, {crop}]",
        ),
    )
    assert (late.code, "it must be the first" in late.err) == (2, True)
    evaluated = cli("validate", recipe(tmp_path, f"size: 16, eval_transforms: [{crop}]"))
    assert (evaluated.code, "is for training; data.eval_size and data.fit say" in evaluated.err) == (2, True)


@pytest.mark.parametrize("workers", [0, 2])
def test_random_resized_crops_are_the_same_with_and_without_workers_and_after_a_resume(cli, tmp_path, workers):
    photographs(tmp_path / "photos", ending="jpg")
    data = "batch_size: 4, size: 16, eval_size: 20, train_transforms: [{use: random_resized_crop}, {use: random_flip}]"
    run = trained(cli, tmp_path, data, f"data.workers={workers}", "train.epochs=2")
    weights = (run / "model.safetensors").read_bytes()
    (tmp_path / "first").mkdir(exist_ok=True)
    run.rename(tmp_path / "first" / "run")
    other = trained(cli, tmp_path, data, f"data.workers={2 - workers}", "train.epochs=2")
    assert (other / "model.safetensors").read_bytes() == weights


def test_the_fits_show_what_they_say():
    wide = ArraySource(ramp(40, 80))
    crop, pad, stretch = (Fit(how, background=(7, 7, 7))(wide, (20, 20)) for how in ("crop", "pad", "stretch"))
    assert crop[:, 0, 0].mean() == pytest.approx(255 * 0.25 + 3, abs=4)  # the middle half, from a quarter on
    assert crop[:, -1, 0].mean() == pytest.approx(255 * 0.75 - 3, abs=4)
    assert (np.concatenate([pad[:5], pad[-5:]]) == 7).all()
    assert pad[6, [0, -1], 0].tolist() == pytest.approx([6, 249], abs=4)
    assert stretch[0, 0].tolist() == pytest.approx([6, 6, 90], abs=3)
    assert stretch[-1, -1].tolist() == pytest.approx([249, 249, 90], abs=3)
    half = Fit("crop", crop_ratio=0.5)(wide, (20, 20))
    assert half[:, 0, 1].min() == pytest.approx(255 * 0.25 + 3, abs=4)


def test_grey_stays_grey_and_becomes_rgb_where_asked(tmp_path):
    for part in ("train", "test"):
        for name in CLASSES:
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(ramp(20, 20)[:, :, 0]).save(tmp_path / part / name / "a.png")
    found = {
        channels: fit_data(ImageFolder().build(tmp_path), DataSettings(channels=channels)).info.shape
        for channels in (None, "rgb", "grey", "as_is")
    }
    assert found == {None: (20, 20, 3), "rgb": (20, 20, 3), "grey": (20, 20, 1), "as_is": (20, 20, 1)}


def test_an_array_is_left_as_it_is_and_scaled_where_asked():
    digits = Digits().build(Path())
    assert fit_data(digits, DataSettings()) is digits
    large = fit_data(digits, DataSettings(size=40, eval_size=[48, 40][0]))
    assert large.train.images.shape[1:] == (40, 40, 1)
    assert large.test.images.shape[1:] == (48, 48, 1)
    assert (large.mean, large.info.train_sizes) == (digits.mean, ((40, 40),))


def test_a_jpeg_at_a_reduced_scale_is_nearly_the_whole_one(tmp_path):
    Image.fromarray(ramp(480, 640)).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(ramp(480, 640)).save(tmp_path / "a.png")
    box = (101.0, 53.0, 560.0, 411.0)
    jpeg, png = (EncodedSource(tmp_path / name, name).decode(box, (56, 64)) for name in ("a.jpg", "a.png"))
    assert np.abs(jpeg.astype(int) - png).mean() < 1


def test_random_resized_crop_shows_the_box_that_it_drew():
    info = DataInfo(CLASSES, (16, 16, 3), (0.5,) * 3, (0.5,) * 3, 8)
    crop = RandomResizedCrop(scale=(0.25, 0.25), ratio=(1.0, 1.0)).build(info)
    source = ArraySource(ramp(100, 100))
    for number in range(8):
        image = crop(source, sample_rng(0, 0, number)).astype(int)
        assert image[0, -1, 0] - image[0, 0, 0] == pytest.approx(255 * 0.5 * 15 / 16, abs=3)
        assert image[-1, 0, 1] - image[0, 0, 1] == pytest.approx(255 * 0.5 * 15 / 16, abs=3)
    odd = RandomResizedCrop(scale=(0.9, 1.0), ratio=(1.0, 1.0)).build(info)(
        ArraySource(ramp(20, 200)), sample_rng(0, 0, 0)
    )
    assert odd[0, 0, 0] == pytest.approx(255 * 0.45, abs=4)  # no such box fits: the square in the middle


def test_a_background_has_a_value_for_each_channel(cli, tmp_path):
    photographs(tmp_path / "photos")
    done = cli("run", recipe(tmp_path, "batch_size: 4, size: 16, fit: pad, background: [255]"))
    assert done.code == 2
    assert "data.background: has 1 value, and the images have 3 channels: one a channel" in done.err


def test_a_run_is_evaluated_on_its_own_background(cli, tmp_path):
    photographs(tmp_path / "photos")
    run = trained(cli, tmp_path, "batch_size: 4, size: 16, fit: pad")
    before = json.loads(cli("evaluate", run, "--json").out)
    for file in (tmp_path / "photos" / "train").rglob("*.png"):
        Image.fromarray(255 - ramp(40, 60)).save(file)  # other training images, of another mean colour
    assert json.loads(cli("evaluate", run, "--json").out) == before


def test_a_validation_part_is_fitted_as_the_test_part_is(tmp_path):
    photographs(tmp_path)
    data = ImageFolder().build(tmp_path).with_validation(0.5, 0)
    fitted = fit_data(data, DataSettings(size=16, eval_size=24), memory_limit=0)
    assert isinstance(fitted.validation, Split)
    assert fitted.validation.images[0].shape == (24, 24, 3)
    assert fitted.train.images[0].shape == (16, 16, 3)
    assert take(fitted.train, np.array([1])).images[0].shape == (16, 16, 3)
