"""Checkpoint files: whole or not at all, never trusted without their checksum, never executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frame import RunFailed
from frame.rundir.checkpoints import load_best, load_last, save_best, save_last
from frame.rundir.folder import RunDir


def new_run(folder: Path) -> RunDir:
    run = RunDir(folder / "run")
    run.checkpoints.mkdir(parents=True)
    return run


@pytest.fixture
def run(tmp_path) -> RunDir:
    return new_run(tmp_path)


def step(run: RunDir) -> int:
    state, notes = load_last(run)
    assert notes == []
    assert state is not None
    return state["step"]


def test_the_one_before_stays_as_previous(run):
    for number in (1, 2, 3):
        save_last(run, {"step": number})
    assert step(run) == 3
    assert torch.load(run.checkpoints / "previous.pt", weights_only=True)["step"] == 2


def test_a_run_that_was_not_saved_has_no_state(run):
    assert load_last(run) == (None, [])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("damaged", [False, True])
def test_wherever_a_save_is_cut_short_a_whole_checkpoint_is_left(run, monkeypatch, damaged):
    """Every change of the folder is a rename: the n-th and all after it do not happen, as with a kill before it."""
    rename, done, allowed = Path.replace, 0, 0

    def replace(path, target):
        nonlocal done
        done += 1
        if done > allowed:
            raise Killed
        return rename(path, target)

    save_last(run, {"step": 0})
    save_last(run, {"step": 1})
    if damaged:  # a resume falls back, and goes on from there
        (run.checkpoints / "last.pt").write_bytes(b"cut sho")
        state, notes = load_last(run)
        assert state["step"] == 0
        assert len(notes) == 1
    monkeypatch.setattr(Path, "replace", replace)
    number = kills = 0
    while kills < 40:
        before, number = step(run), number + 1
        done = 0
        try:
            save_last(run, {"step": 10 + number})
        except Killed:
            kills += 1
            allowed = (allowed + 1) % 5
            assert step(run) in (before, 10 + number)
        else:
            allowed = 0
            assert step(run) == 10 + number


@pytest.mark.parametrize("damage", ["flipped", "cut", "no checksum", "empty", "checksum of bytes that are no text"])
def test_a_damaged_checkpoint_is_set_aside_and_named(run, damage):
    save_last(run, {"step": 1})
    save_last(run, {"step": 2})
    path = run.checkpoints / "last.pt"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no checksum":
        (run.checkpoints / "last.pt.sha256").unlink()
    else:
        (run.checkpoints / "last.pt.sha256").write_bytes(b"\xff\xfe")
    state, notes = load_last(run)
    assert state["step"] == 1
    assert notes == [f"{path} does not match its checksum; it was set aside as last.pt.damaged"]
    assert step(run) == 1


def test_no_whole_checkpoint_is_an_error_that_says_what_to_do(run):
    save_last(run, {"step": 1})
    save_last(run, {"step": 2})
    for name in ("last.pt", "previous.pt"):
        (run.checkpoints / name).write_bytes(b"")
    with pytest.raises(RunFailed, match=f"begin anew with: frame run {run.recipe}"):
        load_last(run)
    assert (run.checkpoints / "last.pt").is_file()
    with pytest.raises(RunFailed, match=r"checkpoint\.keep=last"):
        load_best(run)
    save_best(run, {"epoch": 3})
    assert load_best(run)["epoch"] == 3


def plant(run: RunDir, content: bytes) -> None:
    """Put a file in the place of the last checkpoint, with the checksum that fits it."""
    (run.checkpoints / "last.pt").write_bytes(content)
    (run.checkpoints / "last.pt.sha256").write_text(hashlib.sha256(content).hexdigest())


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("how", ["a checkpoint of torch", "a pickle"])
def test_a_checkpoint_that_would_run_code_is_refused(run, tmp_path, how):
    marker = tmp_path / "pwned"
    buffer = io.BytesIO()
    if how == "a pickle":
        pickle.dump(Evil(marker), buffer)
    else:
        torch.save({"format": 2, "step": Evil(marker)}, buffer)
    plant(run, buffer.getvalue())
    with pytest.raises(RunFailed, match="is no checkpoint"):
        load_last(run)
    assert not marker.exists()


def test_a_checkpoint_that_would_unpack_to_far_more_than_its_size_is_refused(run):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000_000)
    plant(run, buffer.getvalue())
    with pytest.raises(RunFailed, match="is compressed"):
        load_last(run)


def test_another_version_of_the_format_is_named(run):
    buffer = io.BytesIO()
    torch.save({"format": 1, "step": 3}, buffer)
    plant(run, buffer.getvalue())
    with pytest.raises(RunFailed, match="was not written by this version of frame"):
        load_last(run)


def encoded(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


WHOLE = encoded({"format": 2, "step": 3, "model": {"weight": torch.arange(12.0).view(3, 4)}, "list": [1, None, "a"]})
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@st.composite
def mutated(draw) -> bytes:
    content = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        content[start : start + draw(st.integers(0, 40))] = draw(st.binary(max_size=40))
    return bytes(content)


def fuzz(folder: Path, examples: int) -> None:
    run = new_run(folder)

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=400) | mutated() | plain.map(encoded))
    def check(content: bytes) -> None:
        plant(run, content)
        try:
            state, _ = load_last(run)
        except RunFailed:
            pass
        else:
            assert state["format"] == 2

    check()


def test_whatever_a_checkpoint_holds_it_is_one_or_is_refused(tmp_path):
    fuzz(tmp_path, 200)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_a_checkpoint_holds_many_more(tmp_path):
    fuzz(tmp_path, 20_000)
