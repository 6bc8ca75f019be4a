"""Faults from outside: the terminal goes away, a process dies, code of others never ends, the clock jumps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import clean_environment
from frame.rundir import read_lines
from frame.time_limit import OutOfTime, time_limit

FAULTY = Path(__file__).parent / "fixtures" / "faulty.yaml"
FRAME = f"{sys.executable} -m frame"


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "faulty").iterdir()
    return run


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash with `frame` in it; the exit code is that of the first command of a pipe."""
    line = f'frame() {{ {FRAME} "$@"; }}\n{command}\nexit ${{PIPESTATUS[0]}}'
    environment = clean_environment(folder) | variables
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("where", ["2>err | head -1", ">&- 2>&-"])
def test_a_run_goes_on_where_nobody_reads_its_output(tmp_path, where):
    done = shell(f"frame run {FAULTY} train.epochs=3 {where}", tmp_path)
    assert done.returncode == 0
    run = only_run(tmp_path)
    assert record(run)["state"] == "finished"
    log = (run / "log.txt").read_text()
    assert "epoch 3/3" in log
    assert "result    test accuracy" in log
    assert len(read_lines(run / "metrics.jsonl")) == 3 + 3 * 12 // 5
    if "err" in where:
        assert (tmp_path / "err").read_text() == ""


@pytest.mark.parametrize("command", ["list", "schema", "explain quickstart", "--help"])
def test_a_short_command_is_quiet_where_nobody_reads_its_output(tmp_path, command):
    for where in ("| head -1", ">&-"):
        done = shell(f"frame {command} {where}", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_analyzer_that_never_ends_is_ended(cli, tmp_path):
    result = cli("run", FAULTY, "train.epochs=1", "analyzers=[{use: endless, time_limit_s: 0.2}, {use: confusion}]")
    assert result.code == 0
    reason = "it ran longer than its time limit of 0.2 s (time_limit_s)"
    assert f"warning: analyzer 'endless' failed: {reason}" in result.err
    run = only_run(tmp_path)
    assert record(run)["failed_analyzers"] == 1
    assert f"This analyzer failed: {reason}" in (run / "report.html").read_text()
    assert (run / "analysis" / "confusion" / "confusion.png").is_file()


def test_an_analyzer_that_exits_does_not_end_the_run(cli, tmp_path):
    result = cli("run", FAULTY, "train.epochs=1", "analyzers=[{use: exits}, {use: confusion}]")
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
