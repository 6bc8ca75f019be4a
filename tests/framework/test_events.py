"""`--json`: events as JSON lines, nothing else on standard output, and a stable code for everything that goes wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from conftest import clean_environment
from frame.compute.interrupts import StopRequest
from frame.console import Console
from frame.console import events as kinds
from frame.console.events import Event
from frame.sweep.record import open_sweep
from frame.sweep.search import Search
from frame.sweep.spec import load_sweep
from frame.sweep.summary import summarize
from frame.sweep.tuning import Controller

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
NOISY = """\
import frame

class Noisy(frame.CallbackComponent):
    \"\"\"Prints.\"\"\"

    def build(self, run):
        print("not an event")
        return frame.Callback()

@frame.hookimpl
def frame_components():
    return {"noisy": Noisy}
"""


def told(text: str) -> list[dict]:
    """Return the events of a command's standard output, each checked to have the fields of its kind and no other."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        values = dict(line)
        assert values.pop("time").endswith("+00:00")
        found = TypeAdapter(Event).validate_python(values)
        assert found == values
    return lines


def test_a_run_tells_its_events_in_order_and_says_its_text_on_standard_error(cli, tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    (tmp_path / "recipe.yaml").write_text(f"extends: {TINY}\nplugins: [./noisy.py]\ncallbacks: [{{use: noisy}}]\n")
    changes = ["train.epochs=1", "train.precision=fp32", "checkpoint.mode=min", "analyzers=[{use: curves}]"]
    done = cli("run", "recipe.yaml", *changes, "--json", "--repeat", "2")
    events = told(done.out)
    one = ["run_begin", "checkpoint", "checkpoint", "checkpoint", "epoch_end", "analyzer_end", "run_end"]
    assert (done.code, [event["event"] for event in events]) == (0, ["warning", *one, *one, "repeat_end"])
    assert events[0]["message"].startswith("command line: checkpoint.mode: is min")
    begin, *saved, epoch, analyzer, end = events[1:8]
    folder = tmp_path / begin["run"]
    record = json.loads((folder / "run.json").read_text())
    assert (begin["resumed"], begin["seed"], begin["group"]) == (False, 3, record["group"])
    assert begin["images"] == {"train": 1437, "validation": 0, "test": 360}
    assert [(one["kind"], one["epoch"]) for one in saved] == [("last", 0), ("best", 1), ("last", 1)]
    assert all((tmp_path / one["path"]).is_file() for one in saved)
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert epoch["metrics"] == {name: line[name] for name in epoch["metrics"]}
    assert {"train/loss", "train/acc", "test/loss", "test/acc"} == set(epoch["metrics"])
    assert (analyzer["name"], analyzer["error"]) == ("curves", None)
    assert (end["state"], end["test_accuracy"], end["best"]) == ("finished", record["test_accuracy"], record["best"])
    assert (tmp_path / end["report"]).is_file()
    assert (tmp_path / end["weights"]).is_file()
    assert events[-1]["runs"] == [event["run"] for event in events if event["event"] == "run_end"]
    assert events[-1]["mean"] == pytest.approx(sum(events[-1]["test_accuracies"]) / 2)
    assert done.err.count("not an event\n") == 2
    assert f"run       {begin['run']}\n" in done.err
    assert "result    test accuracy" in (folder / "log.txt").read_text()


def test_a_run_that_diverges_ends_with_its_state_and_an_error(cli, tmp_path):
    done = cli("run", TINY, "optimizer.lr=1e30", "--json", "analyzers=[]", "train.epochs=1")
    *_, end, error = told(done.out)
    assert (done.code, end["event"], end["state"], end["test_accuracy"]) == (1, "run_end", "failed", None)
    assert (error["event"], error["code"], error["exit_code"]) == ("error", "diverged", 1)
    assert error["message"] == end["error"]
    assert f"error: {error['message']}" in done.err


def test_an_interrupted_run_says_so_last_and_a_resume_goes_on_from_there(cli, tmp_path):
    changes = ["train.epochs=1", "analyzers=[]", "callbacks=[{use: interrupt, step: 7}]"]
    stopped = cli("run", TINY, *changes, "--json")
    *_, end, error = told(stopped.out)
    assert (stopped.code, end["state"], error["code"], error["exit_code"]) == (130, "interrupted", "interrupted", 130)
    assert error["message"] == f"interrupted; continue with: frame resume {end['run']}"
    resumed = cli("resume", end["run"], "--json")
    begin, *_, end = told(resumed.out)
    assert (resumed.code, begin["event"], begin["resumed"], begin["epoch"]) == (0, "run_begin", True, 0)
    assert (begin["run"], end["state"]) == (end["run"], "finished")


def test_a_sweep_tells_its_trials_and_its_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search.yaml").write_text("method: grid\nspace: {optimizer.lr: {choice: [0.01, 0.02]}}\n")
    search, output = Search(open_sweep(load_sweep(str(TINY), tmp_path / "search.yaml", []))), io.StringIO()
    console = Console(events=output)
    controller = Controller(search.folder, search, Path("runs"), console, StopRequest())
    controller.start("one")
    controller.end("one", error="it broke")
    summarize(search.folder, console, complete=False)
    begin, failed, end = told(output.getvalue())
    assert (begin["event"], begin["trial"], begin["point"]) == ("trial_begin", 1, {"optimizer.lr": 0.01})
    assert (failed["event"], failed["trial"], failed["state"]) == ("trial_end", 1, "failed")
    assert (failed["run"], failed["error"]) == (None, "it broke")
    assert (end["event"], end["sweep"], end["complete"], end["best"]) == ("sweep_end", "sweeps/search", False, None)


MISTAKES = {
    ("run", "nowhere.yaml"): "no-such-recipe",
    ("run", str(TINY), "model.extr=1"): "unknown-key",
    ("run", str(TINY), "model.extra=no"): "bad-value",
    ("run", str(TINY), "loss.use=nothing"): "unknown-component",
    ("run", str(TINY), "no override"): "bad-override",
    ("run", str(TINY), "name=${nowhere}"): "bad-interpolation",
    ("run", "bad.yaml"): "bad-yaml",
    ("run", "lacking.yaml"): "missing-key",
    ("run", "circle.yaml"): "bad-extends",
    ("run", "plugin.yaml"): "plugin-failed",
    ("run", str(TINY), "optimizer.groups=[{match: nothing*, lr_scale: 2}]"): "bad-value",
    ("run", str(TINY), "data.use=image_folder", "data.root=nowhere"): "bad-data",
    ("run", str(TINY), "train.device=cuda:7"): "no-such-device",
    ("run", str(TINY), "--nothing"): "usage",
    ("run", str(TINY), "--out", "bad.yaml/x"): "cannot-write",
    ("resume", "nowhere"): "no-such-file",
    ("resume", "."): "no-such-run",
    ("runs", "nowhere"): "no-such-file",
    ("resume", "damaged"): "damaged-file",
    ("evaluate", "damaged"): "untrusted-plugin",
    ("evaluate", "linked"): "unsafe-file",
    ("compare", "."): "no-such-run",
    ("sweep", str(TINY), "bad.yaml"): "bad-yaml",
}


@pytest.mark.parametrize(("command", "code"), MISTAKES.items(), ids=lambda one: one if isinstance(one, str) else None)
def test_what_is_wrong_with_a_command_has_a_code(cli, tmp_path, command, code):
    (tmp_path / "bad.yaml").write_text("model: {")
    (tmp_path / "lacking.yaml").write_text("name: x\n")
    (tmp_path / "circle.yaml").write_text("extends: circle.yaml\n")
    (tmp_path / "plugin.yaml").write_text(f"extends: {TINY}\nplugins: [./bad.py]\n")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    for name in ("damaged", "linked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{")
    (tmp_path / "linked" / "log.txt").symlink_to(tmp_path / "bad.yaml")
    (tmp_path / "damaged" / "recipe.resolved.yaml").write_text(f"extends: {TINY}\n")
    done = cli(*command, "--json")
    *_, error = told(done.out)
    assert (done.code, error["event"], error["code"], error["exit_code"]) == (2, "error", code, 2)
    assert error["message"].splitlines()[0] in done.err
    assert all(problem["code"] != "user-error" for problem in error["problems"])


def test_each_problem_of_an_error_has_its_place_and_the_nearest_right_answer(cli):
    (error,) = told(cli("run", TINY, "model.extr=1", "train.epochs=-1", "--json").out)
    assert [(one["code"], one["file"], one["key"], one["suggestion"]) for one in error["problems"]] == [
        ("bad-value", None, "train.epochs", None),
        ("unknown-key", None, "model.extr", "extra"),
    ]


def test_validate_has_the_codes_in_its_list_and_no_error_event(cli):
    done = cli("validate", TINY, "model.extr=1", "--json")
    (problem,) = json.loads(done.out)
    assert (problem["code"], problem["level"], problem["suggestion"]) == ("unknown-key", "error", "extra")


def test_without_json_an_error_is_text_only(cli):
    assert cli("runs", "nowhere").out == ""


def test_a_finished_run_is_not_resumed_which_has_a_code_of_its_own(cli, trained, tmp_path):
    analyzers = "analyzers=[{use: curves}, {use: confusion}, {use: misclassified}]"
    (run,) = (trained(TINY, "train.epochs=1", analyzers) / "runs/tiny").iterdir()
    (error,) = told(cli("resume", run, "--json").out)
    assert error["code"] == "wrong-state"


def test_whatever_prints_beside_the_events_lands_on_standard_error(tmp_path):
    code = (
        "import os, sys\nfrom frame.cli.streams import open_streams, output_apart\nopen_streams()\n"
        "with output_apart() as out:\n"
        "    print('python'); sys.stdout.flush(); os.write(1, b'C\\n'); os.system('echo a process')\n"
        "    out.write('event\\n')\n"
        "print('afterwards')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(tmp_path), check=True)
    assert (done.stdout, done.stderr) == ("event\nafterwards\n", "python\nC\na process\n")


def test_a_secret_is_in_no_event(monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "s3cr3t-t0ken")
    assert "s3cr3t" not in kinds.line({"event": "warning", "message": "said s3cr3t-t0ken"})
    assert json.loads(kinds.line({"event": "warning", "message": "a\nb\x1b"}))["message"] == "a\nb\x1b"
