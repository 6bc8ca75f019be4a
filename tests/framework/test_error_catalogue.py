"""error_catalogue.yaml: what people write wrongly, and the exact text that they get."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from frame.recipe.load import load_recipe

CATALOGUE = yaml.safe_load(Path(__file__).with_name("error_catalogue.yaml").read_text(encoding="utf-8"))
BASE = CATALOGUE["base"]


def entries(kind):
    for heading, found in CATALOGUE[kind].items():
        for number, entry in enumerate(found, 1):
            yield pytest.param(entry, id=f"{heading} {number}")


def written(entry: dict, folder: Path) -> list[str]:
    """Write an entry's files; return what stands behind the command."""
    (folder / "folder").mkdir()
    for name, text in entry.get("files", {}).items():
        (folder / name).write_text(text)
    recipe = entry.get("recipe", BASE)
    if "for" in entry:
        assert entry["for"] in BASE
        recipe = BASE.replace(entry["for"], entry["write"], 1)
    elif "add" in entry:
        recipe = f"{BASE}{entry['add']}\n"
    (folder / "recipe.yaml").write_bytes(recipe if isinstance(recipe, bytes) else recipe.encode())
    return [entry.get("run", "recipe.yaml"), *entry.get("overrides", [])]


@pytest.mark.parametrize("entry", list(entries("mistakes")))
def test_a_mistake(cli, tmp_path, entry):
    result = cli("run", "--dry-run", *written(entry, tmp_path))
    assert result.err.replace(str(tmp_path), "FOLDER").splitlines() == [
        f"error: {line}" for line in entry["says"].splitlines()
    ]
    assert (result.code, result.out) == (2, "")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("entry", list(entries("warnings")))
def test_a_warning(cli, tmp_path, entry):
    result = cli("validate", *written(entry, tmp_path))
    assert result.err.splitlines() == [f"warning: {line}" for line in entry["says"].splitlines()]
    assert (result.code, result.out) == (0, "recipe.yaml: ok\n")


def test_the_base_is_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load_recipe(*written({}, tmp_path))
    recipe = loaded.recipe
    assert (recipe.name, recipe.train.epochs, recipe.optimizer.component.lr) == ("probe", 8, 1e-3)
    assert recipe.model.component.widths == (16, 32, 64, 128)
    assert loaded.warnings == []


def test_a_run_says_its_warnings_once_and_goes_on(cli, tmp_path):
    arguments = written({"add": "checkpoint: {mode: min}"}, tmp_path)
    result = cli("run", "--dry-run", *arguments, "train.precision=fp32")
    assert (result.code, result.err.count("checkpoint.mode: is min")) == (0, 1), result.err
    assert result.err.startswith("warning: recipe.yaml:11: checkpoint.mode: is min, so that the worst test/acc counts")


PLUGIN = """\
import frame

class Watcher(frame.CallbackComponent):
    \"\"\"Watches.\"\"\"

    metrics: tuple[frame.MetricName, ...] = ()
    one: frame.MetricName = "train/loss"

    def review(self, epochs):
        yield frame.Problem(f"{epochs} epochs are odd", level="warning")
        if len(self.metrics) > 1:
            yield frame.Problem("must be at most one", "metrics")

    def build(self, run):
        raise NotImplementedError

@frame.hookimpl
def frame_components():
    return {"watcher": Watcher}
"""


def test_a_plugins_own_component_has_its_metrics_checked_and_warns(cli, tmp_path):
    text = "plugins: [./watcher.py]\ncallbacks: [{use: watcher}]"
    arguments = written({"add": text, "files": {"watcher.py": PLUGIN}}, tmp_path)
    fine = cli("validate", *arguments)
    assert (fine.code, fine.err) == (0, "warning: recipe.yaml:12: callbacks.0: 8 epochs are odd\n")
    wrong = cli("validate", *arguments, "callbacks.0.metrics=[test/acc, test/ac]", "callbacks.0.one=lss")
    measured = "is not measured: an epoch measures train/loss, train/acc, test/loss, test/acc"
    assert (wrong.code, wrong.err.splitlines()) == (
        2,
        [
            f"error: command line: callbacks.0.metrics.1: 'test/ac' {measured}; did you mean 'test/acc'?",
            f"error: command line: callbacks.0.one: 'lss' {measured}; did you mean 'test/loss'?",
            "error: command line: callbacks.0.metrics: must be at most one",
        ],
    )
