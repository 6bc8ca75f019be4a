"""What the wandb tracker logs, by the real client: offline runs are read back, others go to a server on 127.0.0.1."""

import io
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from fakes.wandb_run import (
    KEY,
    RECIPE,
    RUN_ID,
    alone,
    analysis,
    leave_environment,
    leave_files,
    links,
    log_a_run,
    reached,
    read_offline,
    training_run,
)
from fakes.wandb_server import WandbServer
from frame import AnalyzerResult, Chart, Series, UserError, hide_settings, known_secrets
from frame_plugins.trackers.wandb_tracker import Wandb

pytestmark = pytest.mark.usefixtures(alone.__name__)


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbServer(), monkeypatch)


def test_without_credentials_everything_is_kept_offline(tmp_path):
    recipe = RECIPE | {"train": {"epochs": 2, "precision": "fp32"}}
    run, warnings = training_run(tmp_path / "run", recipe=recipe | {"trackers": [{"use": "wandb", "patience_s": 60}]})
    leave_environment(run.folder)
    tracker = Wandb(project="p", group="g", job_type="j", tags=("a", "b"), notes="n").build(run)
    tracker.log({"train/loss_step": 2.5, "lr": 0.1}, epoch=0.5, step=1)
    tracker.log({"train/loss": 2.0, "lr": 0.2, "test/acc": 0.7}, epoch=1, step=2)
    tracker.log({"train/loss": 1.5, "lr": 0.1, "test/acc": 0.6}, epoch=2, step=4)
    assert links(run.folder) == []  # frame refuses folders with links, also those of a killed run
    tracker.log_result("errors", analysis())
    leave_files(run.folder)
    tracker.finish("finished")

    assert links(run.folder) == []
    log = read_offline(run.folder)
    assert warnings == []
    assert (log.run.project, log.run.run_group, log.run.job_type, log.run.notes) == ("p", "g", "j", "n")
    assert list(log.run.tags) == ["a", "b"]
    assert (log.run.run_id, log.run.display_name) == (run.run_id, "tiny-3f2a")
    assert (log.run.git.commit, log.run.git.remote_url) == ("0123abc", "https://host/tiny.git")
    assert {key: log.config[key] for key in recipe} == recipe
    assert "trackers" not in log.config
    assert log.config["frame"] == {
        "version": "0.1.0", "commit": "0123abc", "changed": True, "remote": "https://host/tiny.git",
        "device": "cpu, 1 thread, fp32", "precision": "fp32", "parameters": 7, "classes": 2,
        "images": {"training": 64, "test": 3},
    }  # fmt: skip
    rows = [{key: value for key, value in row.items() if key[0] != "_"} for row in log.history]
    assert rows[:3] == [
        {"train/loss_step": 2.5, "lr": 0.1, "epoch": 0.5, "trainer/step": 1},
        {"train/loss": 2.0, "lr": 0.2, "test/acc": 0.7, "epoch": 1, "trainer/step": 2},
        {"train/loss": 1.5, "lr": 0.1, "test/acc": 0.6, "epoch": 2, "trainer/step": 4},
    ]
    axes = {name: metric.step_metric for name, metric in log.metrics.items()}
    steps = ("train/loss_step", "train/acc_step", "train/grad_norm", "perf/*", "lr", "momentum")
    assert {name for name, axis in axes.items() if axis == "trainer/step"} == set(steps)
    assert {name for name, axis in axes.items() if axis == "epoch"} == {
        f"{split}/{name}" for split in ("train", "val", "test") for name in ("*", "acc", "loss")
    }
    assert log.metrics["val/acc"].summary.max
    assert log.metrics["val/loss"].summary.min
    assert log.summary["train/loss_step"] == 2.5
    assert log.summary["train/loss"] == {"min": 1.5, "last": 1.5}
    assert log.summary["test/acc"] == {"max": 0.7, "last": 0.6}
    assert log.summary["best"] == {"metric": "test/acc", "value": 0.7, "epoch": 1}
    assert (log.summary["test_accuracy"], log.summary["kept"]) == (0.65, "epoch 2, the last")
    assert log.summary["errors/of_all"] == 4.0
    assert log.summary["errors/notes"] == "Only one image. Look closer."
    assert log.exit_code == 0


def test_figures_tables_and_artifacts_stay_in_the_runs_folder(tmp_path):
    run, _ = training_run(tmp_path / "run", recipe=RECIPE | {"analyzers": [{"use": "curves", "name": "history"}]})
    tracker = Wandb(mode="offline").build(run)
    tracker.log_result("errors", analysis())
    chart = Chart("loss", "Loss", "epoch", "loss", [Series("train", [1, 2], [2.0, 1.0])])
    tracker.log_result("history", AnalyzerResult("Curves", figures=(chart,)))
    leave_files(run.folder)
    leave_predictions(run.folder)
    tracker.finish("finished")

    log = read_offline(run.folder)
    pictures, tables, page = log.history
    grid = pictures["errors/grid"]
    assert (grid["_type"], grid["width"], grid["height"], grid["caption"]) == ("image-file", 4, 2, "Four by two.")
    assert (log.files / grid["path"]).is_file()
    assert pictures["errors/curve"]["caption"] == "Curve"
    assert not [name for row in log.history for name in row if name.startswith("history/")]  # the metrics are there
    assert "errors/pairs" not in pictures
    pairs, roc, tradeoff = (
        json.loads((log.files / tables[f"{name}_table"]["path"]).read_text())["data"]
        for name in ("errors/pairs", "predictions/roc", "predictions/precision_recall")
    )
    assert pairs == [["cat", "cat", 2], ["cat", "dog", 1], ["dog", "cat", 0], ["dog", "dog", 3]]
    # Of two cats and a dog, cats have the probabilities 0.9 and 0.3, the dog 0.5.
    found = {(name, round(x), y) for name, x, y in roc if 0 < x < 1}
    assert found == {("cat", 0, 0.5), ("cat", 1, 0.5), ("dog", 0, 0.0), ("dog", 1, 1.0)}
    cat = {x: y for name, x, y in tradeoff if name == "cat"}
    assert (cat[0.0], cat[0.495], cat[0.505], cat[1.0]) == (1.0, 1.0, 0.667, 0.667)
    table = json.loads((log.files / tables["errors/worst_table"]["path"]).read_text())
    assert table["columns"] == ["class", "n", "note"]
    assert table["data"] == [["cat", 3, None], ["dog", None, 0.5], ["eel", 1, "?"]]
    assert (log.files / page["report"]["path"]).read_text() == "<h1>The report</h1>"
    staged = {entry.path: entry.local_path for artifact in log.artifacts for entry in artifact.manifest.contents}
    kept = {"errors/worst_table.table.json", "predictions.table.json", "report.html", "model.safetensors"}
    assert kept < set(staged)
    local = {path: place for path, place in staged.items() if place}
    assert all(place.startswith(str(run.folder)) and Path(place).is_file() for place in local.values())
    assert set(staged) - set(local) == {"digits"}  # the dataset, by reference


def named(log) -> tuple:
    run = log.run
    return (
        run.project, run.entity, run.display_name, run.run_group, run.job_type, list(run.tags), run.notes, run.run_id
    )  # fmt: skip


def test_the_environment_names_a_run_where_the_recipe_does_not(tmp_path, monkeypatch):
    given = {
        "PROJECT": "p", "ENTITY": "e", "NAME": "n", "RUN_GROUP": "g", "JOB_TYPE": "j", "TAGS": "a,b", "NOTES": "why",
        "RUN_ID": "mine1",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    run, warnings = training_run(tmp_path / "run")
    Wandb(mode="offline").build(run).finish("interrupted")
    assert named(read_offline(run.folder)) == ("p", "e", "n", "g", "j", ["a", "b"], "why", "mine1")
    for name in given:
        monkeypatch.delenv(f"WANDB_{name}")
    time.sleep(1)  # sessions are named by the second
    resumed, _ = training_run(tmp_path / "run", resumed=True)
    Wandb(mode="offline", tags=(), name="of the recipe").build(resumed).finish("finished")
    log = read_offline(run.folder)
    assert named(log) == ("p", "e", "of the recipe", "", "train", [], "", "mine1")
    assert warnings == []


def test_one_of_several_runs_is_in_their_group_under_its_own_id(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "mine1")
    recipe = RECIPE | {"model": {"use": "mlp"}, "plugins": ["./mlp.py", "other"]}
    run, warnings = training_run(tmp_path / "run", group="widths", recipe=recipe)
    Wandb(mode="offline").build(run).finish("finished")
    tags = ["digits", "mlp", "other"]
    assert named(read_offline(run.folder)) == ("frame", "", "tiny-3f2a", "widths", "train", tags, "", RUN_ID)
    assert len(warnings) == 1
    assert warnings[0].startswith("WANDB_RUN_ID=mine1 names one run")


def leave_predictions(folder) -> None:
    """Write what the model answered on two cats and a dog: the dog is more of a cat than the second cat is."""
    logits = np.log([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]]).astype(np.float32)
    save_file({"logits": logits, "targets": np.array([0, 0, 1])}, folder / "predictions.safetensors")


@pytest.mark.parametrize(
    ("kept", "best_epoch", "versions"),
    [
        ("epoch 2, the last", 1, {"last": "model.safetensors", "best": "best.pt"}),
        ("epoch 1, the best by test/acc", 1, {"best": "model.safetensors", "last": "last.pt"}),
        ("epoch 2, the best by test/acc", 2, {"best": "model.safetensors", "last": "model.safetensors"}),
    ],
)
def test_the_model_has_a_best_and_a_last_version_under_the_runs_id(tmp_path, kept, best_epoch, versions):
    run, _ = training_run(tmp_path / "run")
    tracker = Wandb(mode="offline").build(run)
    leave_files(run.folder, kept, best_epoch)
    tracker.finish("finished")
    models = [artifact for artifact in read_offline(run.folder).artifacts if artifact.type == "model"]
    assert {model.name for model in models} == {"digits-c0ffee-test-acc"}
    found = {alias: model.manifest.contents[0].path for model in models for alias in model.aliases}
    own = {f"{RUN_ID}-{which}": file for which, file in versions.items()}
    assert found == own | {"latest": "model.safetensors", RUN_ID: "model.safetensors"}  # none says best of all
    epochs = {model.manifest.contents[0].path: json.loads(model.metadata)["epoch"] for model in models}
    assert epochs[versions["best"]] == best_epoch


@pytest.mark.parametrize("asked", [False, True])
def test_an_unfinished_run_leaves_no_model_and_its_checkpoint_if_asked(tmp_path, asked):
    run, _ = training_run(tmp_path / "run", step=7)
    tracker = Wandb(mode="offline", last_checkpoint=asked).build(run)
    leave_files(run.folder)
    tracker.finish("interrupted")
    (run.folder / "checkpoints" / "last.pt").write_bytes(b"of the resumed run")  # before it is uploaded
    log = read_offline(run.folder)
    assert log.exit_code == 255
    found = {artifact.type: artifact for artifact in log.artifacts}
    assert set(found) == {"dataset", "report"} | ({"checkpoint"} if asked else set())
    if asked:
        checkpoint = found["checkpoint"]
        assert (checkpoint.name, json.loads(checkpoint.metadata)) == ("tiny-checkpoint", {"epoch": 2, "step": 7})
        assert RUN_ID in checkpoint.aliases
        assert Path(checkpoint.manifest.contents[0].local_path).read_bytes() == b"last"


def test_secrets_are_not_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_TOKEN", "s3cret-of-the-store")
    recipe = {"data": {"use": "x", "root": "/mnt/s3cret-of-the-store"}, "list": [{"api_key": "ab"}], "monkey": "ab"}
    config = {"data": {"use": "x", "root": "(hidden)"}, "list": [{"api_key": "(hidden)"}], "monkey": "ab"}
    assert hide_settings(recipe, known_secrets()) == config

    run, warnings = training_run(tmp_path / "run", recipe=recipe)
    tracker = Wandb(mode="offline").build(run)
    leave_files(run.folder, page="<p>root: /mnt/s3cret-of-the-store</p>")
    tracker.finish("finished")
    assert len(warnings) == 1
    assert "report.html" in warnings[0]
    for path in (run.folder / "wandb").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
    sent = read_offline(run.folder).config
    assert {key: sent[key] for key in config} == config


def test_a_run_reaches_a_server(tmp_path, monkeypatch, server):
    monkeypatch.delenv("WANDB_API_KEY")
    address = server.url.removeprefix("http://")
    (tmp_path / "home" / "netrc").write_text(f"machine {address} login user password {KEY}\n")
    run, warnings = training_run(tmp_path / "run", run_id="two words/#1")
    leave_environment(run.folder)
    tracker = Wandb(tags=("a",), notes="n", group="g").build(run)
    log_a_run(tracker)
    leave_files(run.folder)
    tracker.finish("finished")

    there = server.run
    assert there.fields["repo"] == "https://host/tiny.git"
    assert warnings == []
    rows = [(row["train/loss"], row["epoch"], row["trainer/step"]) for row in there.history[:2]]
    assert rows == [(2, 1, 2), (1, 2, 4)]
    assert there.exit_code == 0
    assert there.config["optimizer"] == RECIPE["optimizer"]
    sent = {
        key: there.fields[key] for key in ("name", "displayName", "groupName", "jobType", "notes", "tags", "commit")
    }
    assert sent == {
        "name": "two-words-1", "displayName": "tiny-two words/#1", "groupName": "g", "jobType": "train", "notes": "n",
        "tags": ["a"], "commit": "0123abc",
    }  # fmt: skip
    grid = there.history[2]["errors/grid"]
    assert Image.open(io.BytesIO(there.files[grid["path"]])).size == (4, 2)
    assert list(run.folder.glob("wandb/run-*/*.synced"))


def test_artifacts_reach_a_server_with_their_lineage(tmp_path, server):
    run, warnings = training_run(tmp_path / "run")
    tracker = Wandb().build(run)
    log_a_run(tracker)
    leave_files(run.folder)
    tracker.finish("finished")

    assert warnings == []
    (data,) = server.of_type("dataset")
    assert server.run.inputs == [data.id]
    assert data.manifest["contents"]["digits"]["ref"] == "frame-data://digits/c0ffee"
    assert json.loads(data.metadata)["checksum"] == "c0ffee"
    models = {tuple(model.files.values()): sorted(model.aliases) for model in server.of_type("model")}
    assert models == {(b"best",): [f"{RUN_ID}-best"], (b"kept",): [RUN_ID, f"{RUN_ID}-last", "latest"]}
    (report,) = server.of_type("report")
    assert report.files == {"report.html": b"<h1>The report</h1>"}
    about = {"run": RUN_ID, "dataset": "digits", "model": f"digits-c0ffee-test-acc:{RUN_ID}"}
    assert json.loads(report.metadata) == about
    collections = {table.collection for table in server.of_type("run_table")}
    assert any("predictions" in name for name in collections)
    assert len(collections) == 3  # the analyzer's, and its matrix


def test_a_failed_run_says_why_and_leaves_its_files(tmp_path, server, monkeypatch):
    monkeypatch.setenv("STORE_TOKEN", "s3cret-of-the-store")
    run, warnings = training_run(tmp_path / "run", step=7)
    leave_environment(run.folder)
    tracker = Wandb().build(run)
    tracker.log({"train/loss_step": 2.0}, epoch=1, step=7)
    texts = {
        "run.json": json.dumps({"state": "running", "error": "RuntimeError: boom"}), "log.txt": "epoch 1\n",
        "error.txt": "Traceback: s3cret-of-the-store", "recipe.resolved.yaml": "model: {use: mlp, api_key: hunter2}",
        "plugins/mlp.py": "# the model",
    }  # fmt: skip
    (run.folder / "plugins").mkdir()
    for name, text in texts.items():
        (run.folder / name).write_text(text)
    tracker.finish("failed")

    there = server.run
    assert (there.exit_code, there.summary["error"], there.summary["last_step"]) == (1, "RuntimeError: boom", 7)
    assert server.alerts == [("ERROR", "tiny failed", f"RuntimeError: boom\n{run.folder}")]
    assert {name: there.files[name] for name in ("log.txt", "plugins/mlp.py")} == {
        "log.txt": b"epoch 1\n", "plugins/mlp.py": b"# the model"
    }  # fmt: skip
    assert "environment.json" in there.files
    assert warnings == ["error.txt, recipe.resolved.yaml: not sent to W&B, for a secret in it"]
    assert not any(b"s3cret" in content or b"hunter" in content for content in there.files.values())
    assert links(run.folder) == []


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
    log_a_run(tracker)
    leave_files(run.folder)
    tracker.finish("finished")
    assert warnings == []
    assert not list(run.folder.rglob("*.wandb"))


@pytest.mark.parametrize("module", [None, ModuleType("wandb")], ids=["missing", "an empty folder"])
def test_without_the_package_the_error_says_so(tmp_path, monkeypatch, module):
    run, _ = training_run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb", module)
        with pytest.raises(UserError, match="pip install wandb"):
            Wandb().build(run)
