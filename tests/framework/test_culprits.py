"""What goes wrong in a component while it runs is told with its name and its plugin's own line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
RECIPE = FIXTURES / "culprits.yaml"
LINES = (FIXTURES / "culprits.py").read_text().splitlines()


def line_of(mark: str) -> str:
    """Return the plugin's line that ends with this comment, as errors name it."""
    (number,) = [number for number, line in enumerate(LINES, 1) if line.endswith(f"# {mark}")]
    return f"{FIXTURES / 'culprits.py'}:{number})"


def build_of(name: str) -> str:
    """Return the line of a component's `build`, as errors name it."""
    start = next(number for number, line in enumerate(LINES) if line.startswith(f"class {name}("))
    return f"(built at {FIXTURES / 'culprits.py'}:{1 + next(n for n in range(start, 999) if 'def build' in LINES[n])})"


@pytest.mark.parametrize(
    ("override", "says", "where"),
    [
        ("loss={use: bad_loss}", "loss 'bad_loss' failed: ValueError: ", line_of("LOSS")),
        ("loss={use: bad_loss, how: torch}", "loss 'bad_loss' failed: ValueError: ", build_of("BadLoss")),
        (
            "loss={use: bad_loss, how: unreduced}",
            "loss 'bad_loss' returns one tensor of shape (128,): it must return the mean over the batch",
            build_of("BadLoss"),
        ),
        ("optimizer={use: bad_optimizer}", "optimizer 'bad_optimizer' failed: RuntimeError: ", line_of("OPTIMIZER")),
        ("scheduler={use: bad_scheduler}", "scheduler 'bad_scheduler' failed: ValueError: ", build_of("BadScheduler")),
        (
            "data.train_transforms=[{use: bad_batch}]",
            "transform 'bad_batch' returns one tensor of shape (2, 1, 32, 32): it must return both, images and targets",
            build_of("BadBatch"),
        ),
        (
            "data.train_transforms=[{use: bad_batch, how: raise}]",
            "transform 'bad_batch' failed: RuntimeError: ",
            line_of("BATCH"),
        ),
        ("data.train_transforms=[{use: bad_sample}]", "transform 'bad_sample' returns nothing", build_of("BadSample")),
        (
            "data.train_transforms=[{use: bad_sample, how: raise}]",
            "transform 'bad_sample' failed: ValueError: ",
            line_of("SAMPLE"),
        ),
        ("evaluate={use: bad_evaluator}", "evaluator 'bad_evaluator' failed: RuntimeError: ", line_of("EVALUATOR")),
        ("model={use: bad_model}", "model 'bad_model' failed: RuntimeError: ", line_of("MODEL")),
        ("callbacks=[{use: misspelt, fails: true}]", "callback 'misspelt' failed: RuntimeError: ", line_of("CALLBACK")),
    ],
)
def test_what_a_component_does_wrong_names_it_and_its_own_line(cli, tmp_path, override, says, where):
    result = cli("run", RECIPE, override)
    assert result.code == 1
    line = result.err.splitlines()[-1]
    assert line.startswith(f"error: {says}")
    assert where in line
    if found := re.search(r"The traceback is in (\S+)$", line):
        assert "Traceback (most recent call last)" in (tmp_path / found[1]).read_text()


def test_a_misspelt_method_of_a_callback_is_pointed_out(cli):
    result = cli("run", RECIPE, "callbacks=[{use: misspelt}]")
    says = "warning: callback 'misspelt' has a method on_epoch_ends, which nothing calls; did you mean 'on_epoch_end'?"
    assert (result.code, result.err) == (0, f"{says}\n")


def test_a_dry_run_points_to_nothing_that_it_removed(cli, tmp_path):
    result = cli("run", RECIPE, "--dry-run", "optimizer={use: bad_optimizer}")
    assert result.code == 1
    assert result.err.splitlines()[-1].endswith(line_of("OPTIMIZER"))
    assert "frame-dry-run-" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_memory_advice_is_that_of_the_part_at_work(cli):
    result = cli("run", RECIPE, "model={use: bad_model, memory: true}")
    assert result.code == 1
    assert result.err.startswith(
        "error: out of memory (262,144.00 GiB were asked for): lower data.batch_size (now 128;"
    )
