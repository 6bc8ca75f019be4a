"""What the tests of the wandb tracker share: a run as the host makes it, its files and its results."""

import io
import json
import os
import socket

import numpy as np
import pytest

from fakes.wandb_log import OfflineRun
from frame import AnalyzerResult, DataInfo, LabelledImage, Matrix, Picture, Steps, Table, TrainingRun

KEY = "0" * 40
RUN_ID = "20261123-142501-3f2a"
NAMING = ("PROJECT", "ENTITY", "NAME", "RUN_GROUP", "JOB_TYPE", "TAGS", "NOTES", "RUN_ID", "SWEEP_ID")
GIVEN = {f"WANDB_{name}" for name in ("BASE_URL", "_DISABLE_STATS", "API_KEY", "MODE", *NAMING)}
RECIPE = {
    "name": "tiny",
    "data": {"use": "digits", "root": "data"},
    "optimizer": {"use": "adam", "weight_decay": 5e-4},
    "train": {"epochs": 2},
}


@pytest.fixture
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
    assert {name for name in os.environ if name.startswith("WANDB_")} <= GIVEN


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def training_run(folder, **changes):
    """Return a run as the host would make it, and the list that its warnings go to."""
    folder.mkdir(exist_ok=True)
    warnings: list[str] = []
    info = DataInfo(("cat", "dog"), (8, 8, 3), (0.5,) * 3, (0.5,) * 3, 64, "c0ffee")
    fields = {
        "name": "tiny", "run_id": RUN_ID, "folder": folder, "recipe": RECIPE, "data": info,
        "steps": Steps(64, 32, 2), "model": None, "eval_model": None, "optimizers": [], "schedulers": [],
        "device": None, "warn": warnings.append, "epoch": 2,
    }  # fmt: skip
    return TrainingRun(**fields | changes), warnings


def leave_files(folder, kept="epoch 2, the last", best_epoch=1, page="<h1>The report</h1>") -> None:
    """Write what the host has written before a tracker is asked to finish."""
    best = {"metric": "test/acc", "value": 0.7, "epoch": best_epoch}
    record = {"best": best, "kept": kept, "test_accuracy": 0.65, "state": "finished"}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "report.html").write_text(page)
    (folder / "model.safetensors").write_bytes(b"kept")
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in ("best", "last"):
        (folder / "checkpoints" / f"{name}.pt").write_bytes(name.encode())


def leave_environment(folder) -> None:
    """Write what the host has written before a tracker is asked to start."""
    git = {"commit": "0123abc", "changed": True, "remote": "https://host/tiny.git"}
    about = {"versions": {"frame-train": "0.1.0"}, "git": git, "device": "cpu, 1 thread, fp32"}
    counts = {"training": [32, 32], "test": [2, 1]}
    files = {"environment": about, "run": {"state": "running", "parameters": 7}, "data": {"class_counts": counts}}
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


def links(folder) -> list:
    """The links in a run's folder."""
    return [path for path in folder.rglob("*") if path.is_symlink()]


def labelled(index=7, heats=(), shade=0) -> LabelledImage:
    maps = {name: np.full((2, 2), 0.5, np.float32) for name in heats}
    return LabelledImage(np.full((8, 8, 3), shade, np.uint8), index, "cat", "dog", 0.9, 2.3, f"{index}.png", maps)


def analysis(**changes) -> AnalyzerResult:
    from matplotlib.figure import Figure
    from PIL import Image

    png = io.BytesIO()
    Image.new("RGB", (4, 2), "red").save(png, "png")
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2, 3])
    fields = {
        "title": "Errors",
        "figures": (
            Matrix("pairs", "Pairs", ("cat", "dog"), np.array([[2, 1], [0, 3]]), "Two by two."),
            Picture("grid", "Grid", png.getvalue(), "Four by two."),
            Picture("curve", "Curve", figure),
        ),
        "tables": (
            Table("worst", "Worst", ("class", "n", "note"), [("cat", 3, None), ("dog", None, 0.5), ("eel", 1, "?")]),
        ),
        "images": (labelled(),),
        "scalars": {"of all": 4.0},
        "notes": ("Only one image.", "Look closer."),
    }
    return AnalyzerResult(**fields | changes)


def log_a_run(tracker, rows=2) -> None:
    """Log rows and results, as the host does."""
    for number in range(1, rows + 1):
        tracker.log({"train/loss": 3.0 - number}, epoch=number, step=2 * number)
    tracker.log_result("errors", analysis())


def read_offline(folder) -> OfflineRun:
    import wandb

    wandb.teardown()  # finish() may return before the file is complete
    return OfflineRun(folder)


def reached(server, monkeypatch):
    """Start a server and give it out, with wandb told of it and with a key, until the test is over."""
    with server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server
