"""Runs that `wandb agent` starts: they are in its sweep, under its id, with its values."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY, clean_environment
from fakes.wandb_agents_server import SWEEP, WandbAgentsServer
from fakes.wandb_run import KEY, alone, reached, read_offline, training_run
from frame.cli import main
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.naming import place

pytestmark = pytest.mark.usefixtures(alone.__name__)

GREYS = REPOSITORY / "tests" / "framework" / "fixtures" / "greys.yaml"
AGENT = "from wandb import wandb_agent; wandb_agent.Agent.POLL_INTERVAL = 0.2; from wandb.cli.cli import cli; cli()"
"""`wandb`, which asks the server five times a second instead of every five seconds."""


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbAgentsServer(), monkeypatch)


@pytest.fixture
def agents_variables(monkeypatch):
    """What `wandb agent` sets for the runs that it starts."""
    for name, value in {"SWEEP_ID": SWEEP, "RUN_ID": "agents", "PROJECT": "frame", "ENTITY": "someone"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)


def test_an_agents_run_has_its_id_and_is_in_its_sweep(tmp_path, server, agents_variables):
    run, warnings = training_run(tmp_path / "run")
    Wandb(project="mine", entity="someone").build(run).finish("finished")
    assert (server.run.name, server.run.fields["sweep"], server.run.fields["project"]) == ("agents", SWEEP, "frame")
    there = {"id": "agents", "project": "frame", "entity": "someone", "sweep": SWEEP}
    assert place(run.folder).items() >= there.items()
    assert warnings == [
        "trackers.wandb.project: mine is not taken: its sweep 'sweep1' is in project 'frame', and so is the run"
    ]


def test_without_an_agents_id_a_run_is_in_the_sweep_under_its_own(tmp_path, server, agents_variables, monkeypatch):
    monkeypatch.delenv("WANDB_RUN_ID")
    run, _ = training_run(tmp_path / "run")
    Wandb().build(run).finish("interrupted")
    assert (server.run.name, server.run.fields["sweep"]) == (run.run_id, SWEEP)
    for name in ("SWEEP_ID", "PROJECT", "ENTITY"):
        monkeypatch.delenv(f"WANDB_{name}")
    resumed, warnings = training_run(tmp_path / "run", resumed=True)
    Wandb(mode="offline", project="mine").build(resumed).finish("finished")
    (log,) = run.folder.glob("wandb/offline-run-*")
    there = read_offline(run.folder).run
    assert (there.run_id, there.sweep_id, there.project, log.is_dir()) == (run.run_id, SWEEP, "frame", True)
    assert len(warnings) == 1


def test_one_of_several_is_not_the_agents_run(tmp_path, agents_variables):
    run, warnings = training_run(tmp_path / "run", group="seeds")
    Wandb(mode="offline", project="mine").build(run).finish("finished")
    log = read_offline(run.folder)
    assert (log.run.run_id, log.run.sweep_id, log.run.project) == (run.run_id, "", "mine")
    assert len(warnings) == 1
    assert warnings[0].startswith("WANDB_RUN_ID=agents names one run")


def test_what_an_agent_writes_with_dashes_is_told_how(agents_variables, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["frame", "run", "quickstart", "--train.epochs=3"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    told = "A setting is overridden without dashes: train.epochs=3; in the command of a W&B sweep, ${args_no_hyphens}"
    assert capsys.readouterr().err.splitlines()[-1] == f"{told} writes them so"


def documented() -> dict:
    """Return the sweep's file of docs/sweeps.md."""
    _, _, text = (REPOSITORY / "docs" / "sweeps.md").read_text().partition("`wandb-sweep.yaml`:\n\n```yaml\n")
    return yaml.safe_load(text.partition("```")[0])


def test_the_documented_sweep_is_one_that_wandb_and_frame_take(cli):
    config = documented()
    assert config["command"][:2] == ["frame", "run"]
    assert "${args_no_hyphens}" in config["command"]
    point = [
        f"{key}={one['values'][0] if 'values' in one else one['min']}" for key, one in config["parameters"].items()
    ]
    assert all(isinstance(one.get("min", 0.0), float | int) for one in config["parameters"].values())  # 1e-4 is a text
    assert cli("validate", *config["command"][2:-1], *point).code == 0


@pytest.mark.slow
def test_wandb_agent_drives_frame_run(tmp_path, server):
    config = documented()
    command = [sys.executable, "-m", "frame", "run", str(GREYS), "trackers=[{use: wandb}]", "${args_no_hyphens}"]
    server.config = config | {"command": command}
    server.points = [{"optimizer.lr": 0.003, "data.batch_size": 64}, {"optimizer.lr": 0.004, "train.amsgrad": True}]
    variables = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", AGENT, "agent", f"someone/frame/{SWEEP}"], cwd=tmp_path, timeout=280, check=False,
        env=clean_environment(tmp_path) | variables, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    there = server.run  # the second never began: its setting is a mistake
    assert (there.name, there.fields["sweep"], there.exit_code) == ("agent-run1", SWEEP, 0)
    assert (there.config["optimizer"]["lr"], there.config["data"]["batch_size"]) == (0.003, 64)
    assert "train.amsgrad: unknown setting" in done.stdout + done.stderr
    (folder,) = Path(tmp_path, "runs", "greys").iterdir()
    assert json.loads((folder / "wandb" / "place.json").read_text())["id"] == "agent-run1"
    assert {"agent-run1": True} in server.states
