"""`frame runs` lists what lies below a folder, whatever became of it; `frame runs rm` removes that and nothing else."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import clean_environment
from frame.rundir.folder import RunDir, write_json
from frame.rundir.history import append_line

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


@pytest.fixture
def make(tmp_path):
    """Make a run's folder by hand, with what the list reads of it."""

    def made(name: str, *, epochs: int = 0, **record) -> Path:
        folder = RunDir(tmp_path / "runs" / name)
        for part in (folder.checkpoints, folder.analysis):
            part.mkdir(parents=True)
        known = {"id": folder.run_id, "name": "quick", "state": "finished", "started": "2026-11-24T10:00:00+00:00"}
        write_json(folder.record, known | record)
        folder.lock.write_text("7")
        for epoch in range(1, epochs + 1):
            append_line(folder.metrics, {"kind": "step", "epoch": epoch - 0.5, "step": epoch})
            append_line(folder.metrics, {"kind": "epoch", "epoch": epoch, "step": epoch})
        return folder.path

    return made


def holding(folder: Path) -> subprocess.Popen[str]:
    """Start a process that has a run's folder; it ends when its input does."""
    code = (
        "import sys; from pathlib import Path; from frame.rundir.folder import RunDir\n"
        "with RunDir(Path(sys.argv[1])).locked(): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_real_run_is_listed_with_what_became_of_it(cli):
    assert cli("run", TINY).code == 0
    head, line = cli("runs").out.splitlines()
    assert head.split() == ["run", "state", "best", "test", "accuracy", "epochs", "duration", "disk"]
    (listed,) = json.loads(cli("runs", "--json").out)
    record = json.loads((Path(listed["path"]) / "run.json").read_text())
    assert line.split()[:3] == [listed["path"], "finished", "test/acc"]
    assert f" {record['test_accuracy']:.2%}  " in line
    assert "  2/2  " in line
    assert listed["best"] == record["best"]
    assert (listed["epochs"], listed["planned_epochs"], listed["seconds"]) == (2, 2, record["seconds"])
    du = subprocess.run(["du", "-s", "-B1", listed["path"]], capture_output=True, text=True, check=True).stdout
    assert listed["disk_bytes"] == pytest.approx(int(du.split()[0]), rel=0.2)  # du counts the folders too


def test_those_that_started_last_come_first_and_what_they_lack_is_a_dash(cli, make):
    make("a/old", started="2026-11-23T10:00:00+00:00", state="failed", seconds=65.0)
    make("b/new", started="2026-11-24T10:00:00+01:00", state="interrupted", epochs=3)
    make("deeper/than/usual", started="2025-01-01T00:00:00+00:00", test_accuracy=0.5, best=None)
    _, *lines = cli("runs").out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["runs/b/new", "interrupted"],
        ["runs/a/old", "failed"],
        ["runs/deeper/than/usual", "finished"],
    ]
    assert [" –  " in line for line in lines] == [True] * 3
    assert " 3/?  " in lines[0]
    assert " 1 min 05 s  " in lines[1]
    assert " 50.00%  " in lines[2]
    assert [line.split()[0] for line in cli("runs", "runs/a").out.splitlines()[1:]] == ["runs/a/old"]


def test_a_running_run_without_a_process_was_killed(cli, make):
    held, left = make("quick/held", state="running"), make("quick/left", state="running")
    process = holding(held)
    try:
        states = {entry["path"]: entry["state"] for entry in json.loads(cli("runs", "--json").out)}
    finally:
        process.communicate()
    assert states == {"runs/quick/held": "running", "runs/quick/left": "killed"}
    assert (left / ".lock").read_text() == "7"  # to look is not to take


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "damaged: Invalid JSON"),
        ('{"id": 1}', "it does not say id, name, state"),
        ('{"id": "a", "name": "b", "state": "finished"}', "started: Field required"),
        ('{"id": "a", "name": "b", "state": "finished", "started": "0001-01-01T00:00:00+14:00", "best": 3}', "best:"),
    ],
)
def test_a_damaged_run_is_listed_as_such(cli, make, content, reason):
    make("quick/good")
    (make("quick/broken") / "run.json").write_text(content)
    result = cli("runs")
    assert result.code == 0
    assert {tuple(line.split()[:2]) for line in result.out.splitlines()[1:]} == {
        ("runs/quick/good", "finished"),
        ("runs/quick/broken", "damaged"),
    }
    assert result.err.startswith("warning: runs/quick/broken/run.json: damaged: ")
    assert reason in result.err
    assert len(result.err.splitlines()) == 1


def test_folders_without_runs(cli, tmp_path):
    result = cli("runs")
    assert (result.code, result.out) == (2, "")
    assert result.err == ("error: there is no folder runs; name the one that runs lie in (the --out of `frame run`)\n")
    (tmp_path / "runs").mkdir()
    assert (cli("runs").out, cli("runs", "--json").out) == ("no runs below runs\n", "[]\n")


def test_a_thousand_runs_are_listed_without_torch(make, tmp_path):
    for number in range(1000):
        make(f"quick/{number:04}", epochs=3)
    code = (
        "import sys; from frame.cli import main; sys.argv = ['frame', 'runs']\n"
        "try: main()\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) == 1002
    assert done.stdout.splitlines()[-1] == "False"


class TestRemoving:
    def test_links_are_removed_and_not_what_they_lead_to(self, cli, make, tmp_path):
        run, kept = make("quick/a"), make("quick/b")
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "data.bin").write_bytes(b"precious")
        (run / "folder").symlink_to(outside)
        (run / "file").symlink_to(outside / "data.bin")
        result = cli("runs", "rm", run, run, "--yes")
        assert result.code == 0, result.err
        assert not run.exists()
        assert kept.exists()
        assert (outside / "data.bin").read_bytes() == b"precious"
        assert result.out.splitlines()[0].startswith("runs/quick/a  ")

    @pytest.mark.parametrize(("answer", "stays"), [("n", True), ("", True), ("y", False)])
    def test_it_asks_and_shows_what_and_how_large(self, make, tmp_path, answer, stays):
        run = make("quick/a")
        (run / "model.safetensors").write_bytes(os.urandom(3_000_000))
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "frame", "runs", "rm", run], stdin=theirs, cwd=tmp_path, capture_output=True,
            text=True, env=clean_environment(tmp_path),
        )  # fmt: skip
        assert "runs/quick/a  3.0 MB\nRemove this run (3.0 MB) for good? [y/N]: " in done.stdout
        assert run.exists() is stays
        assert done.returncode == 0

    def test_without_anybody_to_ask_nothing_is_removed(self, make, tmp_path):
        run = make("quick/a")
        done = subprocess.run(
            [sys.executable, "-m", "frame", "runs", "rm", run], stdin=subprocess.DEVNULL, cwd=tmp_path,
            capture_output=True, text=True, env=clean_environment(tmp_path),
        )  # fmt: skip
        assert run.exists()
        assert "Traceback" not in done.stderr
        assert done.returncode == 130

    def test_a_run_in_use_is_refused_and_so_are_those_beside_it(self, cli, make):
        free, held = make("quick/free"), make("quick/held", state="running")
        process = holding(held)
        try:
            result = cli("runs", "rm", free, held, "--yes")
        finally:
            process.communicate()
        assert result.code == 2
        assert result.err.startswith(f"error: {held} is in use by process {process.pid}")
        assert free.exists()
        assert held.exists()

    def test_what_is_no_run_is_refused(self, cli, make, tmp_path):
        run = make("quick/a")
        link = tmp_path / "link"
        link.symlink_to(run)
        project = tmp_path / "project"
        project.mkdir()
        (project / "run.json").write_text("{}")
        shutil.copyfile(run / "run.json", tmp_path / "runs" / "run.json")
        for folder, reason in (
            (tmp_path / "runs" / "quick", "is no run: it has no run.json"),
            (link, f"is a link; name the folder itself: {run}"),
            (project, "does not look like a run, and is left as it is"),
            (tmp_path / "runs", f"holds another run, {run}, and is left as it is"),
        ):
            result = cli("runs", "rm", folder, "--yes")
            assert result.code == 2
            assert f"error: {folder} {reason}" in result.err
            assert folder.exists()
        assert (run / "run.json").exists()

    def test_a_damaged_run_can_be_removed(self, cli, make):
        run = make("quick/a")
        (run / "run.json").write_text("{")
        assert cli("runs", "rm", run, "--yes").code == 0
        assert not run.exists()

    def test_a_lock_that_leads_elsewhere_is_not_written_to(self, cli, make, tmp_path):
        run, precious = make("quick/a", state="running"), tmp_path / "precious.txt"
        precious.write_text("precious")
        (run / ".lock").unlink()
        (run / ".lock").symlink_to(precious)
        assert " killed " in cli("runs").out
        result = cli("runs", "rm", run, "--yes")
        assert (result.code, precious.read_text(), run.exists()) == (2, "precious", True)

    def test_pipes_in_a_run_are_not_waited_for(self, cli, make):
        run = make("quick/a", state="running")
        for name in (".lock", "metrics.jsonl"):
            (run / name).unlink(missing_ok=True)
            os.mkfifo(run / name)
        assert " killed " in cli("runs").out
        (run / "run.json").unlink()
        os.mkfifo(run / "run.json")
        assert " damaged " in cli("runs").out
