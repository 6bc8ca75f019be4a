"""Nothing from a run's folder is imported unless this user made the run on this machine, or says --trust."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from conftest import clean_environment
from fakes import launching
from frame.plugins.trust import remember

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
PLUGIN = """
from pathlib import Path
from frame import *

with Path("imported.txt").open("a") as file:
    file.write("x")

class Local(CallbackComponent):
    def build(self, run):
        return Callback()

@hookimpl
def frame_components():
    return {"local": Local}
"""
COMMANDS = {
    "run": ("run", "{run}/recipe.resolved.yaml", "--out", "again"),
    "dry run": ("run", "{run}/recipe.resolved.yaml", "--dry-run"),
    "resume": ("resume", "{run}"),
    "validate": ("validate", "{run}/recipe.resolved.yaml"),
    "explain": ("explain", "{run}/recipe.resolved.yaml"),
    "lr-find": ("lr-find", "{run}/recipe.resolved.yaml", "lr_finder.use=lr_range_test"),
    "sync": ("sync", "{run}"),
    "report --wandb": ("report", "{run}", "--wandb"),
}


def write_recipe(folder: Path, plugins: str) -> Path:
    (folder / "local.py").write_text(PLUGIN)
    recipe = folder / "own.yaml"
    recipe.write_text(
        f"extends: {TINY}\nplugins: [{plugins}]\ncallbacks: [{{use: local}}, {{use: interrupt, step: 3}}]\n"
    )
    return recipe


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The home of a user, with a run that is interrupted and has a plugin file of its own: a signature goes with it."""
    home = tmp_path_factory.mktemp("home")
    done = launching.run(["run", write_recipe(home, "./local.py")], home, clean_environment(home))
    assert done.returncode == 130, done.stderr
    assert "warning" not in done.stderr
    return home


@pytest.fixture
def make(home, cli, tmp_path):
    """Call to have such a run in this test's home, or make one with other plugins; the run's folder."""

    def make(plugins: str | None = None) -> Path:
        if plugins is None:
            shutil.copytree(home, tmp_path, dirs_exist_ok=True)
        else:
            result = cli("run", write_recipe(tmp_path, plugins))
            assert result.code == 130, result.err
            assert "warning" not in result.err
        (run,) = (tmp_path / "runs" / "tiny").iterdir()
        return run

    return make


@pytest.fixture
def call(cli, tmp_path):
    """Run a command and tell whether the plugin was imported: other tests' modules are forgotten before."""

    def call(*arguments):
        for name in [name for name in sys.modules if name.startswith(("frame_local_", "some_module"))]:
            del sys.modules[name]
        mark = tmp_path / "imported.txt"
        mark.unlink(missing_ok=True)
        return cli(*arguments), mark.exists()

    return call


@pytest.fixture
def as_another(tmp_path, monkeypatch):
    """Call to be another user from here on: one with a list of his own, or none."""

    def become(known: bytes | None = b"0" * 64 + b"\n") -> None:
        state = tmp_path / "other"
        (state / "frame").mkdir(parents=True)
        if known is not None:
            (state / "frame" / "plugins").write_bytes(known)
        monkeypatch.setenv("XDG_STATE_HOME", str(state))

    return become


def change_record(run: Path, **changes) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def words(command: str, run: Path) -> list[str]:
    return [part.format(run=run) for part in COMMANDS[command]]


FOREIGN = "plugin './plugins/local.py' is not loaded: its run, {run}, was not made on this machine by this user; "


def test_a_run_of_ones_own_is_resumed_and_run_again_without_a_question(make, call, tmp_path):
    run = make()
    known = tmp_path / ".local" / "state" / "frame" / "plugins"
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    assert len(known.read_text().splitlines()) == 1
    for command in ("validate", "explain", "run", "resume"):
        result, imported = call(*words(command, run))
        assert result.code in (0, 130), result.err
        assert imported
    assert not (run / "plugins" / "__pycache__").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_foreign_run_loads_nothing(make, call, as_another, command):
    run = make()
    as_another()
    result, imported = call(*words(command, run))
    assert not imported
    assert result.code == 2
    assert f"recipe.resolved.yaml:5: plugins: {FOREIGN.format(run=run)}" in result.err
    assert "load it with --trust" in result.err


@pytest.mark.parametrize("command", ["validate", "sync"])
def test_trust_loads_it(make, call, as_another, command):
    run = make()
    as_another()
    result, imported = call(*words(command, run), "--trust")
    assert imported
    assert "is not loaded" not in result.err


def test_a_trusted_resume_is_remembered(make, call, as_another):
    run = make()
    as_another(known=None)
    result, imported = call("resume", run)
    assert (result.code, imported) == (2, False)
    result, imported = call("resume", run, "--trust")
    assert (result.code, imported) == (0, True), result.err
    change_record(run, state="interrupted")
    result, imported = call("resume", run)
    assert (result.code, imported) == (0, True), result.err


@pytest.mark.parametrize("command", ["resume", "validate", "run", "report --wandb"])
def test_a_plugin_that_was_changed_is_named_with_both_checksums(make, call, command):
    run = make()
    file = run / "plugins" / "local.py"
    before, changed = file.read_bytes(), file.read_bytes() + b"# changed"
    file.write_bytes(changed)
    result, imported = call(*words(command, run))
    assert (result.code, imported) == (2, False)
    found, recorded = (sha256(content).hexdigest() for content in (changed, before))
    assert f"{file} was changed since the run: its SHA-256 is {found}, run.json has {recorded}; --trust" in result.err

    change_record(run, plugin_files={"local.py": found})  # whoever changes the file can change its checksum too
    result, imported = call(*words(command, run))
    assert (result.code, imported) == (2, False)
    assert FOREIGN.format(run=run) in result.err


@pytest.mark.parametrize("known", [None, b"", b"\n\n", b"\xff\n"], ids=["no list", "empty", "no lines", "no text"])
def test_no_other_list_counts(make, call, as_another, known):
    run = make()
    as_another(known)
    result, imported = call("validate", run / "recipe.resolved.yaml")
    assert (result.code, imported) == (2, False)
    assert FOREIGN.format(run=run) in result.err


@pytest.mark.parametrize("changes", [{"id": "another"}, {"plugin_modules": ["some_module"]}, {"plugin_files": {}}])
def test_another_run_with_the_same_plugins_and_the_same_run_with_others_are_not_known(make, call, changes):
    run = make()
    change_record(run, **changes)
    result, imported = call("validate", run / "recipe.resolved.yaml")
    assert (result.code, imported) == (2, False)
    assert "is not loaded" in result.err


@pytest.mark.parametrize("record", ["", "[]", "null", "{", "[" * 100_000, '{"plugin_files": [1], "plugin_modules": 3}'])
def test_a_record_that_is_none_vouches_for_nothing(make, call, record):
    run = make()
    (run / "run.json").write_text(record)
    result, imported = call("validate", run / "recipe.resolved.yaml")
    assert (result.code, imported) == (2, False)
    assert "--trust" in result.err


def test_a_record_that_is_a_link_vouches_for_nothing(make, call, tmp_path):
    """Neither the whole record of a run of one's own, nor one that is not there."""
    run = make()
    for target in (run / "run.json", tmp_path / "nothing"):
        theirs = tmp_path / f"theirs-{target.name}"
        shutil.copytree(run, theirs)
        (theirs / "run.json").unlink()
        (theirs / "run.json").symlink_to(target)
        result, imported = call("validate", theirs / "recipe.resolved.yaml")
        assert (result.code, imported) == (2, False)


def test_another_machine_or_user_is_not_this_one(make, call, monkeypatch):
    run = make()
    recipe = run / "recipe.resolved.yaml"
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("frame.plugins.trust._machine", lambda: "another machine with the same home")
        assert call("validate", recipe)[0].code == 2
    with monkeypatch.context() as other:
        other.setattr(os, "getuid", lambda: 54321)
        assert call("validate", recipe)[0].code == 2
    result, imported = call("validate", recipe)
    assert (result.code, imported) == (0, True), result.err


def test_links_lead_around_nothing(make, call, tmp_path, as_another):
    run = make()
    as_another()
    places = tmp_path / "links"
    places.mkdir()
    (places / "run").symlink_to(run)
    (places / "recipe.yaml").symlink_to(run / "recipe.resolved.yaml")
    (places / "plugins").symlink_to(run / "plugins")
    for recipe in (places / "run" / "recipe.resolved.yaml", places / "recipe.yaml"):
        result, imported = call("validate", recipe)
        assert (result.code, imported) == (2, False)
    result, imported = call("resume", places / "run")
    assert (result.code, imported) == (2, False)


def test_a_run_behind_a_link_is_still_ones_own(make, call, tmp_path):
    run = make()
    (tmp_path / "latest").symlink_to(run)
    result, imported = call("resume", "latest")
    assert (result.code, imported) == (0, True), result.err


@pytest.mark.parametrize("kind", ["extends inside", "extends outside", "another file", "a link to another file"])
def test_a_hostile_recipe_finds_no_other_way(make, call, tmp_path, kind):
    """In a run of the user's own, whose record is whole."""
    run = make()
    recipe, evil = run / "recipe.resolved.yaml", tmp_path / "evil.py"
    evil.write_text("from pathlib import Path\nPath('evil.txt').touch()\n")
    text = recipe.read_text()
    if kind.startswith("extends"):
        folder = run / "deep" / "er" if kind == "extends inside" else run.parent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "evil.yaml").write_text(f"plugins: [{os.path.relpath(evil, folder)}]\n")
        recipe.write_text(f"extends: {os.path.relpath(folder, run)}/evil.yaml\n{text}")
    else:
        if kind != "another file":
            (run / "plugins" / "evil.py").symlink_to(evil)
        name = "../../../evil.py" if kind == "another file" else "./plugins/evil.py"
        recipe.write_text(text.replace("plugins:\n", f"plugins:\n- {name}\n"))
    result, _ = call("validate", recipe)
    assert result.code == 2
    assert f"{evil} was changed since the run" in result.err
    assert "run.json has none of it" in result.err
    assert not (tmp_path / "evil.txt").exists()


def test_compiled_code_beside_a_plugin_is_not_run(make, call):
    run = make()
    file = run / "plugins" / "local.py"
    evil = file.with_name("evil.py")
    evil.write_text("raise SystemExit('compiled code')")
    compiled = Path(py_compile.compile(str(evil), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))
    compiled.rename(importlib.util.cache_from_source(file))
    evil.unlink()
    result, imported = call("validate", run / "recipe.resolved.yaml")
    assert (result.code, imported) == (0, True), result.err


def test_a_module_is_loaded_for_the_run_that_had_it_only(make, call, tmp_path, monkeypatch, as_another):
    for name in ("some_module", "some_module_more"):
        (tmp_path / f"{name}.py").write_text(PLUGIN.replace("local", name))
    monkeypatch.syspath_prepend(tmp_path)
    run = make("./local.py, some_module")
    recipe = run / "recipe.resolved.yaml"
    assert call("validate", recipe)[0].code == 0
    text = recipe.read_text()
    recipe.write_text(text.replace("plugins:\n", "plugins:\n- some_module_more\n"))
    result, _ = call("validate", recipe)
    assert result.code == 2
    assert f"plugin 'some_module_more' is not loaded: its run, {run}, was made without it" in result.err
    assert "some_module_more" not in sys.modules
    recipe.write_text(text)
    as_another()
    result, imported = call("validate", recipe)
    assert (result.code, imported) == (2, False)
    assert "plugin 'some_module' is not loaded: its run" in result.err


def test_what_the_user_names_himself_is_loaded(make, call, tmp_path, as_another):
    run = make()
    as_another()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"extends: {TINY}\nplugins: [{run}/plugins/local.py]\ncallbacks: [{{use: local}}]\n")
    result, imported = call("validate", recipe)
    assert (result.code, imported) == (0, True), result.err


@pytest.mark.parametrize("plugins", [True, False], ids=["with plugins", "without"])
def test_a_home_that_cannot_be_written_costs_the_memory_only(cli, tmp_path, monkeypatch, plugins):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    small = ("analyzers=[]", "trackers=[]", "model.widths=[4,4,4,4]", "lr_finder=null", "scheduler=null")
    quickstart = ("quickstart", "train.epochs=1", "optimizer={use: sgd, lr: 0.1}", *small)
    result = cli("run", *((TINY,) if plugins else quickstart))
    assert result.code == 0, result.err
    assert ("the run's plugins cannot be remembered" in result.err) == plugins


def test_runs_that_begin_at_once_are_all_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: remember({"id": str(number)}), range(64)))
    lines = (tmp_path / "frame" / "plugins").read_text().splitlines()
    assert len(set(lines)) == 64
    assert {len(line) for line in lines} == {64}


def test_a_state_folder_that_is_relative_is_not_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    remember({})
    assert not (tmp_path / "state").exists()
    assert (tmp_path / "home" / ".local" / "state" / "frame" / "plugins").is_file()
