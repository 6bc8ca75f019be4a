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

from frame import load_run
from frame.predict import image_files, predict

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
CLASSES = ["ant", "bee", "cow"]


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
        f"extends: {TINY}\ndata: {{use: image_folder, image_size: 8, root: data, eval_transforms: [{flipped}]}}\n"
        "train: {epochs: 1}\n"
    )
    done = cli("run", recipe)
    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    return run


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
    assert cli("run", TINY, "train.epochs=1").code == 0
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    done = cli("predict", run, "one.png")
    assert done.code == 0, done.err
    assert len(done.out.split("  ")) == 6


def test_a_list_without_an_end_is_answered_as_it_comes(run, tmp_path):
    lines = itertools.repeat(f"{tmp_path / 'data' / 'test' / 'ant' / '0.png'}\n")
    answers = predict(load_run(run), image_files(["-"], lines, print), 1, print)
    assert len({answer.top[0][0] for answer in itertools.islice(answers, 1_200)}) == 1  # more than two batches


def test_hidden_files_and_other_files_of_a_folder_are_passed_over(tmp_path):
    for name in ("a/b/one.JPG", "a/.hidden.png", "a/.git/two.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(image_files([str(tmp_path)], (), print)) == [str(tmp_path / "a/b/one.JPG")]
