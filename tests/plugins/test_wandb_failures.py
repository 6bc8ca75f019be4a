"""W&B's failures: whatever the server does, the run goes on within the stated bounds, and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.wandb_log import OfflineRun
from fakes.wandb_run import alone, analysis, leave_files, log_a_run, reached, read_offline, training_run
from fakes.wandb_server import WandbServer
from frame import figures
from frame.recipe.recipe import Named
from frame.training.trackers import Trackers
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.session import within

pytestmark = pytest.mark.usefixtures(alone.__name__)

PATIENCE = 5
GIVES_UP = 1
"""Patience where no server will ever answer: what a run waits for one."""
GRACE = 30
"""Seconds that a slow machine may take over the bounds: wandb's processes start and end in them."""
FAILURES = [401, 500, "garbage", "hang", "refuse"]
WAITED_OUT = (500, "refuse")
"""In the middle of a run these take until PATIENCE is over, as `hang` does; test_wandb_sync.py has one of them too."""


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbServer(), monkeypatch)


def fail(server, how) -> None:
    if how == "refuse":
        server.stop()
    else:
        server.failure = how


@pytest.mark.parametrize("how", [*FAILURES, "the key is too short"])
def test_a_server_that_fails_at_the_start(tmp_path, monkeypatch, server, how):
    if how == "the key is too short":
        monkeypatch.setenv("WANDB_API_KEY", "short")
    else:
        fail(server, how)
    run, warnings = training_run(tmp_path / "run")
    start = time.monotonic()
    tracker = Wandb(patience_s=GIVES_UP).build(run)
    assert time.monotonic() - start < 2 * GIVES_UP + GRACE
    log_a_run(tracker)
    leave_files(run.folder)
    tracker.finish("finished")
    assert time.monotonic() - start < 3 * GIVES_UP + GRACE
    assert len(warnings) == 1
    assert "offline" in warnings[0]
    log = read_offline(run.folder)
    assert [row["train/loss"] for row in log.history[:2]] == [2, 1]
    assert {artifact.type for artifact in log.artifacts} == {"dataset", "run_table", "model", "report"}


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how in WAITED_OUT)) for how in FAILURES])
def test_a_server_that_fails_in_the_middle(tmp_path, server, how):
    run, warnings = training_run(tmp_path / "run")
    trackers = Trackers(warnings.append)
    trackers.start([Named("wandb", Wandb(patience_s=PATIENCE))], run)
    [figures.png(figure) for figure in analysis().figures]  # the first picture of a process takes a second
    fail(server, how)
    start = time.monotonic()
    log_a_run(trackers)
    assert warnings == []  # the training did not wait: a call that does is given up after PATIENCE
    leave_files(run.folder)
    trackers.finish("finished")
    assert time.monotonic() - start < PATIENCE + 5 + GRACE
    assert len(warnings) == 1
    assert f"frame sync {run.folder}" in warnings[0]
    assert os.environ.get("WANDB_DATA_DIR") is None
    kept = read_offline(run.folder)
    assert {artifact.type for artifact in kept.artifacts} == {"run_table", "model", "report"}
    assert not list(run.folder.glob("wandb/*/*.synced"))


def test_a_server_that_loses_rows_is_found_out(tmp_path, server):
    run, _ = training_run(tmp_path / "run")
    tracker = Wandb(patience_s=PATIENCE).build(run)
    server.file_stream = lambda name, message: {}
    log_a_run(tracker)
    leave_files(run.folder)
    with pytest.raises(RuntimeError, match=r"0 of \d+ rows.*frame sync"):
        tracker.finish("finished")


def test_a_call_that_hangs_turns_the_tracker_off_within_its_bound(tmp_path):
    run, warnings = training_run(tmp_path / "run")
    trackers = Trackers(warnings.append)
    trackers.start([Named("wandb", Wandb(mode="offline"))], run)
    tracker, _ = trackers.running["wandb"]
    tracker._patience.seconds = 0.2
    session, tracker._session = tracker._session, Hanging()
    for step in range(5):
        trackers.log({"train/loss": 1.0}, epoch=step, step=step)
    assert tracker._session.calls == 1
    assert len(warnings) == 1
    assert "more than 0.2 s" in warnings[0]
    tracker._session, tracker._patience.seconds = session, 60
    trackers.finish("finished")


class Hanging:
    calls = 0

    def log(self, row):
        self.calls += 1
        time.sleep(3)


def test_the_bound_hands_on_what_a_call_comes_to():
    assert within(1, "answer", lambda: 7) == 7
    with pytest.raises(TimeoutError, match="its own"):
        within(1, "answer", lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    with pytest.raises(SystemExit):
        within(1, "answer", lambda: sys.exit(3))


CHILD = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as in frame, SIGTERM ends the run through Python
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.wandb_run import training_run
from frame_plugins.trackers.wandb_tracker import Wandb
run, _ = training_run(Path(sys.argv[1]))
tracker = Wandb(mode=sys.argv[2], patience_s=20).build(run)
for number in range(1000):
    tracker.log({{"train/loss": 1.0, "number": number}}, epoch=number, step=number)
    print(number, flush=True)
    time.sleep(0.02)
"""


def start_child(tmp_path, mode):
    code = CHILD.format(tests=str(Path(__file__).parents[1]))
    command = [sys.executable, "-c", code, str(tmp_path / "run"), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_loses_one_row_at_most(tmp_path):
    with start_child(tmp_path, "offline") as child:
        last = next(int(line) for line in child.stdout if int(line) >= 20)
        child.send_signal(signal.SIGKILL)
        rest = [int(line) for line in child.stdout]
    logged = 1 + max([last, *rest])
    time.sleep(0.2)  # wandb's own process ends after its parent
    log = OfflineRun(tmp_path / "run")
    kept = [row["number"] for row in log.history]
    assert kept == list(range(len(kept)))
    assert logged - len(kept) <= 1
    assert log.exit_code is None


def test_a_run_ended_by_sigterm_is_marked_failed(tmp_path, server):
    with start_child(tmp_path, "online") as child:
        next(line for line in child.stdout if int(line) >= 3)
        child.send_signal(signal.SIGTERM)
    server.wait_until(lambda: server.run.exit_code is not None)
    assert server.run.exit_code != 0
    assert len(server.run.history) >= 4
