"""Resumed runs, and `frame sync`: all that lies in a run's folder reaches a server on 127.0.0.1, or it says so."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
from click.testing import CliRunner

from fakes import launching
from fakes.wandb_run import KEY, RUN_ID, alone, analysis, leave_environment, leave_files, links, log_a_run, training_run
from fakes.wandb_server import WandbServer
from frame import RunFailed, UserError
from frame.cli import cli
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.session import arrived_marker, segments
from frame_plugins.trackers.wandb_tracker.sync import run as run_command

pytestmark = pytest.mark.usefixtures(alone.__name__)
WANDB = Wandb(patience_s=20, registry="models/digits")


@pytest.fixture
def server(monkeypatch):
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server


@pytest.fixture(autouse=True)
def forked(monkeypatch, tmp_path):
    """Begin wandb's own commands with their imports done, as the tests do those of frame."""

    def run(command, *, timeout, **_):
        assert command[:3] == [sys.executable, "-m", "wandb"]
        return launching.run(command[3:], tmp_path / "home", os.environ, timeout, module="wandb")

    forking = SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr("frame_plugins.trackers.wandb_tracker.sync.subprocess", forking)


@pytest.fixture
def key(monkeypatch):
    """Call it to have credentials from then on."""
    return lambda: monkeypatch.setenv("WANDB_API_KEY", KEY)


def track(folder, numbers, status="finished", results=False, prepare=lambda folder: None, **changes):
    """Log rows of those numbers in a session of its own, and end it. prepare(folder): before it begins."""
    run, warnings = training_run(folder, **changes)
    prepare(folder)
    tracker = WANDB.build(run)
    for number in numbers:
        tracker.log({"number": number}, epoch=number, step=number)
    if results:
        tracker.log_result("errors", analysis())
    leave_files(folder)
    tracker.finish(status)
    return warnings


def next_second() -> None:
    """Wait for it: wandb names a session's folder by the second."""
    time.sleep(1.01 - time.time() % 1)


def numbers(server) -> list[int]:
    return [row["number"] for row in server.run.history if "number" in row]


def test_an_offline_run_is_uploaded_whole(tmp_path, server, key, monkeypatch):
    monkeypatch.chdir(tmp_path)
    track(Path("run"), range(3), results=True, prepare=leave_texts)
    monkeypatch.chdir("/")  # it is uploaded from anywhere
    key()
    said = WANDB.sync(tmp_path / "run")
    assert re.search(r"all of it: \d+ rows, \d+ media files, 7 artifacts, at http", said)
    best = f"digits-c0ffee-test-acc:best-test-acc is of the run {RUN_ID}, 0.7"
    assert said.endswith(f". digits-c0ffee-test-acc:{RUN_ID} is linked to the registry's models/digits. {best}")
    assert numbers(server) == [0, 1, 2]
    assert server.run.exit_code == 0
    grid = next(row["errors/grid"] for row in server.run.history if "errors/grid" in row)
    assert len(server.run.files[grid["path"]]) == grid["size"]
    assert server.run.inputs == [data.id for data in server.of_type("dataset")]
    models = {tuple(model.files.values()): sorted(model.aliases) for model in server.of_type("model")}
    own = {(b"kept",): [RUN_ID, f"{RUN_ID}-last", "latest"], (b"best",): [f"{RUN_ID}-best"]}
    assert models == own | {(b"best",): [f"{RUN_ID}-best", "best-test-acc"]}
    (kept,) = [model.id for model in server.of_type("model") if RUN_ID in model.aliases]
    assert server.links == {("org-entity", "wandb-registry-models", "digits"): [kept]}
    assert arrived_marker(segments(tmp_path / "run")[0]).exists()

    assert links(tmp_path / "run") == []

    before = len(server.run.history)
    assert WANDB.sync(tmp_path / "run") == said  # asks again, uploads nothing
    assert len(server.run.history) == before

    offline = everything(server)
    with WandbServer() as other:  # and W&B has of it what it has of an online run
        monkeypatch.setenv("WANDB_BASE_URL", other.url)
        wandb.teardown()
        assert track(tmp_path / "online", range(3), results=True, prepare=leave_texts) == []
        online = everything(other)
    for model in offline["artifacts"]["model"]:
        model.discard("best-test-acc")  # which no run sets by itself
    assert offline == online
    assert {"log.txt", "environment.json", "recipe.resolved.yaml", "plugins/mlp.py"} <= set(online["files"])


def leave_texts(folder) -> None:
    """Write what says how a run came about."""
    leave_environment(folder)
    (folder / "plugins").mkdir(exist_ok=True)
    for name in ("log.txt", "recipe.resolved.yaml", "plugins/mlp.py"):
        (folder / name).write_text(f"# {name}")


def everything(server) -> dict:
    """What a server has of its only run, but times and places."""
    there = server.run
    artifacts: dict[str, list[set]] = {}
    for one in sorted(server.artifacts.values(), key=lambda one: one.digest):
        artifacts.setdefault(one.type, []).append({one.state, one.collection, *one.aliases, *one.manifest["contents"]})
    own = ("config.yaml", "wandb-metadata.json", "requirements.txt", "wandb-summary.json", "output.log")  # W&B's own
    return {
        "rows": [{key for key in row if key[0] != "_"} for row in there.history],
        "summary": {key for key in there.summary if key[0] != "_"},
        "config": there.config,
        "files": {name: len(content) for name, content in there.files.items() if name not in own},
        "artifacts": artifacts,
        "inputs": [server.artifacts[one].collection for one in there.inputs],
        "links": {place: len(members) for place, members in server.links.items()},
        "exit code": there.exit_code,
    }


def test_what_did_not_arrive_is_named_and_sent_again(tmp_path, server, key, monkeypatch):
    monkeypatch.setattr("frame_plugins.trackers.wandb_tracker.sync.PATIENCE_S", 0.2)
    track(tmp_path / "run", range(3), results=True)
    key()
    server.drop = ("/media/images/", "CommitArtifact", "file_stream")
    with pytest.raises(RunFailed) as error:
        WANDB.sync(tmp_path / "run")
    for missing in (r"6 of 6 rows", r"2 of 7 media files \(media/images/", r"7 of 7 artifacts \("):
        assert re.search(missing, str(error.value))
    assert not arrived_marker(segments(tmp_path / "run")[0]).exists()
    server.drop = ()
    assert "all of it" in WANDB.sync(tmp_path / "run")
    assert numbers(server) == [0, 1, 2]


def test_a_killed_run_is_uploaded_as_failed_with_its_files(tmp_path, server, key, monkeypatch):
    monkeypatch.setenv("STORE_TOKEN", "s3cret-of-the-store")
    run, _ = training_run(tmp_path / "run")
    leave_texts(run.folder)
    (run.folder / "plugins" / "data.py").write_text("# s3cret-of-the-store")
    tracker = WANDB.build(run)
    tracker.log({"number": 0}, epoch=0, step=0)
    time.sleep(0.3)
    (log,) = segments(run.folder)
    content = log.read_bytes()
    place = (run.folder / "wandb" / "place.json").read_text()
    tracker.finish("failed")
    log.write_bytes(content)  # as a kill would have left it
    (run.folder / "wandb" / "place.json").write_text(place)
    (run.folder / "log.txt").write_text("the last words")
    monkeypatch.delenv("STORE_TOKEN")
    key()
    assert "1 rows" in WANDB.sync(run.folder)
    assert numbers(server) == [0]
    assert server.run.exit_code == 1
    assert server.run.files["log.txt"] == b"the last words"
    assert {"environment.json", "recipe.resolved.yaml", "plugins/mlp.py"} <= set(server.run.files)
    assert "plugins/data.py" not in server.run.files  # its secret was known when the run began


def test_a_run_whose_server_died_is_completed_by_sync(tmp_path, server, key, monkeypatch):
    key()
    run, _ = training_run(tmp_path / "run")
    tracker = Wandb(patience_s=5).build(run)
    server.wait_until(lambda: server.runs)
    server.failure = 500
    log_a_run(tracker)
    leave_files(run.folder)
    with pytest.raises(RuntimeError, match="frame sync"):
        tracker.finish("finished")
    server.failure = None
    said = WANDB.sync(run.folder)
    assert "all of it" in said
    assert [row["train/loss"] for row in server.run.history if "train/loss" in row] == [2, 1]
    assert {len(server.of_type(kind)) for kind in ("dataset", "report")} == {1}
    assert len(server.of_type("model")) == 2
    assert server.run.exit_code == 0


def test_an_analysis_that_is_repeated_shows_no_picture_twice(tmp_path, server, key):
    key()
    assert track(tmp_path / "run", [0], results=True) == []
    next_second()
    assert track(tmp_path / "run", [], results=True, resumed=True) == []
    pictures = [name for row in server.run.history for name in row if name.startswith("errors/")]
    assert sorted(name for name in pictures if not name.endswith("_table")) == [
        "errors/curve",
        "errors/grid",
    ]
    assert {len(server.of_type(kind)) for kind in ("dataset", "report")} == {1}


def test_an_online_run_is_resumed_in_place(tmp_path, server, key):
    key()
    assert track(tmp_path / "run", range(3), "interrupted") == []
    assert server.run.exit_code == 255
    next_second()
    assert track(tmp_path / "run", range(3, 5), resumed=True) == []
    assert list(server.runs) == [RUN_ID]
    assert numbers(server) == [0, 1, 2, 3, 4]
    steps = [row["_step"] for row in server.run.history]
    assert steps == list(range(len(steps)))
    assert server.run.exit_code == 0


def test_offline_sessions_of_one_run_are_appended_in_order(tmp_path, server, key):
    track(tmp_path / "run", range(3), "interrupted")
    next_second()
    track(tmp_path / "run", range(3, 5), resumed=True)
    key()
    next_second()
    warnings = track(tmp_path / "run", range(5, 7), resumed=True)
    assert len(warnings) == 1  # it would be online, if the earlier sessions were there
    assert "frame sync" in warnings[0]
    assert server.runs == {}
    assert "all of it" in WANDB.sync(tmp_path / "run")
    assert numbers(server) == list(range(7))
    assert server.run.exit_code == 0
    assert track(tmp_path / "run", range(7, 9), resumed=True) == []
    assert numbers(server) == list(range(9))


def test_sync_needs_credentials_and_something_to_send(tmp_path, server):
    with pytest.raises(UserError, match="no W&B sessions"):
        WANDB.sync(tmp_path)
    track(tmp_path / "run", range(1))
    with pytest.raises(UserError, match="WANDB_API_KEY"):
        WANDB.sync(tmp_path / "run")


def test_sync_against_a_server_that_fails(tmp_path, server, key, monkeypatch):
    track(tmp_path / "run", range(1))
    key()
    monkeypatch.setattr("frame_plugins.trackers.wandb_tracker.sync.run", pytest.fail)  # nothing is uploaded
    saying = rf"W&B's server {server.url} does not answer \({{}}, after [01]\.\d s\); try again later"
    for how, reason in ((500, "HTTP 500"), ("hang", "timed out"), ("refuse", r"\[Errno 111\] Connection refused")):
        server.failure = how
        if how == "refuse":
            server.stop()
        with pytest.raises(RunFailed, match=saying.format(reason)):
            Wandb(patience_s=1).sync(tmp_path / "run")


def test_sync_against_a_server_that_refuses_the_key(tmp_path, server, key):
    track(tmp_path / "run", range(1))
    key()
    server.failure = 401
    with pytest.raises(RunFailed, match="401"):
        WANDB.sync(tmp_path / "run")
    assert not arrived_marker(segments(tmp_path / "run")[0]).exists()


def test_a_command_that_fails_or_hangs_says_so(tmp_path):
    with pytest.raises(RunFailed, match=r"`wandb sync .*failed"):
        run_command(["sync", str(tmp_path / "nothing")], 20)
    with pytest.raises(RunFailed, match=r"more than 0\.01 s"):
        run_command(["--version"], 0.01)


RECIPE = """
name: tiny
plugins: [./sending.py]
data: {use: digits}
model: {use: custom_resnet}
loss: {use: cross_entropy}
optimizer: {use: adam, lr: 0.01}
train: {epochs: 1}
"""
PLUGIN = """
from frame import RunFailed, TrackerComponent, hookimpl

class Silent(TrackerComponent):
    def build(self, run): ...

class Sending(Silent):
    def sync(self, folder):
        if (folder / "broken").exists():
            raise RunFailed(f"{folder}: a row is missing")
        return "all there"

@hookimpl
def frame_components():
    return {"sending": Sending, "silent": Silent}
"""


def recipe_run(folder: Path, trackers: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text('{"id": "1", "name": "run", "state": "finished"}')
    (folder / "sending.py").write_text(PLUGIN)
    (folder / "recipe.resolved.yaml").write_text(f"{RECIPE}trackers: {trackers}\n")
    return folder


def test_the_command_syncs_each_run_and_tells_what_is_wrong(tmp_path):
    good = recipe_run(tmp_path / "good", "[{use: silent}, {use: sending}]")
    silent = recipe_run(tmp_path / "silent", "[{use: silent}]")
    plain = recipe_run(tmp_path / "plain", "[]")
    broken = recipe_run(tmp_path / "broken", "[{use: sending}]")
    (broken / "broken").touch()
    early = recipe_run(tmp_path / "early", "[]")
    (early / "recipe.resolved.yaml").unlink()

    def sync(*runs):
        return CliRunner().invoke(cli, ["sync", "--trust", *map(str, runs)])

    result = sync(good, good)
    assert (result.exit_code, result.output) == (0, f"{good}: all there\n")
    result = sync(plain, silent, early, good)
    assert isinstance(result.exception, UserError)
    assert "plain has nothing to sync: it has no trackers" in str(result.exception)
    assert "silent has nothing to sync: its trackers ('silent') upload nothing" in str(result.exception)
    assert "early stopped before its training began" in str(result.exception)
    assert result.output == f"{good}: all there\n"
    result = sync(plain, broken, good)
    assert isinstance(result.exception, RunFailed)
    assert result.exception.exit_code == 1
    assert str(result.exception).splitlines()[0] == f"{broken}: a row is missing"
    assert "no trackers" in str(result.exception)
    assert result.output == f"{good}: all there\n"
