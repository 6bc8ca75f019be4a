"""After the run: its folder in Python, its model measured again, its analyzers run again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import frame as package
from frame import DataInfo, DataSplits, Split, UserError, load_run
from frame.rundir.history import read_lines
from frame.runs.evaluate_again import with_classes_of

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
SETTINGS = ("train.epochs=1", "analyzers=[{use: confusion, pairs: 0}, {use: misclassified, count: 2}]")


@pytest.fixture(scope="module")
def made(trained) -> Path:
    """The home of a user with one finished run, of a network with batch normalisation."""
    return trained(TINY, "model.norm=true", *SETTINGS)


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A run to change, in the test's own home: the user is the same, by the same key."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    return run


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def result(run: Path, analyzer: str) -> dict:
    return json.loads((run / "analysis" / analyzer / "result.json").read_text())


def images_of(folder: Path, classes: list[str], size: tuple[int, int] = (12, 10)) -> Path:
    """A folder for `image_folder`: two images of noise for each class, in train/ and test/."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in classes:
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return folder


class TestInPython:
    def test_a_run_holds_what_its_folder_does(self, run, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        opened = load_run(run)
        assert opened.path == run
        assert opened.record == record(run)
        assert opened.recipe["train"]["epochs"] == 1
        assert opened.metrics.to_dict("records")[-1].items() >= read_lines(run / "metrics.jsonl")[-1].items()
        assert opened.predictions().accuracy == record(run)["test_accuracy"]

    def test_the_model_answers_as_the_run_did_and_leaves_the_generators_alone(self, run, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        before = torch.get_rng_state()
        opened = load_run(run)
        model = opened.model()
        assert torch.equal(torch.get_rng_state(), before)
        assert not any(module.training for module in model.modules())
        from frame.training.build import load_data

        data = load_data(opened.loaded.recipe)
        with torch.inference_mode():
            images = opened.network().evaluation(data.test).inputs(range(360))
            assert np.array_equal(model(images).numpy(), opened.predictions().logits)

    @pytest.mark.slow
    def test_a_recipe_runs_as_a_function(self, tmp_path):
        run = package.run(TINY, {"train.epochs": 1, "data": {"batch_size": 256}}, out=tmp_path, seed=9, name="mine")
        assert run.path.parent == tmp_path / "mine"
        values = run.recipe
        assert (values["seed"], values["data"]["batch_size"], values["data"]["use"]) == (9, 256, "digits")
        assert run.record["state"] == "finished"

    def test_what_is_wrong_is_an_error_with_its_place(self, tmp_path):
        with pytest.raises(UserError, match=r"it has no run\.json"):
            load_run(tmp_path)
        with pytest.raises(UserError, match=r"train\.epochs: must be greater than 0"):
            package.run(TINY, train={"epochs": 0}, out=tmp_path)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            package.nothing  # noqa: B018

    def test_without_pandas_the_metrics_say_what_to_install(self, run, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(UserError, match=r"pip install 'frame-train\[notebook\]'"):
            load_run(run).metrics  # noqa: B018

    def test_importing_frame_stays_light(self):
        script = "import sys, frame; print('load_run' in dir(frame), 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["True", "False"], done.stderr


class TestEvaluate:
    def test_on_its_own_data_a_run_gives_its_own_numbers(self, cli, run):
        last = read_lines(run / "metrics.jsonl")[-1]
        done = cli("evaluate", run, "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert found == {
            "run": str(run),
            "images": 360,
            "loss": last["test/loss"],
            "accuracy": last["test/acc"],
            "lacks": [],
        }
        assert found["accuracy"] == record(run)["test_accuracy"]
        assert cli("evaluate", run).out == (
            f"360 test images  loss {found['loss']:.4f}  accuracy {found['accuracy']:.2%}\n"
        )

    def test_other_data_is_normalised_as_the_training_data_was_and_other_classes_are_refused(
        self, cli, tmp_path, recipe_file
    ):
        images = images_of(tmp_path / "one", ["a", "b", "c"])
        recipe = recipe_file(
            f"extends: {TINY}\ndata: {{use: image_folder, size: 8, root: one}}\ntrain: {{epochs: 1}}\n"
        )
        assert cli("run", recipe).code == 0
        (run,) = (tmp_path / "runs" / "tiny").iterdir()
        first = json.loads(cli("evaluate", run, "--json").out)
        other = tmp_path / "other"
        shutil.copytree(images, other)
        for picture in (other / "train").rglob("*.png"):  # other statistics, which must not count
            shutil.copy(images / "test" / "a" / "0.png", picture)
        again = json.loads(cli("evaluate", run, f"data.root={other}", "--json").out)
        assert again == first

        shutil.move(other / "train" / "b", other / "train" / "z")
        shutil.move(other / "test" / "b", other / "test" / "z")
        done = cli("evaluate", run, f"data.root={other}")
        assert done.code == 2
        assert done.err == ("error: data: has other classes than the run: it lacks 'b'; the model does not know 'z'\n")

    def test_what_is_left_out_and_classes_without_images_are_named(self, cli, tmp_path, recipe_file):
        images = images_of(tmp_path / "one", ["a", "b", "c"])
        shutil.rmtree(images / "test" / "b")
        (images / "train" / "a" / "more.jfif").touch()
        (images / "valid").mkdir()
        recipe = recipe_file(
            f"extends: {TINY}\ndata: {{use: image_folder, size: 8, root: one}}\ntrain: {{epochs: 1}}\n"
        )
        done = cli("run", recipe)
        assert done.code == 0
        said = [line for line in done.out.splitlines() if line.startswith(("left out", "lacks"))]
        assert said == [
            "left out  folders beside train, test, val: 1 (valid)",
            "left out  .jfif files: 1 (train/a/more.jfif)",
            "lacks     no test image of 'b'",
        ]
        (run,) = (tmp_path / "runs" / "tiny").iterdir()
        found = json.loads((run / "data.json").read_text())["left_out"]
        assert found[1] == {"kind": ".jfif files", "count": 1, "examples": ["train/a/more.jfif"]}
        page = (run / "report.html").read_text()
        assert ".jfif files: 1 (train/a/more.jfif)." in page
        assert "No test image of b: the results say nothing of it." in page
        done = cli("evaluate", run, "--json")
        assert json.loads(done.out)["lacks"] == ["b"]
        assert done.err.splitlines() == [
            "left out: folders beside train, test, val: 1 (valid)",
            "left out: .jfif files: 1 (train/a/more.jfif)",
            "warning: no test image of 'b': the result says nothing of them",
        ]
        older = json.loads((run / "data.json").read_text())
        del older["left_out"]
        (run / "data.json").write_text(json.dumps(older))  # as frame 0.1 wrote it
        assert cli("evaluate", run).code == 0
        assert cli("report", run).code == 0

    def test_classes_are_compared_by_name(self):
        targets = np.array([0, 1, 2, 2])
        split = Split(np.zeros((4, 8, 8, 1), np.uint8), targets)
        data = DataSplits(split, split, ("c", "a", "b"), (8, 8, 1), (0.5,), (0.5,))
        found = with_classes_of(DataInfo(("a", "b", "c"), (8, 8, 1), (0.5,), (0.5,), 4), data)
        assert found.targets.tolist() == [2, 0, 1, 1]

    def test_only_the_data_can_be_another(self, cli, run):
        done = cli("evaluate", run, "model.norm=false", "data.eval_batch_size=7")
        assert done.code == 2
        assert done.err == (
            "error: command line: model.norm: cannot be changed any more: the run has been made; only data. can\n"
        )

    def test_a_run_without_a_model_says_how_to_go_on(self, cli, tmp_path):
        assert cli("run", TINY, "callbacks=[{use: interrupt, step: 3}]").code == 130
        (run,) = (tmp_path / "runs" / "tiny").iterdir()
        done = cli("evaluate", run)
        assert done.code == 2
        assert f"is interrupted and has no model yet; frame resume {run} goes on" in done.err

    def test_weights_of_another_model_are_damage(self, cli, run):
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, run / "model.safetensors", metadata={"classes": "[]"})
        done = cli("evaluate", run)
        assert done.code == 2
        assert "model.safetensors: damaged: " in done.err


class TestAnalyze:
    def test_all_analyzers_run_again_and_the_report_with_them(self, cli, run):
        before = result(run, "confusion"), result(run, "misclassified")
        shutil.rmtree(run / "analysis" / "confusion")
        (run / "report.html").unlink()
        recipe = (run / "recipe.resolved.yaml").read_bytes()
        done = cli("analyze", run)
        assert done.code == 0, done.err
        assert "analyzed  2 of 2 analyzers" in done.out
        assert (result(run, "confusion"), result(run, "misclassified")) == before
        assert "Confusion matrix" in (run / "report.html").read_text()
        assert (run / "recipe.resolved.yaml").read_bytes() == recipe

    def test_a_new_one_is_added_and_the_others_are_left(self, cli, run):
        old = (run / "analysis" / "confusion" / "result.json").stat().st_mtime_ns
        done = cli("analyze", run, "calibration")
        assert done.code == 0, done.err
        assert "analyzed  1 of 1 analyzers" in done.out
        assert result(run, "calibration")["order"] == 2
        assert (run / "analysis" / "confusion" / "result.json").stat().st_mtime_ns == old
        assert "Reliability" in (run / "report.html").read_text()
        explained = json.loads(cli("explain", run / "recipe.resolved.yaml", "--json").out)
        assert {"analyzers.2.use": "calibration"}.items() <= {one["key"]: one["value"] for one in explained}.items()
        assert cli("analyze", run, "calibration").code == 0
        assert [place.name for place in sorted((run / "analysis").iterdir())] == [
            "calibration", "confusion", "misclassified",
        ]  # fmt: skip

    @pytest.mark.parametrize("change", ["analyzers.1.count=1", "analyzers.1={use: misclassified, count: 1}"])
    def test_a_changed_setting_runs_that_analyzer(self, cli, run, change):
        done = cli("analyze", run, change)
        assert done.code == 0, done.err
        assert "analyzed  1 of 1 analyzers" in done.out
        assert len(result(run, "misclassified")["images"]) == 1
        assert "count: 1" in (run / "recipe.resolved.yaml").read_text()

    def test_one_that_fails_is_a_failed_command(self, cli, run):
        done = cli("analyze", run, "fails")
        assert done.code == 1
        assert "analyzer 'fails' failed: RuntimeError: no such luck" in done.err
        assert record(run)["failed_analyzers"] == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["grad_cm"], "analyzers.2.use: unknown analyzer 'grad_cm'; did you mean 'grad_cam'?"),
            (["seed=2"], "seed: cannot be changed any more: the run has been made; only analyzers., data.root can"),
            (["data.root=x", "analyzers.0.pears=2"], "analyzers.0.pears: unknown setting; did you mean 'pairs'?"),
        ],
    )
    def test_mistakes_change_nothing(self, cli, run, arguments, message):
        before = (run / "recipe.resolved.yaml").read_bytes()
        done = cli("analyze", run, *arguments)
        assert (done.code, done.err) == (2, f"error: command line: {message}\n")
        assert (run / "recipe.resolved.yaml").read_bytes() == before

    def test_other_data_is_refused(self, cli, run):
        info = json.loads((run / "data.json").read_text())
        (run / "data.json").write_text(json.dumps(info | {"checksum": "0"}))
        done = cli("analyze", run)
        assert done.code == 2
        assert "data: is not what it was when the run was made" in done.err

    def test_a_run_in_use_is_left_alone(self, run, frame, tmp_path):
        from frame.rundir.folder import RunDir

        with RunDir(run).locked():
            done = frame("analyze", run)
        assert done.returncode == 2
        assert "is in use by process" in done.stderr
