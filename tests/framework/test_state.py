"""What a run writes: whole or not at all; generators that go on where they were."""

from __future__ import annotations

import pytest
import torch

from frame.compute.randomness import rng_state, seed_everything, set_rng_state
from frame.rundir.files import write_bytes
from frame.rundir.history import append_line, read_lines


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
