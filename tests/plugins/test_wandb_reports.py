"""`frame report`: pages written again, and reports at W&B: what reaches a server on 127.0.0.1, and what is refused."""

import io
import json
import os
import shutil
import sys
import time
import webbrowser

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from test_tensorboard import training_run

from fakes.wandb_reported import FIRST, RECIPE, SECOND, Spec, make_run
from fakes.wandb_reports_server import WandbReportsServer
from fakes.wandb_run import KEY, reached
from fakes.wandb_server import Artifact
from frame import AnalyzerResult, Picture, RunFailed, TrackerComponent, UserError
from frame.analysis.analyze import save_result
from frame.cli import cli
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.naming import note


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No credentials and no server but those that a test gives; the session ends with the test."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    yield
    wandb.teardown()


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbReportsServer(), monkeypatch)


def test_a_report_has_the_runs_figures_setup_curves_pictures_and_predictions(tmp_path, server):
    url = Wandb().publish([make_run(tmp_path)])

    (saved,) = server.reports
    assert url == f"{server.url}/someone/frame/reports/tiny-{FIRST}--Vmlldzo1"
    assert (saved["type"], saved["entityName"], saved["projectName"]) == ("runs/draft", "someone", "frame")
    assert saved["displayName"] == f"tiny {FIRST}"
    spec = Spec(saved["spec"])
    assert spec.ids == {FIRST}
    assert all(runset["project"]["name"] == "frame" for runset in spec.runsets)
    assert spec.headings == [
        "97.22 % test accuracy", "Results", "Curves", "Settings and summary", "What the analyzers found",
        "Predictions on the test set", "Setup",
    ]  # fmt: skip
    assert "table-of-contents" in spec.kinds
    (figures,) = spec.table("recipe", "test accuracy")
    assert figures == {
        "run": f"[{FIRST}]({server.url}/someone/frame/runs/{FIRST})", "recipe": "tiny", "data": "digits (c0ffee00)",
        "model": "custom_resnet", "seed": "3", "state": "finished", "test accuracy": "97.22 %",
        "best": "test/acc 0.9722, epoch 2", "kept": "last", "epochs": "2", "training": "1.5 min",
    }  # fmt: skip
    (setup,) = spec.tables[1:]
    assert setup[2] == f"| {FIRST} | cpu / fp32 | 3.11.7 | 2.15.0 | – | 77602f070d25, changed |"
    assert yaml.safe_load(spec.code)["seed"] == 3
    plots = spec.panels["Run History Line Plot"]
    assert [(plot["xAxis"], plot["metrics"], plot.get("yLogScale")) for plot in plots] == [
        ("epoch", ["train/loss", "test/loss"], None),
        ("epoch", ["train/acc", "test/acc"], None),
        ("trainer/step", ["lr"], None),
        ("trainer/step", ["train/grad_norm"], True),
        ("trainer/step", ["perf/images_per_s"], None),
    ]
    assert all(f"{plot['chartTitle']}: " in spec.text for plot in plots)
    assert [(browser["chartTitle"], browser["mediaKeys"]) for browser in spec.panels["Media Browser"]] == [
        ("Confusion", ["confusion/many", "confusion/bars"]),
    ]
    assert '"val": "predictions"' in json.dumps(spec.panels["Weave"])
    (comparer,) = spec.panels["Run Comparer"]
    assert "diffOnly" not in comparer
    assert not {"CreateProject", "UpsertView2"} & set(server.asked)


def test_the_recipe_that_is_sent_has_no_secret(tmp_path, server):
    folder = make_run(tmp_path)
    values = yaml.safe_load((folder / "recipe.resolved.yaml").read_text())
    values["model"] |= {"api_key": "hunter2", "source": "https://me:hunter3@host"}
    (folder / "recipe.resolved.yaml").write_text(yaml.safe_dump(values))
    Wandb().publish([folder])
    (saved,) = server.reports
    assert "hunter" not in json.dumps(saved)
    sent = yaml.safe_load(Spec(saved["spec"]).code)["model"]
    assert sent == {"use": "custom_resnet", "api_key": "(hidden)", "source": "https://me:(hidden)@host"}


def test_a_run_without_any_result_has_a_report_too(tmp_path, server):
    folder = make_run(tmp_path, state="interrupted", test_accuracy=None, best=None)
    shutil.rmtree(folder / "analysis")
    for name in ("metrics.jsonl", "timing.jsonl", "environment.json", "predictions.safetensors"):
        (folder / name).unlink()
    Wandb().publish([folder])
    spec = Spec(server.reports[0]["spec"])
    assert spec.headings == ["This run is interrupted", "Results", "Curves", "Settings and summary", "Setup"]
    assert set(spec.panels) == {"Run Comparer"}


def test_an_offline_run_is_reported_once_it_was_uploaded(tmp_path, server):
    folder = make_run(tmp_path, segment="offline-run-20261124_010203-")
    with pytest.raises(UserError, match=f"upload it first with: frame sync {folder}"):
        Wandb().publish([folder])
    assert server.asked == []
    (folder / "wandb" / f"offline-run-20261124_010203-{FIRST}" / f"run-{FIRST}.wandb.synced").touch()
    Wandb().publish([folder])
    assert len(server.reports) == 1


def test_what_cannot_be_reported_on_is_refused_before_anything_is_sent(tmp_path, server, monkeypatch):
    never, other = make_run(tmp_path, FIRST, segment=""), make_run(tmp_path, SECOND, project="other")
    with pytest.raises(UserError, match="was never logged to W&B"):
        Wandb().publish([never])
    with pytest.raises(UserError, match=r"several W&B projects.*in 'someone/frame', .*in 'someone/other'"):
        Wandb().publish([make_run(tmp_path, "20261124-030000-cccc"), other])
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UserError, match="no credentials: set WANDB_API_KEY"):
        Wandb().publish([other])
    assert server.asked == []


def test_a_project_that_is_not_there_is_not_made(tmp_path, server):
    with pytest.raises(RunFailed, match="project 'someone/other' not found"):
        Wandb().publish([make_run(tmp_path, project="other")])
    assert server.reports == []
    assert "CreateProject" not in server.asked


@pytest.mark.parametrize(
    ("failure", "timeout_s", "said"),
    [(401, 90, "401"), (403, 90, "403"), ("garbage", 90, "invalid character"),
     ("half", 90, "upsertView is not answered"),
     (500, 1, "within 1 s"), ("hang", 1, "within 1 s"), ("refuses", 1, "within 1 s")],
)  # fmt: skip
def test_a_server_that_does_not_take_it_ends_in_an_error_in_time(tmp_path, server, failure, timeout_s, said):
    if failure == "refuses":
        server.stop()
    elif failure == "half":
        server.drop = ("upsertView",)
    else:
        server.failure = failure
    start = time.monotonic()
    with pytest.raises(RunFailed, match=f"W&B did not take the report.*{said}"):
        Wandb(patience_s=timeout_s).publish([make_run(tmp_path)])
    assert time.monotonic() - start < 60


def test_without_the_package_the_error_says_so(tmp_path, monkeypatch):
    own = ("wandb_workspaces", "frame_plugins.trackers.wandb_tracker.report")
    for name in [name for name in sys.modules if name.startswith(own)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UserError, match=r"pip install 'frame-train\[wandb-reports\]'"):
        Wandb().publish([make_run(tmp_path)])


def test_a_tracker_that_makes_no_reports_says_so(tmp_path):
    class Plain(TrackerComponent):
        def build(self, run): ...

    with pytest.raises(UserError, match="Plain makes no reports"):
        Plain().publish([tmp_path])


def test_it_shows_what_the_tracker_logged(tmp_path, server):
    folder = make_run(tmp_path, segment="")
    (folder / "predictions.safetensors").unlink()
    (folder / "report.html").write_text("<h1>The report</h1>")
    tracker = Wandb().build(training_run(folder, run_id=FIRST))
    row = {"train/loss": 2.0, "train/acc": 0.1, "train/grad_norm": 2.0, "lr": 0.1, "perf/images_per_s": 9.0}
    tracker.log(row, epoch=0.5, step=1)
    tracker.log({"train/loss": 1.0, "test/loss": 1.1, "test/acc": 0.5, "lr": 0.1}, epoch=1, step=2)
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "png")
    result = AnalyzerResult("Confusion", (Picture("pairs", "Pairs", pixel.getvalue()),))
    tracker.log_result("confusion", result)
    tracker.finish("finished")
    save_result(folder / "analysis" / "confusion", 0, result, draw=False)
    Wandb().publish([folder])

    logged = {key for row in server.run.history for key in row}
    spec = Spec(server.reports[0]["spec"])
    assert spec.ids == set(server.runs) == {FIRST}
    for view, key in (("Run History Line Plot", "metrics"), ("Media Browser", "mediaKeys")):
        shown = {name for panel in spec.panels[view] for name in panel[key]}
        assert shown
        assert shown <= logged
    links = spec.table("dataset", "report")
    there = f"{server.url}/someone/frame/artifacts"
    assert links == [{"run": FIRST, "dataset": f"[dataset:v0 (latest)]({there}/dataset/dataset/v0)",
                      "report": f"[tiny-report:v0 (latest)]({there}/report/tiny-report/v0)"}]  # fmt: skip


def test_it_says_which_model_is_the_best_of_all(tmp_path, server):
    folder = make_run(tmp_path)
    note(folder, models={"collection": "digits-c0ffee-test-acc", "metric": "test/acc", "mode": "max"})
    best = {"metric": "test/acc", "value": 0.97, "epoch": 2}
    server.artifacts["a"] = Artifact(
        id="a", run=FIRST, collection="digits-c0ffee-test-acc", type="model", digest="d", client_id="", aliases=[FIRST],
        metadata=json.dumps({"run": FIRST, "epoch": 2, "best": best}), version=0, state="COMMITTED",
    )  # fmt: skip
    Wandb().publish([folder])
    assert server.artifacts["a"].aliases == [FIRST, "best-test-acc"]
    assert len(server.reports) == 1


def test_the_command_line_prints_the_url_and_opens_it(tmp_path, server, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda page: bool(opened.append(page)))
    folder = make_run(tmp_path)
    result = CliRunner().invoke(cli, ["report", str(folder), "--wandb", "--open"])
    url = f"{server.url}/someone/frame/reports/tiny-{FIRST}--Vmlldzo1"
    assert (result.exit_code, result.stdout) == (0, f"{url}\n")
    assert result.stderr == f"no browser could be opened for {url}\n"
    assert opened == [url]


@pytest.mark.slow
def test_a_server_that_hangs_does_not_hold_the_process(frame, tmp_path, server):
    server.failure = "hang"
    folder = make_run(tmp_path, bound=1)
    start = time.monotonic()
    hung = frame("report", folder, "--wandb", env={"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}, timeout=200)
    assert time.monotonic() - start < 120  # 1 s is the bound, the rest is Python's and W&B's start
    assert (hung.returncode, hung.stdout) == (1, "")
    assert hung.stderr == "error: W&B did not take the report within 1 s; try again later\n"


def test_the_command_line_writes_pages_and_opens_them(tmp_path, monkeypatch):
    folders = [tmp_path / run_id for run_id in (FIRST, SECOND)]
    for folder in folders:
        folder.mkdir()
        record = {"id": folder.name, "name": "tiny", "state": "failed", "error": None}
        record["started"] = "2026-11-24T10:00:00+00:00"
        (folder / "run.json").write_text(json.dumps(record))
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda page: opened.append(page) or True)
    paths = [str(folder) for folder in (*folders, folders[0])]
    result = CliRunner().invoke(cli, ["report", *paths, "--open"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [str(folder / "report.html") for folder in folders]
    assert opened == [(folder / "report.html").as_uri() for folder in folders]
    assert all(folder.name in (folder / "report.html").read_text() for folder in folders)


def test_the_command_line_refuses_a_run_that_wandb_did_not_track(tmp_path, server):
    folder = make_run(tmp_path)
    (folder / "recipe.resolved.yaml").write_text(yaml.safe_dump(RECIPE))
    refused = CliRunner().invoke(cli, ["report", str(folder), "--wandb"])
    assert "was run without the tracker 'wandb'" in str(refused.exception)
    (folder / "recipe.resolved.yaml").unlink()
    refused = CliRunner().invoke(cli, ["report", str(folder), "--wandb"])
    assert "stopped before its training began" in str(refused.exception)
    assert server.asked == []
