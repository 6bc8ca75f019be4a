"""`frame predict`: image files through the run's own preprocessing and model."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frame import Split, images, load_run
from frame.api.images import EncodedSource
from frame.input.fitting import Fit
from frame.runs.predict import image_files, predict

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
CLASSES = ["ant", "bee", "cow"]
BLIND = """
from frame import ModelComponent, hookimpl


class Blind(ModelComponent):
    def build(self, data):
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(1024, data.num_classes))


@hookimpl
def frame_components():
    return {"blind": Blind}
"""


def fill(folder: Path) -> Path:
    """Make two images of noise for each class, in train/ and test/, of different shapes."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for number, name in enumerate(CLASSES * 2):
            place = folder / part / name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (12 + number, 10, 3), dtype=np.uint8)).save(place)
    return folder


@pytest.fixture
def run(cli, tmp_path) -> Path:
    """A run on images in folders, that evaluates them upside down."""
    fill(tmp_path / "data")
    recipe = tmp_path / "photos.yaml"
    flipped = "{use: torchvision, pipeline: [{use: RandomVerticalFlip, p: 1.0}]}"
    recipe.write_text(
        f"extends: {TINY}\ndata: {{use: image_folder, size: 8, root: data, eval_transforms: [{flipped}]}}\n"
        "train: {epochs: 1}\n"
    )
    done = cli("run", recipe)
    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    return run


def digits_run(cli, recipe=TINY, *overrides, out="runs") -> Path:
    done = cli("run", recipe, "train.epochs=2", *overrides, "--out", out)
    assert done.code == 0, done.err
    (run,) = Path(out).glob("*/*")
    return run


def digit(file: str, number: int) -> None:
    """Write one of the digits, 8 x 8 enlarged to 40 x 32 pixels, as an image file."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    pixels = (load_digits().images[number] * 15.9).astype(np.uint8)
    Image.fromarray(pixels).resize((40, 32)).save(file)


def test_the_runs_test_images_are_answered_as_in_the_run(cli, run, tmp_path):
    done = cli("predict", run, tmp_path / "data" / "test", "--json", "--top", "9")
    assert done.code == 0, done.err
    found = {line["file"]: line["top"] for line in map(json.loads, done.out.splitlines())}
    opened = load_run(run)
    probabilities = opened.predictions().probabilities
    assert len(found) == len(probabilities) == 6
    files = sorted((tmp_path / "data" / "test").rglob("*.png"))  # the order of the test set
    for file, row in zip(files, probabilities, strict=True):
        said = {one["class"]: one["probability"] for one in found[str(file)]}
        assert [said[name] for name in CLASSES] == pytest.approx(row, abs=1e-6)
        assert list(said.values()) == sorted(said.values(), reverse=True)


def test_files_folders_patterns_and_a_list_are_taken_in_each_form(cli, run, tmp_path, monkeypatch):
    one = tmp_path / "data" / "test" / "ant" / "0.png"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{one}\n\n".encode())))
    done = cli("predict", run, one, "data/test/*/1.png", "-", "--csv", "--top", "2")
    assert done.code == 0, done.err
    table = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["file"] for row in table] == [str(one), "data/test/bee/1.png", str(one)]
    assert list(table[0]) == ["file", "class_1", "probability_1", "class_2", "probability_2"]
    assert table[0]["class_1"] in CLASSES
    text = cli("predict", run, one, "--top", "1").out
    assert text == f"{one}  {table[0]['class_1']} {float(table[0]['probability_1']):.2%}\n"


def test_bad_images_are_named_and_skipped(cli, run, tmp_path):
    good = tmp_path / "data" / "test" / "ant" / "0.png"
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "words.png").write_text("no image")
    done = cli("predict", run, "cut.png", good, "words.png", "gone.png", "nothing/*.png")
    assert done.code == 1
    assert done.out.startswith(f"{good}  ")
    assert len(done.out.splitlines()) == 1
    skipped = sorted(done.err.splitlines())
    assert skipped[0].startswith("skipped in all: 4")
    assert [line.split(": ")[1] for line in skipped[1:]] == ["cut.png", "gone.png", "nothing/*.png", "words.png"]
    assert "skipped: words.png: not an image" in skipped
    assert "skipped: gone.png: No such file or directory" in skipped


def test_grey_data_gets_grey_images(cli, tmp_path):
    run = digits_run(cli)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    done = cli("predict", run, "one.png")
    assert done.code == 0, done.err
    assert len(done.out.split("  ")) == 6


def test_a_list_without_an_end_is_answered_as_it_comes(run, tmp_path):
    lines = itertools.repeat(f"{tmp_path / 'data' / 'test' / 'ant' / '0.png'}\n")
    answers = predict(load_run(run), image_files(["-"], lines, print, images.Omissions()), 1, print)
    assert len({answer.top[0][0] for answer in itertools.islice(answers, 1_200)}) == 1  # more than two batches


def test_hidden_files_and_other_files_of_a_folder_are_passed_over(tmp_path):
    for name in ("a/b/one.JPG", "a/.hidden.png", "a/.git/two.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/b/up.png").symlink_to(tmp_path / "a")
    left_out = images.Omissions()
    assert list(image_files([str(tmp_path)], (), print, left_out)) == [str(tmp_path / "a/b/one.JPG")]
    assert {str(one) for one in left_out.found()} == {
        f".txt files: 1 ({tmp_path}/a/notes.txt)",
        f"linked folders: 1 ({tmp_path}/a/b/up.png)",
    }


def test_a_table_survives_any_name_and_runs_in_no_spreadsheet(cli, run, tmp_path):
    image = (tmp_path / "data" / "test" / "ant" / "0.png").read_bytes()
    names = ["two\nlines.png", "=1+1.png", "@x.png", "a,b.png", '"q".png', "plain.png"]
    for name in names:
        (tmp_path / name).write_bytes(image)
    (tmp_path / "notes.txt").touch()
    done = cli("predict", run, *names, "--csv", "--top", "1")
    assert done.code == 0, done.err
    table = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["file"] for row in table] == ["two\nlines.png", "'=1+1.png", "'@x.png", *names[3:]]
    assert len({row["probability_1"] for row in table}) == 1
    text = cli("predict", run, names[0], "--top", "1").out
    assert text.startswith("'two\\nlines.png'  ")
    assert cli("predict", run, tmp_path / "data", "--top", "1").err == ""
    (tmp_path / "data" / "test" / "notes.txt").touch()
    done = cli("predict", run, "data", "--top", "1")
    assert (done.code, done.err) == (0, "left out: .txt files: 1 (data/test/notes.txt)\n")


def test_each_image_that_could_be_read_gets_a_picture_of_its_heat(cli, tmp_path):
    run = digits_run(cli, TINY, "data.eval_batch_size=2")
    names = ["one.png", "deep/..%2F..%2Fout of $here\n.png", "cut.png", "two.png"]
    for number, name in enumerate(names):
        digit(name, number)
    Path("cut.png").write_bytes(Path("cut.png").read_bytes()[:60])
    plain = cli("predict", run, *names, "--json")
    done = cli("predict", run, *names, "--json", "--cam", "maps/new")
    assert (done.code, done.out) == (plain.code, plain.out) == (1, plain.out)
    pictures = {file.name: np.asarray(Image.open(file)) for file in Path("maps/new").iterdir()}
    assert sorted(pictures) == ["000001-one.png", "000002-.._2F.._2Fout_of_here_.png", "000003-two.png"]
    assert {picture.shape for picture in pictures.values()} == {(224, 224, 3)}  # 32 x 32, enlarged by a whole factor
    colors = [np.ptp(picture, axis=2).max() for picture in pictures.values()]
    assert max(colors) > 30  # the images are grey, and have no colours of their own


def test_the_heat_is_that_of_the_predicted_class_at_the_deepest_layer(cli, tmp_path):
    from frame_plugins.analyzers.grad_cam.layouts import channels_first
    from frame_plugins.analyzers.grad_cam.maps import layer_maps

    run = digits_run(cli)
    digit("one.png", 0)
    done = cli("predict", run, "one.png", "--cam", "maps", "--top", "1", "--json")
    likeliest = int(json.loads(done.out)["top"][0]["class"])
    opened = load_run(run)
    network = opened.network()
    pixels = Fit(channels="grey")(EncodedSource(Path("one.png"), "one.png"), (32, 32))[:, :, 0]
    pipeline = network.evaluation(Split(pixels.reshape(1, 32, 32, 1), np.zeros(1, np.int64)))
    (heat,) = layer_maps(network.model, pipeline.inputs([0]), [likeliest], {"3": channels_first}, "gradcam")[0]
    picture = np.asarray(Image.open("maps/000001-one.png")).astype(float)
    color = np.ptp(picture[3::7, 3::7], axis=2)  # the middles of the enlarged pixels; the image itself is grey
    assert heat.max() > 0.5
    assert np.corrcoef(color[pixels == 0], heat[pixels == 0])[0, 1] > 0.8


def test_the_recipes_own_analyzer_makes_the_heat(cli, tmp_path):
    grad_cam = "{use: grad_cam, layers: ['0'], correct: 1, misclassified: 1, overlays: 1}"
    run = digits_run(cli, TINY, f"analyzers=[{{use: confusion, pairs: 0}}, {grad_cam}]")
    digit("one.png", 0)
    assert cli("predict", run, "one.png", "--cam", "own").code == 0
    other = digits_run(cli, out="others")
    assert cli("predict", other, "one.png", "--cam", "default").code == 0
    own, default = (np.asarray(Image.open(f"{folder}/000001-one.png")) for folder in ("own", "default"))
    assert not np.array_equal(own, default)


def test_what_keeps_heat_from_being_drawn_is_said(cli, tmp_path):
    (tmp_path / "blind.py").write_text(BLIND)
    (tmp_path / "blind.yaml").write_text(f"extends: {TINY}\nplugins: [./blind.py]\nmodel: {{use: blind}}\n")
    run = digits_run(cli, tmp_path / "blind.yaml")
    digit("one.png", 0)
    blind = cli("predict", run, "one.png", "--cam", "maps")
    assert (blind.code, blind.out) == (2, "")
    assert "the model names no layer to look at. Name one in grad_cam's `overlay_layer`" in blind.err
    for taken in ("one.png", "one.png/maps"):
        assert "cannot be a folder" in cli("predict", run, "one.png", "--cam", taken).err


def test_without_an_analyzer_that_makes_heat_it_is_said_where_to_get_one(cli, frame):
    run = digits_run(cli, TINY, "analyzers=[{use: confusion, pairs: 0}]")
    done = frame("predict", run, "one.png", "--cam", "maps", env={"FRAME_DISABLE_PLUGINS": "grad_cam"})
    assert done.returncode == 2
    assert "--cam needs an analyzer that makes heat maps, and none is here: grad_cam comes with frame" in done.stderr
