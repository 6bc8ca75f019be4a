"""`frame report`: pages written again, and reports at W&B: what reaches a server on 127.0.0.1, and what is refused."""

import io
import json
import os
import shutil
import sys
import time
import webbrowser
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from test_tensorboard import training_run

from fakes.wandb_reports_server import WandbReportsServer
from fakes.wandb_run import KEY, reached
from fakes.wandb_server import Artifact
from frame import AnalyzerResult, Picture, RunFailed, TrackerComponent, UserError
from frame.analysis.analyze import save_result
from frame.cli import cli
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.naming import note

FIRST, SECOND = "20261124-010000-aaaa", "20261124-020000-bbbb"
RECIPE = {
    "name": "tiny", "seed": 3, "data": {"use": "digits", "batch_size": 128}, "model": {"use": "custom_resnet"},
    "loss": {"use": "cross_entropy"}, "optimizer": {"use": "adam", "lr": 0.01}, "train": {"epochs": 2},
    "analyzers": [{"use": "curves"}, {"use": "confusion"}],
}  # fmt: skip


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


def make_run(
    tmp_path, run_id=FIRST, segment="run-20261124_010203-", project="frame", entity="someone", bound=60, **record
) -> Path:
    """Write the files of a finished run that was logged online, as the host and W&B write them."""
    folder = tmp_path / "runs" / "tiny" / run_id
    (folder / "analysis").mkdir(parents=True)
    facts = {"id": run_id, "name": "tiny", "state": "finished", "epochs": 2, "kept": "last", "training_seconds": 90.0}
    best = {"metric": "test/acc", "value": 0.97222, "epoch": 2}
    (folder / "run.json").write_text(json.dumps(facts | {"test_accuracy": 0.97222, "best": best} | record))
    tracker = {"use": "wandb", "patience_s": bound}
    (folder / "recipe.resolved.yaml").write_text(yaml.safe_dump(RECIPE | {"trackers": [tracker]}, sort_keys=False))
    git = {"commit": "77602f070d2533ae80b63207d79fcc63cb14b79b", "changed": True}
    environment = {"python": "3.11.7", "versions": {"torch": "2.15.0"}, "device": "cpu | fp32", "git": git}
    (folder / "environment.json").write_text(json.dumps(environment))
    lines = [
        {"kind": "step", "epoch": 0.5, "step": 1, "train/loss": 2.0, "train/acc": 0.1, "lr": 0.1},
        {"kind": "epoch", "epoch": 1, "step": 2, "train/loss": 1.0, "test/loss": 1.1, "test/acc": 0.5, "lr": 0.1},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "st')
    (folder / "timing.jsonl").write_text('{"kind": "step", "epoch": 0.5, "step": 1, "images_per_s": 9.0}\n')
    matrices = [{"kind": "matrix", "classes": classes} for classes in (["cat"], ["cat"] * 101)]
    found = {"order": 1, "title": "Confusion", "figures": [
        matrices[0] | {"file": "few.png"}, matrices[1] | {"file": "many.png"}, {"kind": "chart", "file": "bars.png"},
    ]}  # fmt: skip
    curves = {"order": 0, "title": "Curves", "figures": [{"kind": "chart", "file": "loss.png"}]}
    results = {"confusion": found, "curves": curves,
               "grad_cam": {"order": 2, "title": "Grad-CAM", "error": "RuntimeError: no"}}  # fmt: skip
    for name, result in results.items():
        (folder / "analysis" / name).mkdir()
        (folder / "analysis" / name / "result.json").write_text(json.dumps(result))
    (folder / "predictions.safetensors").touch()
    if segment:
        (folder / "wandb" / f"{segment}{run_id}").mkdir(parents=True)
        (folder / "wandb" / f"{segment}{run_id}" / f"run-{run_id}.wandb").touch()
        place = {"id": run_id, "project": project, "entity": entity}
        (folder / "wandb" / "place.json").write_text(json.dumps(place))
    return folder


class Spec:
    """A report's blocks: the text of headings and Markdown, and the panels of all grids by their view."""

    def __init__(self, spec: dict) -> None:
        kinds = {}
        for block in spec["blocks"]:
            kinds.setdefault(block["type"], []).append(block)
        self.headings = [block["children"][0]["text"] for block in kinds["heading"]]
        self.tables = [block["content"].splitlines() for block in kinds["markdown-block"]]
        ((self.code,),) = ([line["children"][0]["text"] for line in block["children"]] for block in kinds["code-block"])
        self.runsets = [runset for grid in kinds["panel-grid"] for runset in grid["metadata"]["runSets"]]
        self.panels: dict[str, list[dict]] = {}
        for grid in kinds["panel-grid"]:
            for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]:
                self.panels.setdefault(panel["viewType"], []).append(panel)

    @property
    def ids(self) -> set[str]:
        """What the runsets' filters let through."""
        filters = [runset["filters"]["filters"] for runset in self.runsets]
        assert all(of == filters[0] for of in filters)
        ((one,),) = filters[:1]
        assert (one["key"], one["op"]) == ({"section": "run", "name": "name"}, "IN")
        return set(one["value"])


def test_a_report_has_the_runs_figures_setup_curves_pictures_and_predictions(tmp_path, server):
    url = Wandb().publish([make_run(tmp_path)])

    (saved,) = server.reports
    assert url == f"{server.url}/someone/frame/reports/tiny-{FIRST}--Vmlldzo1"
    assert (saved["type"], saved["entityName"], saved["projectName"]) == ("runs/draft", "someone", "frame")
    assert saved["displayName"] == f"tiny {FIRST}"
    spec = Spec(saved["spec"])
    assert spec.ids == {FIRST}
    assert all(runset["project"]["name"] == "frame" for runset in spec.runsets)
    assert spec.headings[0] == "97.22% test accuracy"
    figures, setup = spec.tables
    assert figures[2] == f"| {FIRST} | finished | 97.22% | test/acc 0.9722, epoch 2 | last | 2 | 1.5 min |"
    assert setup[2] == f"| {FIRST} | cpu / fp32 | 3.11.7 | 2.15.0 | – | 77602f070d25, changed | – |"
    assert yaml.safe_load(spec.code)["seed"] == 3
    plots = [panel["config"] for panel in spec.panels["Run History Line Plot"]]
    assert [(plot["xAxis"], plot["metrics"]) for plot in plots] == [
        ("epoch", ["train/loss", "test/loss"]),
        ("epoch", ["train/acc", "test/acc"]),
        ("trainer/step", ["lr"]),
        ("trainer/step", ["perf/images_per_s"]),
    ]
    browsers = [panel["config"] for panel in spec.panels["Media Browser"]]
    assert [(browser["chartTitle"], browser["mediaKeys"]) for browser in browsers] == [
        ("Confusion", ["confusion/many", "confusion/bars"]),
    ]
    assert '"val": "predictions"' in json.dumps(spec.panels["Weave"])
    (comparer,) = spec.panels["Run Comparer"]
    assert "diffOnly" not in comparer["config"]
    assert "CreateProject" not in server.asked


def test_several_runs_are_compared(tmp_path, server):
    failed = {"state": "failed", "test_accuracy": None, "best": None}
    Wandb().publish([make_run(tmp_path, entity="team"), make_run(tmp_path, SECOND, entity="team", **failed)])
    (saved,) = server.reports
    spec = Spec(saved["spec"])
    assert (saved["displayName"], saved["entityName"]) == ("tiny: 2 runs", "team")
    assert spec.ids == {FIRST, SECOND}
    assert spec.headings[0] == "Best of 2 runs: 97.22% test accuracy"
    assert spec.tables[0][3] == f"| {SECOND} | failed | – | – | last | 2 | 1.5 min |"
    assert [panel["config"] for panel in spec.panels["Run Comparer"]] == [{"diffOnly": True}]


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
    assert spec.headings == ["This run is interrupted", "Setup", "Curves", "Settings and summary"]
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
    for name in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "frame_plugins.trackers.wandb_tracker.reports", raising=False)
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
    tracker = Wandb().build(training_run(folder, run_id=FIRST))
    tracker.log({"train/loss": 2.0, "train/acc": 0.1, "lr": 0.1, "perf/images_per_s": 9.0}, epoch=0.5, step=1)
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
        shown = {name for panel in spec.panels[view] for name in panel["config"][key]}
        assert shown
        assert shown <= logged


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
