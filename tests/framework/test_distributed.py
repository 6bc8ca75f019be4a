"""Several processes train one run: what it comes to is what one process comes to, and they stop and fail together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from conftest import clean_environment
from fakes import worlds
from fakes.faulty_run import FAULTY
from fakes.killing import assert_same, only_run, wait_for
from frame.compute.distributed import World
from frame.rundir.folder import RunDir
from frame.rundir.history import read_lines

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
UNEVEN = (
    "data.batch_size=5", "data.eval_batch_size=77", "train.accumulate=2", "train.epochs=1",
    "optimizer={use: sgd, lr: 0.05}",
)  # fmt: skip
"""Batches of 5 are shares of 2 and 3, and 360 test images shares of 180, in batches of 77, 77 and 26."""


def trained(folder: Path, size: int, *settings: str) -> RunDir:
    """Run the tiny recipe in `size` processes and return the run."""
    members = worlds.run(folder, size, "run", TINY, *settings)
    assert [member.end() for member in members] == [0] * size, members[-1].err + members[0].err
    return only_run(folder)


def assert_close(run: RunDir, other: RunDir) -> None:
    """Compare metrics line by line, and weights, within the tolerance of sums taken in another order."""
    lines, others = read_lines(run.metrics), read_lines(other.metrics)
    assert [line.keys() for line in lines] == [line.keys() for line in others]
    for line, expected in zip(lines, others, strict=True):
        for name, value in expected.items():
            assert line[name] == (value if isinstance(value, str) else pytest.approx(value, rel=2e-3, abs=3e-3)), name
    weights, expected = load_file(run.weights), load_file(other.weights)
    for name, values in expected.items():
        np.testing.assert_allclose(weights[name], values, rtol=1e-2, atol=1e-3)


def test_two_processes_come_to_what_one_comes_to(cli, tmp_path):
    assert cli("run", TINY, *UNEVEN, "--out", tmp_path / "one" / "runs").code == 0
    two = trained(tmp_path / "two", 2, *UNEVEN)
    assert_close(two, only_run(tmp_path / "one"))
    first, second = (worlds.Member(None, tmp_path / "two", rank) for rank in (0, 1))
    assert "2 processes, each on cpu" in first.out
    assert (first.err, second.out, second.err) == ("", "", "")
    assert len(load_file(two.predictions)["targets"]) == 360


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 4])
def test_more_processes_than_images_in_a_batch_come_to_the_same(cli, tmp_path, size):
    settings = ("data.batch_size=479", "train.epochs=3")  # and with 2 images
    assert cli("run", TINY, *settings, "--out", tmp_path / "one" / "runs").code == 0
    assert_close(trained(tmp_path / "more", size, *settings), only_run(tmp_path / "one"))
    settings = ("data.batch_size=2", "train.epochs=0.05", "optimizer.use=sgd")
    assert cli("run", TINY, *settings, "--out", tmp_path / "small" / "runs").code == 0
    assert_close(trained(tmp_path / "few", size, *settings), only_run(tmp_path / "small"))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 360])
def test_shares_hold_everything_once_and_their_weights_make_a_mean(size, count):
    worlds_ = [World(rank, size) for rank in range(size)]
    assert [index for world in worlds_ for index in range(count)[world.part(count)]] == list(range(count))
    assert sum(world.weight(count) for world in worlds_) / size == pytest.approx(1)


def test_interrupted_and_resumed_with_two_processes_ends_with_the_same_bytes(tmp_path):
    settings = ("model.norm=true", "callbacks.0.use=ema", "callbacks.0.decay=0.9", "callbacks.1.use=interrupt")
    whole = trained(tmp_path / "whole", 2, *settings)
    stopped = worlds.run(tmp_path / "cut", 2, "run", TINY, *settings, "callbacks.1.step=16")
    assert [member.end() for member in stopped] == [130, 130], stopped[0].err + stopped[1].err
    run = only_run(tmp_path / "cut")
    assert json.loads(run.record.read_text())["state"] == "interrupted"
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["step"] == 16
    resumed = worlds.run(tmp_path / "cut", 2, "resume", run.path)
    assert [member.end() for member in resumed] == [0, 0], resumed[0].err + resumed[1].err
    assert_same(run, whole)


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one_from_where_it_stopped(cli, tmp_path):
    whole = trained(tmp_path / "whole", 2, "callbacks.0.use=interrupt")
    stopped = worlds.run(tmp_path / "cut", 2, "run", TINY, "callbacks.0.use=interrupt", "callbacks.0.step=16")
    assert [member.end() for member in stopped] == [130, 130]
    run = only_run(tmp_path / "cut")
    resumed = cli("resume", run.path, "--trust")
    assert resumed.code == 0, resumed.err
    assert "it was saved by 2 processes and goes on in 1" in resumed.err
    assert_close(run, whole)


@pytest.mark.parametrize("how", ["raises", "killed"])
def test_where_one_process_dies_the_other_says_why_and_ends(tmp_path, how):
    since = time.monotonic()
    settings = ("callbacks.0.use=dies_in", "callbacks.0.rank=1", "callbacks.0.step=3", f"callbacks.0.how={how}")
    first, second = worlds.run(tmp_path, 2, "run", TINY, *settings)
    assert time.monotonic() - since < 200  # else it would wait for its fellow for ever
    said = json.loads(only_run(tmp_path).record.read_text())
    if how == "raises":
        assert (first.end(), second.end()) == (1, 1)
        failed = "process 1 of 2 (from 0) failed: callback 'dies_in' failed: RuntimeError: no more ("
        assert f"error: {failed}" in second.err
        assert failed in first.err
        assert failed in said["error"]
        assert "culprit.py" not in second.err
    else:
        assert (first.end(), second.end()) == (1, -signal.SIGKILL)
        assert "another process of the run ended without saying why" in first.err
    assert said["state"] == "failed"
    assert "Traceback" not in first.err + second.err


def test_a_mistake_of_the_user_is_said_once(tmp_path):
    first, second = worlds.run(tmp_path, 2, "run", TINY, "train.device=cuda:0")
    assert (first.end(), second.end()) == (2, 2)
    assert "train.device: cuda:0 is one device, for 2 processes; take auto, cuda or cpu" in first.err
    assert second.err == ""


def test_where_the_first_process_cannot_read_the_data_the_other_ends_quietly(tmp_path):
    first, second = worlds.run(tmp_path, 2, "run", TINY, "data={use: image_folder, root: nowhere}")
    (line,) = first.err.splitlines()
    assert line.startswith("error: ")
    assert "nowhere" in line
    assert (first.end(), second.end(), second.err) == (2, 130, "")


@pytest.mark.slow
def test_images_that_cannot_be_read_are_skipped_alike_in_two_processes(cli, tmp_path):
    data = "data={use: flaky, lost: [3, 17], batch_size: 4, unreadable: skip, train_transforms: []}"
    settings = (data, "train.epochs=3", "train.log_every=1", "train.precision=fp32")
    (tmp_path / "two").mkdir()
    for folder in (tmp_path, tmp_path / "two"):  # where each works
        (folder / "lost").touch()
    assert cli("run", FAULTY, *settings, "--out", tmp_path / "one" / "runs").code == 0
    members = worlds.run(tmp_path / "two", 2, "run", FAULTY, *settings)
    assert [member.end() for member in members] == [0, 0], members[0].err + members[1].err
    one, two = (only_run(tmp_path / name) for name in ("one", "two"))
    assert one.read_record()["skipped_images"] == two.read_record()["skipped_images"] == 2
    assert "2 training images that could not be read" in members[0].out


def test_synchronised_batchnorm_is_refused_on_a_cpu(tmp_path):
    first, _ = worlds.run(tmp_path, 2, "run", TINY, "train.sync_batchnorm=true", "train.device=cpu")
    assert "train.sync_batchnorm: it needs CUDA devices, and this run is on cpu; leave it out" in first.err
    assert first.end() == 2


@pytest.mark.slow
def test_freezing_and_the_search_for_a_learning_rate_do_the_same_in_two_processes(cli, tmp_path):
    settings = (
        "scheduler={use: one_cycle, max_lr: auto}",
        "lr_finder={use: lr_range_test, start_lr: 1e-5, num_steps: 30, rule: minimum_tenth}",
        "callbacks=[{use: freeze, after_epochs: {'0.*': 1}}]",
        "analyzers=[{use: misclassified}, {use: grad_cam}]",
    )
    assert cli("run", TINY, *settings, "--out", tmp_path / "one" / "runs").code == 0
    two = trained(tmp_path / "two", 2, *settings)
    assert_close(two, only_run(tmp_path / "one"))
    assert {path.name for path in two.analysis.iterdir()} == {"misclassified", "grad_cam"}


@pytest.mark.slow
@pytest.mark.parametrize("launched", ["torchrun", "--devices"])
def test_a_run_that_torchrun_started_stops_when_torchrun_is_asked_to(frame, tmp_path, launched):
    run_it = ["-m", "frame", "run", str(TINY), "train.epochs=4000"]
    command = [sys.executable, *run_it, "--devices", "2"]
    if launched == "torchrun":
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *run_it]
    process = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(tmp_path), stdout=-1, stderr=-1, text=True)
    while not ((run := only_run(tmp_path)) and len(read_lines(run.metrics)) > 3):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert f"interrupted; continue with: frame resume {run.path.relative_to(tmp_path)}" in out
    assert json.loads(run.record.read_text())["state"] == "interrupted"
    step = torch.load(run.checkpoints / "last.pt", weights_only=True)["step"]
    assert step >= read_lines(run.metrics)[-1]["step"]
    if launched == "--devices":
        assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_devices_starts_the_processes_and_says_what_killed_one(frame, tmp_path):
    done = frame("run", TINY, "--devices", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 processes, each on cpu" in done.stdout
    settings = ("callbacks.0.use=dies_in", "callbacks.0.rank=1", "callbacks.0.step=3")
    killed = frame("run", TINY, *settings, "callbacks.0.how=killed", "--devices", 2)
    assert killed.returncode == 1
    assert "error: process 1 of 2 (from 0) was killed by SIGKILL" in killed.stderr
    raised = frame("run", TINY, *settings, "callbacks.0.how=raises", "--devices", 2)
    assert raised.returncode == 1
    assert raised.stderr.startswith(
        "error: process 1 of 2 (from 0) failed: callback 'dies_in' failed: RuntimeError: no more"
    )


TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["raises", "killed"])
def test_what_torchrun_starts_again_goes_on_with_the_run(tmp_path, how):
    settings = ("checkpoint.every_steps=3", "callbacks.0.use=dies_in", "callbacks.0.rank=1", f"callbacks.0.how={how}")
    command = [*TORCHRUN, "--nproc-per-node=2", "--max-restarts=1", "-m", "frame", "run", str(TINY), *settings]
    said = {}
    for name, step in (("whole", 0), ("again", 20)):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [*command, f"callbacks.0.step={step}"], cwd=tmp_path / name, env=clean_environment(tmp_path),
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
    assert "at epoch 1, step 18" in said["again"]
    assert_same(only_run(tmp_path / "again"), only_run(tmp_path / "whole"))


@pytest.mark.slow
def test_a_machine_joins_and_leaves(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    elastic = ["--nnodes=1:2", "--nproc-per-node=1", "--max-restarts=3", "--rdzv-id=1", f"--rdzv-endpoint={place}"]
    elastic += ["--rdzv-backend=c10d", "--rdzv-conf=last_call_timeout=2"]
    command = [*TORCHRUN, *elastic, "-m", "frame", "run", str(TINY), "train.epochs=3000"]
    environment = clean_environment(tmp_path) | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}

    def machine(number: int) -> subprocess.Popen:
        with (tmp_path / f"out{number}.txt").open("w") as out:
            return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)

    def epochs() -> list[int]:
        run = only_run(tmp_path)
        return [line["epoch"] for line in read_lines(run.metrics) if line["kind"] == "epoch"] if run else []

    def said() -> str:
        return "".join(file.read_text() for file in tmp_path.glob("out*.txt"))

    def goes_on(size: int) -> None:
        wait_for(lambda: f"goes on in {size}" in only_run(tmp_path).log.read_text(), 60, said)
        before = len(epochs())
        wait_for(lambda: len(epochs()) > before + 3, 60, said)

    first = machine(1)
    wait_for(lambda: len(epochs()) > 3, 60, said)
    second = machine(2)
    goes_on(2)
    processes = Path(f"/proc/{second.pid}/task/{second.pid}/children").read_text().split()
    for process in (second.pid, *map(int, processes)):
        os.kill(process, signal.SIGKILL)
    goes_on(1)
    first.send_signal(signal.SIGTERM)
    assert (first.wait(60), second.wait(60)) != (0, 0)
    assert json.loads(only_run(tmp_path).record.read_text())["state"] == "interrupted"
    assert epochs() == list(range(1, len(epochs()) + 1))


@pytest.mark.parametrize("command", ["lr-find", "reproduce"])
def test_what_works_in_one_process_says_so(cli, tmp_path, monkeypatch, command):
    monkeypatch.setenv("WORLD_SIZE", "2")
    given = TINY if command == "lr-find" else tmp_path
    assert f"frame {command} works in one process; start it without torchrun" in cli(command, given).err


def test_devices_is_refused_where_it_cannot_be_meant(cli):
    assert "--dry-run goes through one process" in cli("run", TINY, "--dry-run", "--devices", "2").err
