"""What happens around a run in its middle: its folder goes away, its disk becomes read-only, the clock jumps."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from fakes.faulty_run import FAULTY, only_run, record
from frame.rundir.history import read_lines

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def in_the_middle(command: str, more: str = "") -> str:
    return f"callbacks=[{{use: shell, command: '{command}'}}{more}]"


def test_a_folder_that_is_removed_ends_the_run_in_one_line_and_does_not_come_back(frame, tmp_path):
    done = frame("run", FAULTY, "analyzers=[{use: curves}]", in_the_middle("rm -rf {run}"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the run's folder runs/faulty/")
    assert line.endswith(" is gone: it was removed or moved while the run wrote to it")
    assert list((tmp_path / "runs" / "faulty").iterdir()) == []


def test_a_disk_that_becomes_read_only_fails_the_run_and_keeps_what_was_saved(frame, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here (needs root)")
    try:
        # a second, read-only mount in its place: the first cannot become one while the run holds its lock there
        read_only = in_the_middle(f"mount --bind {disk} {disk} && mount -o remount,bind,ro {disk}")
        done = frame("run", FAULTY, "--out", disk, "analyzers=[{use: curves}]", read_only)
        assert done.returncode == 1
        (run,) = (disk / "faulty").iterdir()
        says = f"error: cannot write {run}/metrics.jsonl: Read-only file system. What was saved before is kept\n"
        assert done.stderr == says
        subprocess.run(["umount", disk], check=True)
        assert frame("resume", run).returncode == 0
        assert record(run)["state"] == "finished"
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
@pytest.mark.skipif(FAKETIME is None, reason="needs the library faketime (Debian: apt-get install faketime)")
def test_a_clock_that_jumps_back_by_a_year_disturbs_nothing(frame, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    jump = in_the_middle(f"echo -365d > {clock}", ", {use: interrupt, step: 20}")
    done = frame("run", FAULTY, "train.epochs=3", "train.log_every=1", "analyzers=[{use: curves}]", jump, env=fake)
    assert done.returncode == 130, done.stderr
    run = only_run(tmp_path)  # one folder, named by the time at which the run began
    began = datetime.strptime(run.name[:15], "%Y%m%d-%H%M%S")
    assert abs((datetime.now() - began).total_seconds()) < 600
    stopped = record(run)
    assert began.year - datetime.fromisoformat(stopped["ended"]).year == 1
    assert 0 < stopped["seconds"] < 600
    done = frame("resume", run, env=fake)
    assert (done.returncode, done.stderr) == (0, "")
    finished = record(run)
    assert only_run(tmp_path) == run
    assert finished["state"] == "finished"
    assert stopped["seconds"] < finished["seconds"] < 600
    assert 0 < finished["training_seconds"] < finished["seconds"]
    timing = read_lines(run / "timing.jsonl")
    assert [line["step"] for line in timing if line["kind"] == "step"] == list(range(1, 37))
    assert all(line.get("seconds", 1) > 0 and line.get("images_per_s", 1) > 0 for line in timing)
    assert finished["started"] == stopped["started"]
