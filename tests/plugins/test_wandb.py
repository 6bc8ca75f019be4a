"""The wandb tracker with the real client: offline runs are read back, online ones go to a server on 127.0.0.1."""

import io
import json
import os
import socket
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fakes.wandb_log import OfflineRun
from fakes.wandb_server import WandbServer
from frame import AnalyzerResult, DataInfo, LabelledImage, Picture, Steps, Table, TrainingRun, UserError
from frame_plugins.wandb_tracker import Wandb

KEY = "0" * 40
GIVEN = ("WANDB_BASE_URL", "WANDB__DISABLE_STATS")
RECIPE = {"name": "tiny", "optimizer": {"use": "adam", "weight_decay": 5e-4}, "train": {"epochs": 2}}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No credentials, no settings and no server but those that a test gives; the session ends with the test."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("WANDB__DISABLE_STATS", "true")  # the system monitor asks a metadata server for its machine
    (tmp_path / "home").mkdir()
    yield
    wandb.teardown()
    assert {name for name in os.environ if name.startswith("WANDB_")} <= {"WANDB_API_KEY", "WANDB_MODE", *GIVEN}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def training_run(folder, **changes):
    """Return a run as the host would make it, and the list that its warnings go to."""
    folder.mkdir()
    warnings: list[str] = []
    info = DataInfo(("cat", "dog"), (8, 8, 3), (0.5,) * 3, (0.5,) * 3, 64)
    fields = {
        "name": "tiny", "run_id": "20261123-142501-3f2a", "folder": folder, "recipe": RECIPE, "data": info,
        "steps": Steps(64, 32, 2), "model": None, "eval_model": None, "optimizers": [], "schedulers": [],
        "device": None, "warn": warnings.append,
    }  # fmt: skip
    return TrainingRun(**fields | changes), warnings


def analysis() -> AnalyzerResult:
    from matplotlib.figure import Figure
    from PIL import Image

    png = io.BytesIO()
    Image.new("RGB", (4, 2), "red").save(png, "png")
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2, 3])
    return AnalyzerResult(
        "Errors",
        pictures=(Picture("grid", "Grid", png.getvalue(), "Four by two."), Picture("curve", "Curve", figure)),
        tables=(
            Table("worst", "Worst", ("class", "n", "note"), [("cat", 3, None), ("dog", None, 0.5), ("eel", 1, "?")]),
        ),
        images=(LabelledImage(np.zeros((8, 8, 3), np.uint8), 7, "cat", "dog", 0.9, 2.3, "7.png"),),
        scalars={"errors": 4.0},
    )


def read_offline(folder) -> OfflineRun:
    import wandb

    wandb.teardown()  # finish() may return before the file is complete
    return OfflineRun(folder)


def test_without_credentials_everything_is_kept_offline(tmp_path):
    run, warnings = training_run(tmp_path / "run")
    tracker = Wandb(project="p", group="g", tags=("a", "b"), notes="n").build(run)
    tracker.log({"train/loss": 2.5, "lr": 0.1}, epoch=0.5, step=1)
    tracker.log({"train/loss": 2.0, "lr": 0.2, "test/acc": 0.7}, epoch=1, step=2)
    tracker.log({"train/loss": 1.5, "lr": 0.1, "test/acc": 0.6}, epoch=2, step=4)
    tracker.log_result("errors", analysis())
    tracker.finish("finished")

    log = read_offline(run.folder)
    assert warnings == []
    assert (log.run.project, log.run.run_group, list(log.run.tags), log.run.notes) == ("p", "g", ["a", "b"], "n")
    assert log.run.run_id == log.run.display_name == run.run_id
    assert {key: log.config[key] for key in RECIPE} == RECIPE
    assert not log.run.HasField("git")
    rows = [{key: value for key, value in row.items() if key[0] != "_"} for row in log.history]
    assert rows[:3] == [
        {"train/loss": 2.5, "lr": 0.1, "epoch": 0.5, "trainer/step": 1},
        {"train/loss": 2.0, "lr": 0.2, "test/acc": 0.7, "epoch": 1, "trainer/step": 2},
        {"train/loss": 1.5, "lr": 0.1, "test/acc": 0.6, "epoch": 2, "trainer/step": 4},
    ]
    assert log.metrics["train/*"].step_metric == log.metrics["lr"].step_metric == "trainer/step"
    assert log.metrics["test/*"].step_metric == log.metrics["val/acc"].step_metric == "epoch"
    assert log.metrics["val/acc"].summary.max
    assert log.metrics["val/loss"].summary.min
    assert log.summary["test/acc"] == {"max": 0.7, "last": 0.6}
    assert log.summary["analysis/errors/errors"] == 4.0
    assert log.exit_code == 0


def test_figures_and_tables_stay_in_the_runs_folder(tmp_path):
    run, _ = training_run(tmp_path / "run")
    tracker = Wandb(mode="offline").build(run)
    tracker.log_result("errors", analysis())
    tracker.finish("interrupted")

    log = read_offline(run.folder)
    pictures, tables = log.history
    grid = pictures["analysis/errors/grid"]
    assert (grid["_type"], grid["width"], grid["height"], grid["caption"]) == ("image-file", 4, 2, "Four by two.")
    assert (log.files / grid["path"]).is_file()
    assert pictures["analysis/errors/curve"]["caption"] == "Curve"
    table = json.loads((log.files / tables["analysis/errors/worst_table"]["path"]).read_text())
    assert table["columns"] == ["class", "n", "note"]
    assert table["data"] == [["cat", 3, None], ["dog", None, 0.5], ["eel", 1, "?"]]
    assert tables["analysis/errors/images_table"]["nrows"] == 1
    staged = {entry.path: entry.local_path for artifact in log.artifacts for entry in artifact.manifest.contents}
    assert {"analysis/errors/worst_table.table.json", "analysis/errors/images_table.table.json"} < set(staged)
    assert any(path.endswith(".png") for path in staged)
    assert all(path.startswith(str(run.folder)) and Path(path).is_file() for path in staged.values())
    assert log.exit_code == 255


def test_online_without_credentials_warns_and_does_not_ask(tmp_path):
    run, warnings = training_run(tmp_path / "run")
    tracker = Wandb(mode="online").build(run)
    tracker.finish("failed")
    assert len(warnings) == 1
    assert "no credentials" in warnings[0]
    assert read_offline(run.folder).exit_code == 1


def test_wandb_mode_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run, warnings = training_run(tmp_path / "run")
    tracker = Wandb().build(run)
    tracker.log({"train/loss": 1.0}, epoch=1, step=1)
    tracker.finish("finished")
    assert warnings == []
    assert not list(run.folder.rglob("*.wandb"))


@pytest.mark.parametrize("server", ["refuses", "is silent", "refuses the key"])
def test_without_an_answer_it_goes_on_offline(tmp_path, monkeypatch, server):
    monkeypatch.setenv("WANDB_API_KEY", "too short" if server == "refuses the key" else KEY)
    run, warnings = training_run(tmp_path / "run", resumed=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        if server == "is silent":
            monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        tracker = Wandb(start_timeout_s=1).build(run)
        tracker.log({"train/loss": 1.0}, epoch=1, step=1)
        tracker.finish("finished")
    assert time.monotonic() - start < 8
    assert len(warnings) == 1
    assert "offline" in warnings[0]
    assert read_offline(run.folder).history[0]["train/loss"] == 1.0


def test_rows_reach_a_server(tmp_path, monkeypatch):
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        address = server.url.removeprefix("http://")
        (tmp_path / "home" / "netrc").write_text(f"machine {address} login user password {KEY}\n")
        run, warnings = training_run(tmp_path / "run", run_id="two words/#1")
        tracker = Wandb().build(run)
        tracker.log({"train/loss": 2.0}, epoch=1, step=2)
        tracker.log({"train/loss": 1.0}, epoch=2, step=4)
        tracker.finish("finished")
    assert warnings == []
    assert [(row["train/loss"], row["epoch"], row["trainer/step"]) for row in server.history] == [(2, 1, 2), (1, 2, 4)]
    assert server.exit_code == 0


def test_a_server_that_dies_does_not_hold_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    import wandb

    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        run, _ = training_run(tmp_path / "run")
        tracker = Wandb(finish_timeout_s=1).build(run)
    start = time.monotonic()
    tracker.log({"train/loss": 2.0}, epoch=1, step=2)
    with pytest.raises(TimeoutError, match=f"wandb sync {run.folder}"):
        tracker.finish("finished")
    wandb.teardown()  # what happens at exit
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("module", [None, ModuleType("wandb")], ids=["missing", "an empty folder"])
def test_without_the_package_the_error_says_so(tmp_path, monkeypatch, module):
    run, _ = training_run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb", module)
        with pytest.raises(UserError, match="pip install wandb"):
            Wandb().build(run)
