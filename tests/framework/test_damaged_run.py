"""A run's folder after a full disk, a power cut or a stranger: each file damaged in every way that comes to mind.

Commands name the file and what is wrong with it, or leave it out and say so; none raises anything else.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from frame import UserError
from frame.analysis.after_training import history
from frame.recipe.load import load_recipe
from frame.report import write_report
from frame.rundir.folder import RunDir

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
SETTINGS = ("scheduler={use: one_cycle, max_lr: auto}", "lr_finder={use: lr_range_test, num_steps: 20}")
ANALYZERS = (
    "[{use: curves}, {use: confusion, pairs: 1, images_per_cell: 0}, {use: misclassified, count: 2},"
    " {use: grad_cam, correct: 1, misclassified: 0, overlays: 0, pages: 1}]"
)


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory) -> Path:
    """The folder of a finished run, small enough to be copied often."""
    home = tmp_path_factory.mktemp("whole")
    shutil.copytree(trained(TINY, *SETTINGS, f"analyzers={ANALYZERS}", "train.epochs=1"), home, dirs_exist_ok=True)
    (run,) = (home / "runs" / "tiny").iterdir()
    (run / "report.html").unlink()
    return run


def files_of(run: Path) -> list[str]:
    found = [path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.startswith(("checkpoints/", "plugins/")) and name != "log.txt")


NUMBERS = [True, 0, -1, 7, 10**400, 1e308, float("nan"), float("inf")]
TEXTS = ["", "x", "../../x", "<b>", "é\u202e\n", "9" * 5000]
odd = st.sampled_from([None, *NUMBERS, *TEXTS, [], {}, [[]], [1, "a"], {"a": {}}])


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """Where something stands in a JSON value: of a long list, only the first entries."""
    found = [at]
    children = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*at, key))
    return found


def altered(value: Any, at: tuple, new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = altered(copy[at[0]], at[1:], new)
    return copy


def alter(raw: bytes, draw: Callable) -> bytes:
    """A JSON file, or a line of one, with something else somewhere, or without something."""
    lines = [raw] if raw.startswith(b"{\n") or not raw else raw.splitlines(keepends=True)
    number = draw(st.integers(0, len(lines) - 1))
    try:
        value = json.loads(lines[number])
    except ValueError:
        return raw
    at = draw(st.sampled_from(places(value)))
    lines[number] = json.dumps(altered(value, at, draw(odd))).encode() + b"\n"
    return b"".join(lines)


def flip(raw: bytes, draw: Callable) -> bytes:
    raw = bytearray(raw)
    for _ in range(draw(st.integers(1, 5)) if raw else 0):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


@st.composite
def damages(draw) -> tuple[int, Any]:
    """Which file is damaged, and how: a function of its path."""
    content = draw(
        st.sampled_from([alter, alter, flip, lambda raw, draw: raw[: draw(st.integers(0, len(raw)))]])
        | st.binary(max_size=200).map(lambda new: lambda raw, draw: new)
    )
    place = draw(st.sampled_from([None, None, None, None, "gone", "folder", "pipe", "/dev/zero", "itself"]))
    return draw(st.integers(0, 10_000)), content if place is None else place


def damage(path: Path, how: Any, draw: Callable) -> None:
    if callable(how):
        path.write_bytes(how(path.read_bytes(), draw))
        return
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how != "gone":
        path.symlink_to(path.name if how == "itself" else how)


def read_everything(run: Path) -> list[str]:
    """Read a run as `report`, `resume` and `sync` do; return what they say is wrong with it."""
    folder, said = RunDir(run), []
    for read in (lambda: history(folder), folder.read_record, lambda: load_recipe(str(folder.recipe))):
        try:
            read()
        except UserError as error:
            said.append(str(error))
    try:
        said += write_report(folder)
    except UserError as error:
        said.append(str(error))
    else:
        page = folder.report.read_text()
        data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
        json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return said


def fuzz(whole: Path, examples: int) -> None:
    allowed = [HealthCheck.too_slow, HealthCheck.data_too_large]
    names = files_of(whole)

    @settings(max_examples=examples, deadline=None, suppress_health_check=allowed)
    @given(st.lists(damages(), min_size=1, max_size=2), st.data())
    def check(chosen, data):
        with TemporaryDirectory() as home:
            run = Path(home, "run")
            shutil.copytree(whole, run, ignore=shutil.ignore_patterns("checkpoints"))
            for number, how in chosen:
                path = run / names[number % len(names)]
                if path.is_file() and not path.is_symlink():
                    damage(path, how, data.draw)
            said = read_everything(run)
            assert all(str(run) in text for text in said)

    check()


def test_a_few(whole):
    fuzz(whole, 8)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_more(whole):
    fuzz(whole, 1500)


@pytest.fixture
def run(whole, tmp_path) -> Path:
    """A copy of the finished run, to damage."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


BROKEN = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\x01"),
    "another type": lambda path: path.write_bytes(b"[1, 2]\n"),
    "without end": lambda path: path.write_bytes(b"[" * 100_000),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("way", BROKEN)
@pytest.mark.parametrize("command", ["report", "resume", "sync"])
def test_a_damaged_record_is_named_by_every_command(cli, run, command, way):
    BROKEN[way](run / "run.json")
    result = cli(command, run)
    assert result.code == 2
    assert "run.json" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("name", "way", "said"),
    [
        ("environment.json", "cut", "environment.json: damaged: Invalid JSON"),
        ("environment.json", "another type", "environment.json: damaged: "),
        ("lr_finder.json", "empty", "lr_finder.json: damaged: Invalid JSON"),
        ("lr_finder.json", "without end", "lr_finder.json: damaged: Invalid JSON"),
        ("metrics.jsonl", "another type", "metrics.jsonl: damaged: 0: Input should be a valid dictionary"),
        ("timing.jsonl", "another type", "timing.jsonl: damaged: 0: Input should be a valid dictionary"),
        ("recipe.resolved.yaml", "bytes", "is not a text file"),
        ("model.safetensors", "cut", "model.safetensors: damaged: "),
        ("predictions.safetensors", "cut", "predictions.safetensors: damaged: "),
        ("predictions.safetensors", "empty", "predictions.safetensors: damaged: "),
        ("analysis/curves/result.json", "cut", "curves/result.json: damaged: "),
        ("analysis/confusion/result.json", "another type", "confusion/result.json: damaged: "),
        ("analysis/misclassified/images.zip", "cut", "images.zip: damaged: File is not a zip file"),
        ("analysis/confusion/confused_pairs.png", "bytes", "confused_pairs.png: damaged: cannot identify"),
    ],
)
def test_the_report_leaves_a_damaged_file_out_and_says_so(cli, run, name, way, said):
    BROKEN[way](run / name)
    result = cli("report", run)
    assert result.code == 0
    assert said in result.err
    page = (run / "report.html").read_text()
    assert f"Left out: {run / name if 'recipe' not in name else 'run/' + name}" in page
    for section in ("curves", "confusion", "misclassified", "grad_cam"):
        assert (f'<h2 id="{section}">' in page) == (name != f"analysis/{section}/result.json")


@pytest.mark.parametrize("name", ["schedule.json", "lr_finder.json", "metrics.jsonl"])
def test_resume_names_a_damaged_file_before_it_trains(cli, run, name):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"state": "interrupted"}))
    content = (run / name).read_bytes()
    (run / name).write_bytes(b'{"x": ' + content[6:])
    result = cli("resume", run, "--trust")
    assert result.code == 2
    assert f"{name}: damaged: " in result.err
    if name == "schedule.json":  # one is enough: each trains
        (run / name).write_bytes(content)
        assert cli("resume", run, "--trust").code == 0


def test_the_report_shows_no_picture_from_outside_the_run(cli, run):
    secret = run.parent / "secret.png"
    PIL.Image.new("RGB", (8, 8)).save(secret)
    path = run / "analysis/misclassified/result.json"
    result = json.loads(path.read_text())
    result["figures"][0]["file"] = "../../../secret.png"
    path.write_text(json.dumps(result))
    said = cli("report", run)
    assert "misclassified/result.json: damaged: figures.0.picture.file: String should match pattern" in said.err


def limited(run: Path) -> subprocess.CompletedProcess[str]:
    """Make a report with 1 GB of memory beside what the process has once frame is imported."""
    code = (
        "import resource, sys; from pathlib import Path; import frame.report, frame.report.images as images\n"
        "images._inferno()\n"
        "size = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() + 10**9\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "sys.argv = ['frame', 'report', sys.argv[1]]; from frame.cli import main; main()\n"
    )
    return subprocess.run([sys.executable, "-c", code, run], capture_output=True, text=True, timeout=100, check=False)


def zip_bomb() -> bytes:
    """An archive of 2 MB with images of 1 GiB of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("0000.png", "0001.png"):
            with archive.open(name, "w") as member:
                for _ in range(1024):
                    member.write(bytes(2**20))
    return buffer.getvalue()


def picture_bomb() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("1", (30_000, 30_000)).save(buffer, format="png")
    return buffer.getvalue()


def test_bombs_in_a_run_are_left_out_in_bounded_memory(run):
    (run / "analysis/misclassified/images.zip").write_bytes(zip_bomb())
    (run / "analysis/confusion/confused_pairs.png").write_bytes(picture_bomb())
    with (run / "environment.json").open("wb") as file:
        file.truncate(2**36)  # a sparse file: 64 GiB of zeros
    with (run / "predictions.safetensors").open("r+b") as file:
        file.truncate(2**36)
    done = limited(run)
    assert done.returncode == 0, done.stderr
    said = done.stderr
    assert "png has more than 268,435,456 bytes" in said
    assert "confused_pairs.png: damaged: Image size (900000000 pixels) exceeds limit" in said
    assert "environment.json: damaged: it has more than 268,435,456 bytes" in said
    assert "predictions.safetensors: damaged: it has more than 2,147,483,648 bytes" in said
    assert "Warning" not in said


@pytest.mark.parametrize("target", [-1, 10, 2**40])
def test_targets_that_are_no_class_are_damage(run, target):
    predictions = load_file(run / "predictions.safetensors")
    predictions["targets"][5] = target
    save_file(predictions, run / "predictions.safetensors")
    (said,) = write_report(RunDir(run))
    assert "predictions.safetensors: damaged: targets that are none of 10 classes" in said


def test_predictions_of_another_run_are_left_out(cli, run):
    save_file(
        {"logits": np.zeros((3, 4), np.float32), "targets": np.zeros(3, np.int64)}, run / "predictions.safetensors"
    )
    assert "no logits of 10 classes for each target" in cli("report", run).err
