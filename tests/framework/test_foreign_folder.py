"""A run's folder from a stranger reaches nothing outside itself: links in it are refused, and no pipe is waited for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import frame
from conftest import Result, clean_environment
from frame import UserError
from frame.rundir.folder import RunDir, open_run

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
FILES = (
    ".lock", "run.json", "recipe.resolved.yaml", "environment.json", "data.json", "schedule.json", "lr_finder.json",
    "metrics.jsonl", "timing.jsonl", "log.txt", "model.safetensors", "predictions.safetensors", "report.html",
)  # fmt: skip
DEEPER = (
    "error.txt", "checkpoints/last.pt", "checkpoints/last.pt.sha256", "checkpoints/best.pt", "checkpoints/.x.1.tmp",
    "plugins/helpers.py", "analysis/curves/result.json", "analysis/curves/error.txt", "export/model.safetensors",
    "wandb/run-1/run-1.wandb", "wandb/data/x", "tensorboard/events.1.results", "a/b/c/d",
)  # fmt: skip
FOLDERS = ("checkpoints", "analysis", "analysis/curves", "plugins", "export", "wandb", "wandb/run-1", "tensorboard")
COMMANDS = {
    "resume": ("resume", "{run}", "--trust"),
    "analyze": ("analyze", "{run}", "curves", "--trust"),
    "evaluate": ("evaluate", "{run}", "--trust"),
    "predict": ("predict", "{run}", "image.png", "--trust"),
    "export": ("export", "{run}", "--to", "safetensors", "--trust"),
    "report": ("report", "{run}"),
    "report --wandb": ("report", "{run}", "--wandb", "--trust"),
    "sync": ("sync", "{run}", "--trust"),
    "compare": ("compare", "{run}", "{whole}"),
    "reproduce": ("reproduce", "{run}", "--trust"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run, small enough to be copied often."""
    run = frame.run(TINY, {"train.epochs": 1, "analyzers": []}, out=tmp_path_factory.mktemp("whole"))
    return run.path


@pytest.fixture
def run(whole, tmp_path) -> Path:
    """A stranger's run: it says that it was interrupted."""
    shutil.copytree(whole, tmp_path / "run")
    record = json.loads((whole / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"state": "interrupted"}))
    return tmp_path / "run"


@pytest.fixture
def outside(tmp_path) -> Path:
    """What a stranger would like to reach: a folder with a file, and with what looks like a leftover of frame's."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("file", ".last.pt.00.tmp", "result.json", "error.txt"):
        (folder / name).write_text("precious\n")
    return folder


def put(path: Path, make: Callable[[Path], object]) -> None:
    """Put something in the place of a file or folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    make(path)


def state(*folders: Path) -> dict[Path, object]:
    """What lies in folders, to the byte; links as they are, and nothing is waited for."""
    found: dict[Path, object] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        mode = path.lstat().st_mode
        content = path.readlink() if path.is_symlink() else path.read_bytes() if stat.S_ISREG(mode) else None
        found[path] = (mode, content)
    return found


@pytest.fixture
def call(cli, run, whole) -> Callable[[str], Result]:
    """Give one of the commands for the stranger's run."""
    return lambda command: cli(*(str(word).format(run=run, whole=whole) for word in COMMANDS[command]))


@pytest.mark.parametrize("name", [*FILES, *DEEPER, *FOLDERS])
@pytest.mark.parametrize("command", ["resume", "analyze", "report"])
def test_no_link_is_followed_by_what_writes(call, run, outside, command, name):
    target = outside if name in FOLDERS else outside / "file"
    put(run / name, lambda path: path.symlink_to(target))
    before = state(run, outside)
    result = call(command)
    assert result.code == 2
    assert f"{run / name} is a link, to {target}: none in a run's folder is followed" in result.err
    assert state(run, outside) == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints/last.pt", "analysis", "a/b/c/d"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_follows_a_link(call, run, outside, command, name):
    put(run / name, lambda path: path.symlink_to(outside if name == "analysis" else outside / "file"))
    before = state(run, outside)
    result = call(command)
    assert result.code == 2
    assert f"{run / name} is a link, to " in result.err
    assert state(run, outside) == before


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


KINDS = {
    "a link to nothing": (lambda path: path.symlink_to(path.parents[1] / "outside" / "new"), " is a link, to "),
    "a link to the inside": (lambda path: path.symlink_to("data.json"), " is a link, to data.json"),
    "a link to itself": (lambda path: path.symlink_to(path.name), " is a link, to "),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), " is a link, to /dev/zero"),
    "a link up": (lambda path: path.symlink_to(".."), " is a link, to .."),
    "a pipe": (pipe, ": a pipe, a device or a socket is in its place"),
    "a socket": (listener, ": a pipe, a device or a socket is in its place"),
    "a folder": (Path.mkdir, ": a folder is in a file's place"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_only_files_are_taken_for_files(call, run, outside, monkeypatch, name, kind):
    monkeypatch.chdir(run)
    make, said = KINDS[kind]
    put(run / name, make)
    before = state(run, outside)
    result = call("resume")
    assert result.code == 2
    assert f"{run / name}{said}" in result.err
    assert state(run, outside) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["a pipe", "a folder"])
def test_no_command_waits_for_a_pipe(call, run, command, kind):
    make, said = KINDS[kind]
    put(run / "predictions.safetensors", make)
    result = call(command)
    assert result.code == 2
    assert f"{run / 'predictions.safetensors'}{said}" in result.err


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("checkpoints/last.pt.damaged", Path.mkdir, "a folder is in a file's place"),
        ("checkpoints", Path.touch, "a file is in a folder's place"),
        ("analysis", Path.touch, "a file is in a folder's place"),
    ],
)
def test_nothing_is_begun_where_a_folder_is_a_file_or_a_file_a_folder(call, run, name, make, said):
    put(run / name, make)
    before = state(run)
    result = call("resume")
    assert (result.code, f"{run / name}: {said}, and nothing was touched" in result.err) == (2, True)
    assert state(run) == before


def test_an_analysis_that_cannot_be_written_is_named(call, run):
    put(run / "analysis" / "curves", Path.touch)
    result = call("analyze")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert f"error: cannot write {run / 'analysis' / 'curves'}: File exists" in result.err


@pytest.mark.parametrize("name", ["model.safetensors", "run.json", "analysis"])
def test_a_run_with_a_link_is_not_loaded_in_python(run, outside, name):
    put(run / name, lambda path: path.symlink_to(outside / "file"))
    with pytest.raises(UserError, match=f"{name} is a link, to "):
        frame.load_run(run, trust=True)


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_the_list_reads_through_no_link(cli, run, tmp_path, name):
    shutil.copyfile(run / name, tmp_path / "theirs")
    put(run / name, lambda path: path.symlink_to(tmp_path / "theirs"))
    result = cli("runs", run)
    assert result.code == 0
    assert " damaged " in result.out
    assert f"{run / name}: damaged: a link is in its place" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_what_cannot_be_looked_at_is_refused(call, run):
    (run / "analysis").chmod(0o300)
    result = call("report")
    (run / "analysis").chmod(0o700)
    assert (result.code, result.err) == (2, f"error: {run / 'analysis'} cannot be looked at: Permission denied\n")


def test_a_link_among_the_plugins_is_imported_by_nobody(cli, run, outside):
    ways = {"there is no file": pipe, "is not loaded": lambda path: path.symlink_to(outside / "file")}
    for says, make in ways.items():
        put(run / "plugins" / "helpers.py", make)
        result = cli("validate", run / "recipe.resolved.yaml")
        assert result.code == 2
        assert says in result.err


def test_links_that_w_and_b_made_in_its_folder_are_let_be(call, run, outside):
    """As folders have them that were made before frame told it not to: within it, and to its own log."""
    session = run / "wandb" / "run-1"
    (session / "logs").mkdir(parents=True)
    (session / "logs" / "debug.log").touch()
    (run / "wandb" / "latest-run").symlink_to("run-1")
    (run / "wandb" / "debug.log").symlink_to("run-1/logs/debug.log")
    (session / "logs" / "debug-core.log").symlink_to("/home/x/.cache/wandb/logs/core-debug-20261128_034328.log")
    assert call("report").code == 0
    for name, target in {
        "wandb/debug-core.log": outside / "file",
        "wandb/debug.log": "../log.txt",
        "wandb/out": "latest-run/../../../outside",
        "wandb/here": run / "wandb" / "..",
        "debug-core.log": "core-debug-20261128_034328.log",
    }.items():
        link = run / name
        kept = link.readlink() if link.is_symlink() else None
        put(link, lambda path, target=target: path.symlink_to(target))
        result = call("report")
        assert (result.code, f"{link} is a link, to {target}" in result.err) == (2, True), name
        link.unlink()
        if kept:
            link.symlink_to(kept)
    assert call("report").code == 0


def test_a_run_behind_links_is_the_run_itself(cli, run, tmp_path):
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    run.rename(elsewhere / "run")
    (tmp_path / "runs").symlink_to(elsewhere)
    (tmp_path / "latest").symlink_to("runs/run")
    assert open_run(tmp_path / "latest").run_id == open_run(tmp_path / "runs" / "run").run_id == "run"
    assert open_run(tmp_path / "runs" / "run").path == tmp_path / "runs" / "run"
    assert cli("report", "latest").code == cli("report", "runs/run").code == 0


def test_a_copy_by_hard_links_goes_on_alone(cli, run, tmp_path):
    """`cp -al`, and what many snapshots are made of."""
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "epoch": 9, "step": 9}\n')  # to be cut
    (run / "checkpoints" / ".folder.tmp").mkdir()  # no leftover of frame's
    shutil.copytree(run, tmp_path / "copy", copy_function=os.link)
    before = state(run)
    result = cli("resume", tmp_path / "copy", "--trust")
    assert result.code == 0, result.err
    assert state(run) == before
    assert len((tmp_path / "copy" / "log.txt").read_bytes()) > len((run / "log.txt").read_bytes())
    assert (tmp_path / "copy" / "metrics.jsonl").read_bytes() < (run / "metrics.jsonl").read_bytes()


def test_who_has_the_folder_may_look_through_it(run):
    """Closing a file once more drops a POSIX lock: the lock's file is not opened by its holder again."""
    code = (
        "import sys; from pathlib import Path; from frame.rundir.folder import RunDir\n"
        "with RunDir(Path(sys.argv[1])).locked(): print('taken')"
    )
    with RunDir(run).locked():
        open_run(run)
        command = [sys.executable, "-c", code, run]
        other = subprocess.run(command, env=clean_environment(run.parent), capture_output=True, text=True, check=False)
    assert f"UserError: {run} is in use by process {os.getpid()}" in other.stderr
