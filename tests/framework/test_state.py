"""Checkpoints: whole or not at all, and never trusted without their checksum."""

from __future__ import annotations

import pytest
import torch

from frame import RunFailed
from frame.randomness import rng_state, seed_everything, set_rng_state
from frame.rundir import RunDir, append_line, create_run, read_lines, write_bytes
from frame.state import load_last, load_weights, save


@pytest.fixture
def run(tmp_path) -> RunDir:
    return create_run(tmp_path, "test")


def test_the_one_before_stays_as_previous(run):
    for step in (1, 2, 3):
        save(run.checkpoints / "last.pt", {"step": step})
    assert load_last(run) == ({"step": 3}, [])
    assert torch.load(run.checkpoints / "previous.pt", weights_only=True) == {"step": 2}


@pytest.mark.parametrize("damage", ["flipped", "cut", "no checksum"])
def test_a_damaged_checkpoint_is_passed_over_and_named(run, damage):
    save(run.checkpoints / "last.pt", {"step": 1})
    save(run.checkpoints / "last.pt", {"step": 2})
    path = run.checkpoints / "last.pt"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-10])
    else:
        (run.checkpoints / "last.pt.sha256").unlink()
    state, notes = load_last(run)
    assert state == {"step": 1}
    assert notes == [f"{path} does not match its checksum and was passed over"]


def test_no_whole_checkpoint_is_an_error_that_says_so(run):
    with pytest.raises(RunFailed, match="has no whole checkpoint to resume from"):
        load_last(run)
    with pytest.raises(RunFailed, match=r"checkpoint\.keep=last"):
        load_weights(run.checkpoints / "best.pt")


def test_generators_go_on_where_they_were_saved(tmp_path):
    import random

    import numpy as np

    seed_everything(5)
    torch.save(rng_state(), tmp_path / "rng.pt")

    def draw():
        return random.random(), np.random.rand(), np.random.normal(), torch.rand(1).item()

    first = draw()
    assert draw() != first
    set_rng_state(torch.load(tmp_path / "rng.pt", weights_only=True))
    assert draw() == first


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, None)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    append_line(path, {"step": 2})
    path.write_bytes(path.read_bytes()[:-4])
    assert read_lines(path) == [{"step": 1}]


def test_two_runs_never_share_a_folder(tmp_path):
    folders = {create_run(tmp_path, "same").path for _ in range(20)}
    assert len(folders) == 20
