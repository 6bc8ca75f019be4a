"""On a terminal of 80 columns, lines are folded between fields, tables stay tables, and paths can be copied."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from frame.cli import runs as runs_command
from frame.console import Console, epoch_fields
from frame.console.tables import fitted, fold
from frame.recipe.load import load_recipe
from frame.rundir.folder import RunDir, write_json
from frame.rundir.history import append_line
from frame.sweep import summary
from frame.sweep.record import open_sweep
from frame.sweep.search import Search
from frame.sweep.spec import load_sweep
from frame.training.build import build, load_data
from frame.training.lr_finder import find_lr

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"

METRICS = {"train/loss": 1.5084, "train/acc": 0.5511, "test/loss": 2.257, "test/acc": 0.1}
HEADER = ("run", "state", "best", "disk")
LONG = f"runs/{'a_long_name' * 6}/20261128-094343-bc82"
ROWS = [(LONG, "finished", "test/acc 99.44% (epoch 5)", "12 MB"), ("runs/b", "interrupted", "–", "9 kB")]


def fields():
    return [*epoch_fields(12, 24, METRICS, ("test", 10_000), 2.59e-3), "2 min 05 s", "best"]


def test_an_epochs_line_is_folded_between_its_fields_below_the_second():
    assert fold(fields(), 80) == [
        "epoch 12/24  train loss 1.5084 acc  55.11%",
        "             test loss 2.2570 acc  10.00% (1000/10000)  lr 2.59e-03  2 min 05 s",
        "             best",
    ]


@pytest.mark.parametrize("width", [None, 200])
def test_a_line_for_which_there_is_room_stays_one(width):
    assert fold(fields(), width) == ["  ".join(fields())]


def test_a_field_that_is_wider_than_the_terminal_stays_whole():
    assert fold(["report", LONG, "x"], 30) == ["report", f"        {LONG}", "        x"]


def test_the_log_has_an_epochs_line_in_one_piece_whatever_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Console, "width", 80)
    console = Console(tmp_path / "log.txt")
    console.say_fields(fields())
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert (tmp_path / "log.txt").read_text() == "  ".join(fields()) + "\n"


def test_a_table_that_is_too_wide_has_its_path_on_a_line_of_its_own_and_its_columns_still():
    head, first, second = fitted(HEADER, ROWS, 80, whole=0, right=[3])
    assert head == ["run", "  state        best                        disk"]
    assert first == [LONG, "  finished     test/acc 99.44% (epoch 5)  12 MB"]
    assert second == ["runs/b", "  interrupted  –                           9 kB"]


def test_columns_that_are_too_wide_without_the_path_too_are_folded_alike_in_every_row():
    head, first, second = fitted(HEADER, ROWS, 44, whole=0, right=[3])
    assert head == ["run", "  state        best", "   disk"]
    assert first == [LONG, "  finished     test/acc 99.44% (epoch 5)", "  12 MB"]
    assert second[1:] == ["  interrupted  –", "   9 kB"]


@pytest.mark.parametrize("width", [None, 200])
def test_a_table_for_which_there_is_room_has_a_line_a_row(width):
    assert [len(lines) for lines in fitted(HEADER, ROWS, width, whole=0)] == [1, 1, 1]


def test_runs_fit_a_terminal_of_80_columns(cli, tmp_path, monkeypatch):
    best = {"metric": "test/acc", "value": 1.0, "epoch": 24}
    for name in ("20261128-094343-bc82", "20261128-105511-77ab"):
        run = RunDir(tmp_path / "runs" / "cifar10_speedrun" / name)
        run.path.mkdir(parents=True)
        known = {"id": name, "name": "x", "state": "interrupted", "started": "2026-11-24T10:00:00+00:00"}
        write_json(run.record, {**known, "best": best, "test_accuracy": 1.0, "seconds": 3599, "epochs": 24})
        append_line(run.metrics, {"kind": "epoch", "epoch": 24, "step": 24})
    monkeypatch.setattr(runs_command, "width", lambda: 80)
    lines = cli("runs").out.splitlines()
    assert max(map(len, lines)) <= 80
    paths = {f"runs/cifar10_speedrun/{name}" for name in ("20261128-094343-bc82", "20261128-105511-77ab")}
    assert paths <= set(lines)
    assert any("interrupted" in line and "test/acc 100.00% (epoch 24)" in line for line in lines)


def test_a_sweeps_table_fits_80_columns_and_says_below_a_failed_trial_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = (
        "optimizer.lr: {choice: [0.01, 0.002]}, data.batch_size: {choice: [64]}, train.clip_grad_norm: {choice: [1]}"
    )
    (tmp_path / "search.yaml").write_text(f"method: grid\nspace: {{{space}}}\n")
    search = Search(open_sweep(load_sweep(str(TINY), tmp_path / "search.yaml", [])))
    good, bad = search.waiting
    good.state, good.value, good.epochs, good.run = "finished", 0.9722, 24, str(tmp_path / LONG)
    bad.state, bad.error = "failed", f"out of memory: {'lower data.batch_size or so, ' * 4}once more"
    console = Console()
    monkeypatch.setattr(Console, "width", 80)
    summary._say_table(search.folder, good, console)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= max(80, len(LONG))
    assert [line for line in lines if LONG in line] == [LONG]
    assert lines[6].startswith("  out of memory: lower")
    assert " ".join(line.strip() for line in lines[6:]) == bad.error
    assert lines[1].split() == ["trial", "lr", "batch_size", "clip_grad_norm", "test/acc", "epochs", "state"]


def test_an_epochs_bar_is_one_line_of_80_columns_with_the_time_that_is_left():
    console, output = Console(), io.StringIO()
    console.out = RichConsole(file=output, force_terminal=True, width=80, soft_wrap=True)
    with console.bar("epoch 12/24", 120, 490) as bar:
        bar.status("loss 1.5084  acc 55.11%  5,125 images/s")
        bar.progress.refresh()
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n").splitlines()
    (line,) = {line for line in drawn if "images/s" in line}
    assert len(line) <= 80
    assert line.endswith("images/s --:--")


def test_the_lr_finders_bar_has_a_total_from_the_first():
    recipe = load_recipe(str(TINY), ["lr_finder={use: lr_range_test, num_steps: 14, rule: minimum_tenth}"]).recipe
    parts = build(recipe, load_data(recipe))
    console = Console()
    console.out = RichConsole(file=io.StringIO(), force_terminal=True, width=80, no_color=True)
    find_lr(parts, console)
    counts = re.findall(r"━ +(\d*/[\d?]+)?", console.out.file.getvalue())
    assert counts[-1] == "14/14"
    assert {count.partition("/")[2] for count in counts if count} == {"14"}
