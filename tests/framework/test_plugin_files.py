"""The code of a recipe's own plugin files: what was imported is what the run's folder keeps, hashes and names."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from fakes import worlds

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
COMPONENT = """
from frame import *

class Local(CallbackComponent):
    def build(self, run):
        {build}
        return Callback()

@hookimpl
def frame_components():
    return {{"{name}": Local}}
"""
EDITS_ITSELF = """
from pathlib import Path
from frame import *

class Edits(LRFinderComponent):
    def build(self, problem):
        Path("local.py").write_text("raise SystemExit('edited')")
        (run,) = Path("runs/tiny").iterdir()
        (run / "plugins" / "unlisted.py").write_text("")
        return LRFinding([0.01, 0.02], [2.0, 1.0], 0.01, "the first")

@hookimpl
def frame_components():
    return {"edits": Edits}
"""


def component(name: str, build: str = "pass") -> str:
    return COMPONENT.format(name=name, build=build)


@pytest.fixture
def make(cli, tmp_path):
    """Call to write plugin files and make a run that is interrupted with them; the run's folder."""

    def make(files: dict[str, str], plugins: str, *settings: str) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        recipe = tmp_path / "own.yaml"
        recipe.write_text(f"extends: {TINY}\nplugins: [{plugins}]\ncallbacks: [{{use: interrupt, step: 3}}]\n")
        result = cli("run", recipe, *settings)
        assert result.code == 130, result.err
        (run,) = (tmp_path / "runs" / "tiny").iterdir()
        return run

    return make


def recorded(run: Path) -> dict[str, str]:
    return json.loads((run / "run.json").read_text())["plugin_files"]


def kept(run: Path) -> dict[str, str]:
    """The digest of each file below plugins/."""
    files = (path for path in (run / "plugins").rglob("*.py"))
    return {path.relative_to(run / "plugins").as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_plugin_that_is_edited_while_the_run_starts_is_kept_as_it_was_imported(make, cli):
    run = make({"local.py": EDITS_ITSELF}, "./local.py", "lr_finder.use=edits", "optimizer.lr=auto")
    assert (run / "plugins" / "local.py").read_text() == EDITS_ITSELF
    assert recorded(run) == {name: digest for name, digest in kept(run).items() if name != "unlisted.py"}
    result = cli("resume", run)
    assert result.code == 0, result.err


def test_an_edited_plugin_is_another_one_in_the_same_process(cli, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text(f"extends: {TINY}\nplugins: [./local.py]\n")
    for name in ("before", "after"):
        (tmp_path / "local.py").write_text(component(name))
        assert cli("validate", recipe, f"callbacks=[{{use: {name}}}]").code == 0


def test_two_plugins_of_one_name_are_kept_both(make, cli):
    texts = {f"d{name}/p.py": component(name) for name in "ab"}
    run = make(texts, "./da/p.py, ./db/p.py", "callbacks.1.use=a", "callbacks.2.use=b")
    assert (run / "plugins" / "p.py").read_text() == texts["da/p.py"]
    assert (run / "plugins" / "2" / "p.py").read_text() == texts["db/p.py"]
    assert recorded(run) == kept(run)
    result = cli("resume", run)
    assert result.code == 0, result.err
    again = cli("run", run / "recipe.resolved.yaml", "--out", "again")
    assert again.code == 130, again.err
    (copy,) = (run.parents[2] / "again" / "tiny").iterdir()
    assert kept(copy) == kept(run)


def test_a_file_beside_a_plugin_is_imported_by_it_kept_and_signed(make, cli, tmp_path):
    mine = component("mine", "from .layers import NAME; run.warn(NAME)")
    files = {"mine.py": mine, "layers.py": "from .names import NAME\n", "names.py": "NAME = 'as it was'\n"}
    before = list(sys.path)
    run = make({**files, "unused.py": "raise SystemExit"}, "./mine.py", "callbacks.1.use=mine")
    assert sys.path == before
    assert "as it was" in (run / "log.txt").read_text()
    assert recorded(run) == kept(run)
    assert recorded(run).keys() == {"helpers.py", *files}
    (tmp_path / "names.py").write_text("NAME = 'edited'\n")
    resumed = cli("resume", run)
    assert resumed.code == 0, resumed.err
    assert "edited" not in (run / "log.txt").read_text()

    (run / "plugins" / "names.py").write_text("raise SystemExit('imported')\n")
    result = cli("validate", run / "recipe.resolved.yaml")
    assert result.code == 2
    assert f"{run / 'plugins' / 'names.py'} was changed since the run" in result.err


def test_a_file_beside_a_plugin_that_is_not_there_is_named(cli, tmp_path):
    (tmp_path / "mine.py").write_text("from .layers import Block\n")
    (tmp_path / "own.yaml").write_text(f"extends: {TINY}\nplugins: [./mine.py]\n")
    result = cli("validate", "own.yaml")
    assert result.code == 2
    assert f"plugin './mine.py' failed to load: there is no file {tmp_path / 'layers.py'}" in result.err


def test_analyze_takes_a_run_by_a_relative_name(cli, tmp_path):
    assert cli("run", TINY, "train.epochs=1", "analyzers=[{use: calibration}]").code == 0
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    result = cli("analyze", run.relative_to(tmp_path), "data.root=elsewhere", "calibration")
    assert result.code == 0, result.err
    assert "./plugins/helpers.py" in (run / "recipe.resolved.yaml").read_text()


@pytest.mark.slow
def test_processes_that_read_different_plugins_do_not_train_together(tmp_path):
    edits = """
import os, time
from pathlib import Path

if os.environ["RANK"] == "1":
    until = time.monotonic() + 60
    while not Path("read.txt").exists() and time.monotonic() < until:
        time.sleep(0.05)
    Path("local.py").write_text(Path("local.py").read_text() + "# edited")
"""
    (tmp_path / "first.py").write_text(edits + component("first"))
    (tmp_path / "local.py").write_text("from pathlib import Path\nPath('read.txt').touch()\n" + component("local"))
    (tmp_path / "own.yaml").write_text(f"extends: {TINY}\nplugins: [./first.py, ./local.py]\n")
    members = worlds.run(tmp_path, 2, "run", "own.yaml")
    assert members[0].end() == 1
    assert f"processes 0 and 1 of the run read {tmp_path / 'local.py'} differently" in members[0].err
    assert members[1].err == ""
    assert not (tmp_path / "runs").exists()
