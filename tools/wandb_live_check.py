"""Confirm with a real W&B account what the tests can only show against a server of their own.

    uv run python tools/wandb_live_check.py [--entity TEAM] [--project frame-live-check] [CHECK ...]

It takes some minutes, trains tiny models on the digits, and leaves its runs, a report, a view and a sweep in the
project; delete that when you have looked at it. Exit code 0: all as expected; 1: something is not, which is said; 2: it
cannot begin.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import wandb

from frame_plugins.trackers.wandb_tracker.session import has_credentials

TINY = ("quickstart", "lr_finder=null", "scheduler.max_lr=0.01", "train.log_every=5")
ONLINE = "trackers=[{use: wandb, mode: online}]"
SHORT = ("train.epochs=2", "analyzers=[]")
SETTLE_S = 60
"""Seconds that W&B may take to show what it was sent."""
COMMAND_S = 1800
"""Seconds that a command may take."""


class Unexpected(Exception):
    """Something is not as it should be."""


def expect(what: str, found: object, wanted: object) -> None:
    """Raise Unexpected where two values differ."""
    if found != wanted:
        raise Unexpected(f"{what}: expected {wanted!r}, found {found!r}")


@dataclass(frozen=True)
class Live:
    """The account, and the folder in which commands are called."""

    api: wandb.Api
    entity: str
    project: str
    folder: Path

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of commands: runs go into the project, whatever else is set."""
        own = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_RUN_ID")}
        return own | {"WANDB_ENTITY": self.entity, "WANDB_PROJECT": self.project}

    def command(self, *words: str, code: int = 0) -> str:
        """Call a command, and return what it prints. Raises Unexpected where it ends with another exit code."""
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=COMMAND_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != code:
            raise Unexpected(
                f"`{' '.join(words)}` ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def train(self, name: str, *overrides: str, code: int = 0) -> Path:
        """Train, under a name of its own, and return the run's folder."""
        self.command("frame", "run", *TINY, f"name={name}", ONLINE, *overrides, code=code)
        return self.run_folder(name)

    def run_folder(self, name: str) -> Path:
        """Return the folder of the only run of this name."""
        found = [path.parent for path in self.folder.glob(f"runs/{name}/*/run.json")]
        expect(f"runs of the name {name}", len(found), 1)
        return found[0]

    def at_wandb(self, folder: Path, state: str) -> Any:
        """Return a run as W&B has it, once it is in this state."""
        name = json.loads((folder / "wandb" / "place.json").read_text())["id"]
        deadline = time.monotonic() + SETTLE_S
        run = self.api.run(f"{self.path}/{name}")
        while run.state != state and time.monotonic() < deadline:
            time.sleep(1)
            run.load(force=True)
        expect(f"state of {run.url}", run.state, state)
        return run

    @cached_property
    def finished(self) -> Path:
        """A finished run's folder."""
        return self.train("live-finished", "train.epochs=2", "analyzers=[{use: confusion}, {use: misclassified}]")


def account(live: Live) -> str:
    """The key is taken, and there is an entity to log to."""
    expect("the key's default entity", bool(live.api.default_entity), True)
    return f"logs to {live.path} at {live.api.settings['base_url']}"


def run(live: Live) -> str:
    """A run's state, settings and results arrive."""
    record = json.loads((live.finished / "run.json").read_text())
    there = live.at_wandb(live.finished, "finished")
    expect("test accuracy in the summary", there.summary.get("test_accuracy"), record["test_accuracy"])
    expect("best accuracy in the summary", there.summary.get("test/acc", {}).get("max"), record["best"]["value"])
    expect("optimizer in the config", there.config.get("optimizer", {}).get("use"), "adam")
    expect("tags", sorted(there.tags), ["custom_resnet", "digits"])
    return f"look at its charts, tables and pictures: {there.url}"


def resume(live: Live) -> str:
    """An interrupted run is not `running`, and goes on in the same run."""
    words = [sys.executable, "-m", "frame", "run", *TINY, "name=live-resumed", ONLINE, *SHORT, "train.epochs=6"]
    process = subprocess.Popen(words, cwd=live.folder, env=live.environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + COMMAND_S
    while not any(file.stat().st_size for file in live.folder.glob("runs/live-resumed/*/metrics.jsonl")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unexpected("the run that is to be interrupted did not begin")
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    expect("exit code after Ctrl-C", process.wait(COMMAND_S), 130)
    folder = live.run_folder("live-resumed")
    interrupted = live.at_wandb(folder, "failed")
    rows = interrupted.historyLineCount
    live.command("frame", "resume", str(folder))
    there = live.at_wandb(folder, "finished")
    expect("id after the resume", there.id, interrupted.id)
    expect("more rows than before", there.historyLineCount > rows, True)
    return f"look whether its curves have no gap and no step back: {there.url}"


def failure(live: Live) -> str:
    """A run that fails says why, with its log, and sends an alert."""
    folder = live.train("live-failed", *SHORT, "scheduler.max_lr=1e30", code=1)
    there = live.at_wandb(folder, "failed")
    expect("an error in the summary", bool(there.summary.get("error")), True)
    files = {file.name for file in there.files()}
    expect("its log among the files", "log.txt" in files, True)
    return "look for W&B's alert 'live-failed failed', by mail or Slack as your settings there say"


def artifacts(live: Live) -> str:
    """The dataset is the run's input, model and report its outputs."""
    there = live.at_wandb(live.finished, "finished")
    expect("inputs", [one.type for one in there.used_artifacts()], ["dataset"])
    logged = list(there.logged_artifacts())
    expect("outputs with a model and a report", {"model", "report"} <= {one.type for one in logged}, True)
    named = [one for one in logged if one.type == "model" and there.id in one.aliases]
    expect("versions of the model with the run's id as an alias", len(named), 1)
    return f"look at the lineage of {named[0].name}, from {there.url}"


def sync(live: Live) -> str:
    """An offline run is uploaded whole, with its lineage."""
    folder = live.train("live-offline", *SHORT, "trackers=[{use: wandb, mode: offline}]")
    said = live.command("frame", "sync", str(folder))
    expect("what `frame sync` says", "W&B has all of it" in said, True)
    there = live.at_wandb(folder, "finished")
    expect("inputs", [one.type for one in there.used_artifacts()], ["dataset"])
    return f"look at it: {there.url}"


def report(live: Live) -> str:
    """A report and a view are saved, can be read back, and are changed by --update."""
    from wandb_workspaces import workspaces
    from wandb_workspaces.reports.v2 import Report  # type: ignore[attr-defined]

    url = live.command("frame", "report", str(live.finished), "--wandb", "--view").strip()
    expect("blocks of the report, read back", len(Report.from_url(url).blocks) > 5, True)
    made = json.loads((live.finished / "wandb" / "reports.json").read_text())["reports"][-1]
    view = workspaces.Workspace.from_url(made["view"])
    expect("sections of the view, read back", [one.name for one in view.sections], ["Results", "Curves"])
    expect(
        "address after --update",
        live.command("frame", "report", str(live.finished), "--wandb", "--update").strip(),
        url,
    )
    return f"look whether every panel shows something: {url} and {made['view']}"


def sweep(live: Live) -> str:
    """`wandb agent` starts a run, which is in the sweep under the agent's id."""
    command = [sys.executable, "-m", "frame", "run", *TINY, ONLINE, *SHORT, "name=live-sweep"]
    config = {
        "method": "random",
        "metric": {"name": "test/acc", "goal": "maximize"},
        "parameters": {"optimizer.weight_decay": {"values": [0.001]}},
        "command": [*command, "${args_no_hyphens}"],
    }
    name = wandb.sweep(config, entity=live.entity, project=live.project)
    live.command("wandb", "agent", "--count", "1", f"{live.path}/{name}")
    folder = live.run_folder("live-sweep")
    there = live.at_wandb(folder, "finished")
    expect("sweep in place.json", json.loads((folder / "wandb" / "place.json").read_text()).get("sweep"), name)
    expect("sweep at W&B", there.sweep_name, name)
    expect("the agent's value in the config", there.config["optimizer"]["weight_decay"], 0.001)
    best = live.api.sweep(f"{live.path}/{name}").best_run()
    expect("the sweep's best run", best and best.id, there.id)
    return f"look whether the sweep's charts show test/acc: {there.url}"


CHECKS: Sequence[Callable[[Live], str]] = (account, run, resume, failure, artifacts, sync, report, sweep)


def outcomes(live: Live, names: Sequence[str]) -> Iterator[bool]:
    """Call the checks of these names, print what comes of each, and yield whether it is as expected."""
    for check in CHECKS:
        if check.__name__ in names:
            try:
                print(f"ok      {check.__name__}: {check(live)}", flush=True)
                yield True
            except Exception as error:  # whatever W&B, its client or the network comes to
                print(f"FAILED  {check.__name__}: {check.__doc__}\n        {type(error).__name__}: {error}", flush=True)
                yield False


def main() -> int:
    """Read the command line, and check."""
    names = [check.__name__ for check in CHECKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"one of {', '.join(names)}; all of them without")
    parser.add_argument("--entity", help="user or team; without it, the key's default")
    parser.add_argument("--project", default="frame-live-check", help="where the runs go (%(default)s)")
    given = parser.parse_args()
    if unknown := sorted(set(given.checks) - set(names)):
        parser.error(f"no check is called {', '.join(unknown)}; there are {', '.join(names)}")
    if not has_credentials(wandb.setup().settings.base_url):
        parser.error("W&B has no credentials: set WANDB_API_KEY or run `wandb login`")
    with tempfile.TemporaryDirectory(prefix="frame-live-check-") as folder:
        try:
            api = wandb.Api(timeout=SETTLE_S)
            live = Live(api, given.entity or api.default_entity or "", given.project, Path(folder))
        except Exception as error:  # whatever W&B, its client or the network comes to
            print(f"FAILED  account: W&B does not take the key\n        {type(error).__name__}: {error}")
            return 1
        return 0 if all([*outcomes(live, given.checks or names)]) else 1


if __name__ == "__main__":
    sys.exit(main())
