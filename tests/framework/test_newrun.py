"""A run's folder comes to be: no kill leaves half of one in view, and no two runs share one."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from fakes.launching import start
from frame import UserError
from frame.rundir.new import NewRun, drafted, publish

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
HELPERS = TINY.with_name("helpers.py")
KILLED = """
import os, signal
import frame.runs.beginning
from frame import hookimpl

frame.runs.beginning.save_recipe = lambda folder, recipe: os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def frame_components():
    return {}
"""


def runs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "runs" / "tiny").iterdir())


def test_a_run_that_is_killed_before_its_recipe_is_there_is_never_seen(cli, tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "recipe.yaml").write_text(TINY.read_text().replace("./helpers.py", f"{HELPERS}, ./killed.py"))
    process = start(["run", "recipe.yaml"], tmp_path)
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    (draft,) = runs(tmp_path)
    assert draft.startswith(".")
    assert (tmp_path / "runs" / "tiny" / draft / "run.json").is_file()
    assert "no runs" in cli("runs").out

    assert cli("run", TINY, "train.epochs=1").code == 0
    (run,) = runs(tmp_path)  # the leftover is gone
    assert run[0] != "."
    record = json.loads((tmp_path / "runs" / "tiny" / run / "run.json").read_text())
    assert (record["id"], record["state"]) == (run, "finished")


def test_two_runs_never_share_a_folder(tmp_path):
    with ExitStack() as stack:
        ids = {stack.enter_context(drafted(NewRun(tmp_path), "same")).run_id for _ in range(20)}
    assert len(ids) == 20
    assert list((tmp_path / "same").iterdir()) == []


def test_a_draft_that_another_process_has_stays(tmp_path):
    with drafted(NewRun(tmp_path), "same") as theirs:
        child = os.fork()
        if not child:  # a child has no part in its parent's lock
            with drafted(NewRun(tmp_path), "same"):
                os._exit(0 if theirs.lock.exists() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert publish(theirs).lock.exists()


def test_a_folder_that_is_there_is_never_taken(tmp_path):
    there = tmp_path / "same" / "20260101-000000-0000"
    there.mkdir(parents=True)
    with pytest.raises(UserError, match="is there already"), drafted(NewRun(tmp_path, there), "same"):
        pass
    assert list(there.parent.iterdir()) == [there]
