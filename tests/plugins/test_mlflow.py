"""The MLflow tracker: MLflow's own store and server hold what the run's folder holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import yaml

from fakes.launching import start
from fakes.mlflow_server import MlflowServer, StoredRun
from frame import AnalyzerResult, DataInfo, Steps, TrainingRun, UserError
from frame_plugins.trackers.mlflow_tracker import MLflow
from frame_plugins.trackers.mlflow_tracker.contents import Rows, changed, files, key, params, secret_texts
from frame_plugins.trackers.mlflow_tracker.job import ROWS

TINY = Path(__file__).parents[1] / "framework" / "fixtures" / "tiny.yaml"
OURS = ("mlflow", "checkpoints")
"""Folders of a run that are not sent."""


def use(uri: str, **settings) -> str:
    """Return the recipe's `trackers`. The machine may be slow."""
    return f"trackers=[{json.dumps({'use': 'mlflow', 'tracking_uri': uri, 'finish_timeout_s': 250, **settings})}]"


def only_run(home: Path) -> Path:
    (folder,) = (home / "runs" / "tiny").iterdir()
    return folder


def rows_of(folder: Path) -> set[tuple[str, int, float]]:
    """Return what metrics.jsonl and timing.jsonl hold: key, step, value."""
    rows = set()
    for file, prefix in (("metrics.jsonl", ""), ("timing.jsonl", "perf/")):
        for line in map(json.loads, (folder / file).read_text().splitlines()):
            step, epoch, _ = line.pop("step"), line.pop("epoch"), line.pop("kind")
            rows |= {(f"{prefix}{name}", step, value) for name, value in line.items()} | {("epoch", step, epoch)}
    return rows


def assert_holds(run, folder: Path) -> None:
    """See that MLflow's run has every value, parameter and file of the folder, and nothing twice."""
    assert len({(name, step) for name, step, _ in run.metrics}) == len(run.metrics)
    there = {(name.removesuffix("_step"), step, value) for name, step, value in run.metrics}
    assert rows_of(folder) - there == set()
    record = json.loads((folder / "run.json").read_text())
    assert {name: value for name, _, value in run.metrics}["test_accuracy"] == record["test_accuracy"]
    assert run.params == dict(params(yaml.safe_load((folder / "recipe.resolved.yaml").read_text())))
    kept, whole = (
        {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        for place in (run.files, folder)
    )
    wanted = {path: content for path, content in whole.items() if path.parts[0] not in OURS and path.name != ".lock"}
    assert set(kept) == set(wanted)
    log = Path("log.txt")  # the last line is said once the trackers are done
    assert wanted.pop(log).startswith(kept.pop(log))
    assert [str(path) for path, content in wanted.items() if kept[path] != content] == []


def training_run(folder: Path, **changes) -> tuple[TrainingRun, list[str]]:
    """Return a run as the host makes it, and the list that its warnings go to."""
    folder.mkdir(exist_ok=True, parents=True)
    warnings: list[str] = []
    info = DataInfo(("cat", "dog"), (8, 8, 3), (0.5,) * 3, (0.5,) * 3, 64)
    fields = {
        "name": "tiny", "run_id": folder.name, "folder": folder, "recipe": {}, "data": info,
        "steps": Steps(64, 32, 2), "model": None, "eval_model": None, "optimizers": [], "schedulers": [],
        "device": None, "warn": warnings.append,
    }  # fmt: skip
    return TrainingRun(**fields | changes), warnings


def test_mlflows_own_store_holds_what_the_runs_folder_holds(cli, tmp_path):
    store = tmp_path / "mlflow.db"
    done = cli("run", TINY, use(f"sqlite:///{store}", tags={"team": "vision"}))
    assert (done.code, done.err) == (0, "")
    folder, run = only_run(tmp_path), StoredRun(store)
    assert_holds(run, folder)
    assert (run.status, run.name) == ("FINISHED", folder.name)
    assert {"team": "vision", "frame.state": "finished", "frame.run_id": folder.name}.items() <= run.tags.items()
    assert [name for name, _ in run.datasets] == ["digits"]
    place = json.loads((folder / "mlflow" / "place.json").read_text())
    assert (place["tracking_uri"], place["run_id"]) == (f"sqlite:///{store}", run.id)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("test/acc", "test/acc"),
        ("analysis/errors/slowest (s)", "analysis/errors/slowest _s_"),
        ("a|b: 50 %", "a_b_ 50 _"),
        ("/root/../x//y/.", "root/x/y"),
        ("..", "_"),
        ("", "_"),
        ("ü" * 300, "ü" * 250),
    ],
)
def test_names_are_as_mlflow_takes_them(name, taken):
    assert key(name) == taken


def test_parameters_are_the_recipes_values_under_dotted_names():
    recipe = {"data": {"workers": 0, "train_transforms": [{"use": "flip"}], "eval_transforms": []}, "seed": None}
    wanted = {
        "data.workers": "0",
        "data.train_transforms.0.use": "flip",
        "data.eval_transforms": "[]",
        "seed": "null",
    }
    assert dict(params(recipe)) == wanted


def test_a_row_is_read_once_it_is_whole(tmp_path):
    (tmp_path / ROWS).parent.mkdir()
    rows = Rows(tmp_path)
    assert list(rows.peek()) == []
    lines = [json.dumps({"step": step, "time": 7, "values": {"lr": 0.5}}) for step in (1, 2)]
    (tmp_path / ROWS).write_text("\n".join(lines))
    assert list(rows.peek()) == list(rows.peek()) == [("lr", 0.5, 7, 1)]
    rows.taken()
    (tmp_path / ROWS).write_text("\n".join(lines) + "\n")
    assert list(rows.peek()) == [("lr", 0.5, 7, 2)]


def test_no_file_leaves_the_run_with_a_secret_or_by_a_link(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "hunter2-hunter2")
    (tmp_path / "run.json").write_text('{"state": "running"}')
    (tmp_path / "recipe.resolved.yaml").write_text("model: {api_key: opensesame, use: tiny}\n")
    (tmp_path / "log.txt").write_text("nothing")
    (tmp_path / "report.html").write_text("<p>opensesame</p>")
    for folder in ("checkpoints", "wandb", "analysis"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text("hunter2-hunter2")
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "etc").symlink_to("/etc")
    names = list(files(tmp_path, checkpoints=False))
    assert names == ["log.txt", "recipe.resolved.yaml", "report.html", "run.json", "analysis/x.csv"]
    assert "checkpoints/x.csv" in files(tmp_path, checkpoints=True)

    secrets = secret_texts(tmp_path, ["hunter2-hunter2"])
    assert changed(tmp_path, "log.txt", "finished", secrets) is None
    assert yaml.safe_load(changed(tmp_path, "recipe.resolved.yaml", "finished", secrets)) == {
        "model": {"api_key": "(hidden)", "use": "tiny"}
    }
    assert json.loads(changed(tmp_path, "run.json", "finished", secrets)) == {"state": "finished"}
    for name in ("report.html", "analysis/x.csv"):
        with pytest.raises(ValueError, match=f"{name} holds a secret"):
            changed(tmp_path, name, "finished", secrets)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("raise RuntimeError('broken')", r"MLflow does not have all of it \(RuntimeError: broken\)"),
        ("import time; time.sleep(3600)", "MLflow did not take all of it within 2 s"),
        ("import os; os._exit(3)", "the process that sends to MLflow ended with code 3"),
    ],
    ids=["fails", "hangs", "dies"],
)
def test_the_run_waits_no_longer_than_it_says_and_keeps_everything(tmp_path, monkeypatch, module, reason):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mlflow.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"), prepend=os.pathsep)
    run, warnings = training_run(tmp_path / "runs" / "tiny" / "1")
    tracker = MLflow(finish_timeout_s=2 if "sleep" in module else 60).build(run)
    tracker.log({"train/loss": 2.5}, epoch=0.5, step=1)
    tracker.log_result("errors", AnalyzerResult("Errors", scalars={"count": 3}))
    with pytest.raises(RuntimeError, match=f"{reason}; nothing is lost, send it with: frame sync {run.folder}"):
        tracker.finish("finished")
    assert [text for text in warnings if "the run goes on" not in text] == []
    rows = [json.loads(line)["values"] for line in (run.folder / ROWS).read_text().splitlines()]
    assert rows == [{"train/loss": 2.5, "epoch": 0.5}, {"analysis/errors/count": 3.0}]


def test_without_the_package_the_error_says_so(tmp_path, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("frame_plugins.trackers.mlflow_tracker.version", missing)
    with pytest.raises(UserError, match=r"pip install 'frame-train\[mlflow\]'"):
        MLflow().build(training_run(tmp_path)[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_holds_what_the_runs_folder_holds_of_a_run_that_was_interrupted(cli, tmp_path, server):
    given = use(server.uri, experiment="interrupted", name="first", checkpoints=True)
    analyzers = "analyzers=[{use: curves}, {use: confusion}]"
    stopped = cli("run", TINY, given, analyzers, "callbacks=[{use: interrupt, step: 15}]")
    assert (stopped.code, stopped.err) == (130, "")
    (run,) = server.runs("interrupted")
    assert (run.info["status"], run.tags["frame.state"]) == ("KILLED", "interrupted")
    assert (run.files / "checkpoints" / "last.pt").is_file()

    folder = only_run(tmp_path)
    done = cli("resume", folder, "trackers.0.checkpoints=false")
    assert (done.code, done.err) == (0, "")
    (run,) = server.runs("interrupted")
    assert (run.info["status"], run.info["run_name"]) == ("FINISHED", "first")
    assert run.params["trackers.0.checkpoints"] == "true"  # as it began
    run.params["trackers.0.checkpoints"] = "false"
    shutil.rmtree(run.files / "checkpoints")
    assert_holds(run, folder)
    assert (run.files / "analysis" / "confusion" / "result.json").is_file()
    scalars = json.loads((folder / "analysis" / "confusion" / "result.json").read_text())["scalars"]
    assert {key(f"analysis/confusion/{name}"): value for name, value in scalars.items()}.items() <= run.latest.items()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_is_killed_is_sent_and_goes_on_without_doubled_values(tmp_path, server):
    given = use(server.uri, experiment="killed")
    arguments = [TINY, given, "train.epochs=500", "train.log_every=1", "checkpoint.every_steps=20"]
    process = start(["run", *arguments], tmp_path)
    wait_until(lambda: (tmp_path / "runs").exists() and (only_run(tmp_path) / "mlflow" / "place.json").exists())
    folder = only_run(tmp_path)
    process.kill()
    process.join()
    logged = {json.loads(line)["step"] for line in (folder / ROWS).read_text().splitlines()}
    wait_until(lambda: server.runs("killed")[0].info["status"] == "KILLED")
    (run,) = server.runs("killed")
    assert {step for name, step, _ in run.metrics if name == "epoch"} == logged

    process = start(["resume", folder], tmp_path)
    wait_until(lambda: len((folder / ROWS).read_text().splitlines()) > len(logged) + 100)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    (run,) = server.runs("killed")
    names = [(name, step) for name, step, _ in run.metrics]
    assert len(names) == len(set(names))
    assert run.info["status"] == "KILLED"
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["step"] for line in lines} <= {step for name, step in names if name == "epoch"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_dies_costs_no_more_than_it_says_and_sync_sends_the_rest(cli, tmp_path):
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    done = cli("run", TINY, use(server.uri, finish_timeout_s=100, tags={"team": "vision"}), "train.epochs=1")
    assert (done.code, done.err) == (0, "")
    folder = only_run(tmp_path)
    shutil.rmtree(folder / "mlflow")
    server.stop()

    run, warnings = training_run(folder)
    tracker = MLflow(tracking_uri=server.uri, finish_timeout_s=20).build(run)
    tracker.log({"test/late": 0.5}, epoch=1, step=12)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="nothing is lost"):
        tracker.finish("finished")
    assert time.monotonic() - begun < 20 + 30  # a slow machine ends processes slowly
    assert len(warnings) <= 1

    failed = cli("sync", folder)
    assert failed.code == 1
    assert "MLflow does not have all of it" in failed.err
    server.start()
    sent = cli("sync", folder)
    assert sent.code == 0, sent.err
    assert "MLflow has all of it" in sent.out
    (found,) = server.runs()
    assert_holds(found, folder)
    assert ("test/late", 12, 0.5) in found.metrics
    server.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_runs_of_a_sweep_or_a_repeat_are_nested_in_one(frame, tmp_path, server):
    sweep = {"method": "grid", "space": {"optimizer.lr": {"choice": [0.01, 0.02]}}}
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(sweep))
    for name, command in (("repeat", ["run", TINY, "--repeat", 2]), ("sweep", ["sweep", TINY, "search.yaml"])):
        done = frame(*command, use(server.uri, experiment=name), "train.epochs=1", timeout=600)
        assert done.returncode == 0, done.stderr
        parents = [run for run in server.runs(name) if "mlflow.parentRunId" not in run.tags]
        children = [run for run in server.runs(name) if "mlflow.parentRunId" in run.tags]
        assert {run.tags["mlflow.parentRunId"] for run in children} == {run.id for run in parents}
        assert (len(parents), len(children)) == (1, 2)
        assert {run.info["status"] for run in (*parents, *children)} == {"FINISHED"}
        assert parents[0].info["run_name"] == parents[0].tags["frame.group"]


def wait_until(true) -> None:
    """Wait for something of another process; it hangs until the test's own limit if it does not come true."""
    while not true():
        time.sleep(0.2)
