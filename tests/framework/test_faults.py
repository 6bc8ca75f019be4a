"""Faults from outside: the terminal goes away, a process dies, code of others never ends, the clock jumps."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import clean_environment
from fakes.faulty_run import FAULTY, only_run, record
from fakes.launching import start
from frame.analysis.time_limit import OutOfTime, time_limit
from frame.rundir.history import read_lines

FRAME = f"{sys.executable} -m frame"


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash with `frame` in it; the exit code is that of the first command of a pipe."""
    line = f'frame() {{ {FRAME} "$@"; }}\n{command}\nexit ${{PIPESTATUS[0]}}'
    environment = clean_environment(folder) | variables
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_run_goes_on_when_nobody_reads_its_output_any_more(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = start(["run", FAULTY, "train.epochs=3"], tmp_path, pipe)
    with pipe.open() as reader:
        assert reader.readline()
    run.join(100)
    assert run.exitcode == 0
    assert (tmp_path / "err.txt").read_text() == ""
    assert_whole(only_run(tmp_path))


def test_a_run_goes_on_without_any_output(tmp_path):
    run = start(["run", FAULTY, "train.epochs=3"], tmp_path, None)
    run.join(100)
    assert run.exitcode == 0
    assert_whole(only_run(tmp_path))


def assert_whole(run: Path) -> None:
    """Look for all that a run of three epochs leaves."""
    assert record(run)["state"] == "finished"
    log = (run / "log.txt").read_text()
    assert "epoch 3/3" in log
    assert "result    test accuracy" in log
    assert len(read_lines(run / "metrics.jsonl")) == 3 + 3 * 12 // 5


def test_a_run_goes_on_when_its_terminal_is_gone(tmp_path):
    terminal, its_end = pty.openpty()
    run = start(["run", FAULTY, "train.epochs=30"], tmp_path, os.ttyname(its_end))
    shown = b""
    while b"epoch 1/30" not in shown:
        shown += os.read(terminal, 4096)
    os.close(its_end)
    os.close(terminal)
    run.join(100)
    assert run.exitcode == 0
    assert (tmp_path / "err.txt").read_text() == ""
    assert "epoch 30/30" in (only_run(tmp_path) / "log.txt").read_text()


@pytest.mark.parametrize("command", ["list", "schema", "explain quickstart", "--help"])
def test_a_short_command_is_quiet_where_nobody_reads_its_output(tmp_path, command):
    for where in ("| head -1", ">&-"):
        done = shell(f"frame {command} {where}", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_analyzer_that_never_ends_is_ended(cli, tmp_path):
    analyzers = "[{use: endless, time_limit_s: 0.2}, {use: confusion, pairs: 0}]"
    result = cli("run", FAULTY, "train.epochs=1", f"analyzers={analyzers}")
    assert result.code == 0
    reason = "it ran longer than its time limit of 0.2 s (time_limit_s)"
    assert f"warning: analyzer 'endless' failed: {reason}" in result.err
    run = only_run(tmp_path)
    assert record(run)["failed_analyzers"] == 1
    assert f"This analyzer failed: {reason}" in (run / "report.html").read_text()
    assert (run / "analysis" / "confusion" / "confusion.png").is_file()


def test_an_analyzer_that_exits_does_not_end_the_run(cli, tmp_path):
    result = cli("run", FAULTY, "train.epochs=1", "analyzers=[{use: exits}, {use: confusion, pairs: 0}]")
    assert result.code == 0
    assert "warning: analyzer 'exits' failed: SystemExit: 3" in result.err
    assert (only_run(tmp_path) / "analysis" / "confusion" / "confusion.png").is_file()


def test_a_time_limit_gives_handler_and_timer_back():
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    timer = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(OutOfTime), time_limit(0.05):
            time.sleep(5)
        time.sleep(0.05)
        assert not rung
        time.sleep(0.5)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_trackers_that_hang_are_off_and_hold_neither_run_nor_process(frame, tmp_path):
    kinds = {"hangs": "build", "hangs_too": "log", "hangs_as_well": "finish"}
    hanging = ", ".join(f"{{use: {kind}, at: {at}, time_limit_s: 1}}" for kind, at in kinds.items())
    done = frame("run", FAULTY, f"trackers=[{hanging}]", "analyzers=[{use: confusion, pairs: 0}]", timeout=100)
    assert done.returncode == 0
    reason = "and is off from here on: TimeoutError: it took longer than 1 s (time_limit_s)"
    assert done.stderr.splitlines() == [
        f"warning: tracker 'hangs' did not start {reason}",
        f"warning: tracker 'hangs_too' failed {reason}",
        f"warning: tracker 'hangs_as_well' failed to finish {reason}",
    ]
    calls = {}
    for at in ("build", "log", "finish"):
        lines = (only_run(tmp_path) / f"calls_{at}.txt").read_text().splitlines()
        calls[at] = [line.rsplit(" ", 1)[0] for line in lines]
        assert len({line.rsplit(" ", 1)[1] for line in lines}) == 1  # thread
    whole = ["build", *["log"] * 6, "result confusion", "finish"]
    assert calls == {"build": whole[:1], "log": whole[:2], "finish": whole}
