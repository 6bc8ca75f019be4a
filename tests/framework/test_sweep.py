"""`frame sweep`: what is wrong is said before anything starts; trials are runs; a killed sweep goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from conftest import clean_environment
from fakes.killing import wait_for
from frame.errors import UserError
from frame.rundir.folder import RunDir
from frame.sweep.record import Trial, open_sweep
from frame.sweep.search import Search
from frame.sweep.spec import load_sweep
from frame.sweep.summary import draw

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
HOLDS = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(2)
"""
BASE = {"method": "grid", "space": {"optimizer.lr": {"choice": [0.01, 0.02]}}}


def write(folder: Path, name: str = "search.yaml", **changes) -> Path:
    """Write a sweep's file, keys in alphabetical order, a line each."""
    values = {key: value for key, value in (BASE | changes).items() if value is not None}
    space = values.pop("space")
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    lines += ["space:", *(f"  {key}: {json.dumps(value)}" for key, value in space.items())]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def space(**dimensions):
    return {"space": {key.replace("__", "."): value for key, value in dimensions.items()}}


MISTAKES = [
    ({"method": "gird"}, [":1: method: must be 'grid', 'random' or 'tpe', got \"gird\"; did you mean 'grid'?"]),
    ({"metod": "grid"}, [":2: metod: unknown setting; did you mean 'method'?"]),
    ({"method": "random"}, [": trials: is required: how many trials random makes"]),
    ({"trials": 3}, [":2: trials: a grid has as many trials as it has combinations; leave it out"]),
    ({"concurrency": 0}, [":2: concurrency: must be auto or at least 1, got 0"]),
    ({"scheduler": {"use": "asha", "reduction": 1}}, [":2: scheduler.reduction: must be at least 2, got 1"]),
    (
        {"metric": "test/ac"},
        [
            ":2: metric: 'test/ac' is not measured by every trial: an epoch measures train/loss, train/acc, test/loss, "
            "test/acc; did you mean 'test/acc'?"
        ],
    ),
    ({"space": {}}, [":2: space: must be a section of settings, got nothing (null)"]),
    (space(optimizer__lr=3), [":3: space.optimizer.lr: must be a section of settings, got 3"]),
    (
        space(optimizer__lr={"loguniform": [0.1, 0.2]}),
        [":3: space.optimizer.lr.loguniform: a grid needs choice or integers; method: random draws from a range"],
    ),
    (
        space(optimizer__lr={"logunifrom": [0.1, 0.2]}),
        [":3: space.optimizer.lr.logunifrom: unknown setting; did you mean 'loguniform'?"],
    ),
    (
        space(optimizer__lr={"uniform": [0.2, 0.1]}) | {"method": "tpe", "trials": 2},
        [":4: space.optimizer.lr: uniform goes from a lower to a higher number, got [0.2, 0.1]"],
    ),
    (
        space(optimizer__lr={"loguniform": [0, 0.1]}) | {"method": "tpe", "trials": 2},
        [":4: space.optimizer.lr: loguniform needs numbers above 0, got [0.0, 0.1]"],
    ),
    (
        space(optimizer__lr={"uniform": [0.1, 0.2], "choice": [1]}),
        [":3: space.optimizer.lr: must be exactly one of choice, uniform, loguniform, integers"],
    ),
    (space(optimizer__lrr={"choice": [1]}), [":3: optimizer.lrr: unknown setting; did you mean 'lr'?"]),
    (
        space(optimizer__lr={"choice": [0.1, -1, "a"]}, train__epochs={"integers": [0, 3]}),
        [
            ":3: optimizer.lr: must be greater than 0 or 'auto', got -1",
            ":3: optimizer.lr: must be a number or 'auto', got \"a\"",
            ":4: train.epochs: must be greater than 0, got 0",
        ],
    ),
    (
        space(optimizer__use={"choice": ["adam", "sdg"]}),
        [":3: optimizer.use: unknown optimizer 'sdg'; did you mean 'sgd'?"],
    ),
    (space(plugins={"choice": ["a"]}), [":3: plugins: belongs into the recipe's file and cannot be overridden"]),
    (
        space(data__validation={"choice": [None, 0.1]}),
        [
            ":2: space: 'test/acc' is not measured by every trial: an epoch measures train/loss, train/acc, val/loss, "
            "val/acc; did you mean 'train/acc'?"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "says"), MISTAKES, ids=[str(number) for number in range(len(MISTAKES))])
def test_a_mistake_is_said_with_its_line_before_anything_starts(cli, tmp_path, changes, says):
    result = cli("sweep", TINY, write(tmp_path, **changes))
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [f"error: search.yaml{line}" for line in says]
    assert not (tmp_path / "sweeps").exists()
    assert "ray" not in sys.modules


def test_an_empty_file_is_said(cli, tmp_path):
    (tmp_path / "search.yaml").write_text("")
    result = cli("sweep", TINY, "search.yaml")
    assert (result.code, result.err) == (2, "error: search.yaml: is empty; a sweep has method and space\n")


def test_a_key_that_holds_anchors_only(tmp_path):
    file = tmp_path / "search.yaml"
    file.write_text("x-rates: &rates {choice: [0.1, 0.2, 0.3]}\nmethod: grid\nspace: {optimizer.lr: *rates}\n")
    assert load_sweep(str(TINY), file, []).trials == 3


def test_what_is_wrong_without_the_sweep_is_said_without_it(cli, tmp_path):
    result = cli("sweep", TINY, write(tmp_path), "train.epochs=0", "name=x")
    assert (result.code, result.err) == (2, "error: command line: train.epochs: must be greater than 0, got 0\n")


def test_what_only_the_sweep_gives_may_be_missing_without_it(cli, tmp_path):
    """A rate that is `auto`, without the finder that would find it."""
    assert load_sweep(str(TINY), write(tmp_path), ["optimizer.lr=auto"]).trials == 2
    result = cli("sweep", TINY, write(tmp_path, **space(optimizer__lrr={"choice": [0.1]})), "optimizer.lr=auto")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: search.yaml:3: optimizer.lrr: unknown setting; did you mean 'lr'?\n"


@pytest.mark.parametrize("missing", ["ray", "optuna"])
def test_without_the_extra_it_says_what_to_install(cli, tmp_path, monkeypatch, missing):
    for name in ("ray", "ray.tune", "optuna"):
        monkeypatch.setitem(sys.modules, name, None if name.startswith(missing) else sys)
    result = cli("sweep", TINY, write(tmp_path))
    needs = "error: frame sweep needs Ray Tune and Optuna: pip install 'frame-train[ray]'\n"
    assert (result.code, result.err) == (2, needs)
    assert not (tmp_path / "sweeps").exists()


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return the search of a sweep's file in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def plan(**changes) -> Search:
        return Search(open_sweep(load_sweep(str(TINY), write(tmp_path, **changes), [])))

    return plan


LR = {"optimizer.lr": {"loguniform": [1e-4, 1e-1]}}


def test_a_grid_is_every_combination(planned):
    search = planned(space={"optimizer.lr": {"choice": [0.1, 0.2]}, "train.epochs": {"integers": [1, 3]}})
    points = [tuple(trial.point.values()) for trial in search.waiting]
    assert points == [(0.1, 1), (0.1, 2), (0.1, 3), (0.2, 1), (0.2, 2), (0.2, 3)]


def test_draws_follow_from_the_seed_and_stay_in_their_range(planned):
    points = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        search = planned(name=name, method="random", trials=50, seed=seed, space=LR)
        points[name] = [trial.point["optimizer.lr"] for trial in search.waiting]
    assert points["a"] == points["b"] != points["c"]
    assert all(1e-4 <= lr <= 1e-1 for lr in points["a"])
    assert 15 < sum(lr < 10**-2.5 for lr in points["a"]) < 35  # half of them below the middle of the logarithms


def test_tpe_learns_from_trials_of_this_call_and_of_earlier_ones(planned):
    changes = {"method": "tpe", "trials": 60, "space": LR}

    def go_on(until: int) -> list[float]:
        search = planned(**changes)
        while len(search.folder.trials) < until:
            trial = search.next()
            trial.value = -abs(trial.point["optimizer.lr"] - 0.01)  # what is best lies at 0.01
            trial.state = "finished"
            search.tell(trial)
            search.folder.save()
        return [trial.point["optimizer.lr"] for trial in search.folder.trials]

    first = go_on(30)
    both = go_on(60)
    assert both[:30] == first
    assert planned(**changes).next() is None
    near = [sum(0.003 < lr < 0.03 for lr in part) for part in (both[:10], both[30:])]
    assert near[1] / 30 > max(0.6, near[0] / 10)


def test_a_run_that_outlives_its_sweep_is_waited_for(planned, monkeypatch):
    folder = planned().folder
    folder.trials[0].state, folder.trials[0].run = "running", str(folder.path)
    folder.save()
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(RunDir(folder.path).lock)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    monkeypatch.setattr("frame.sweep.record.PATIENCE_S", 0.2)
    with pytest.raises(UserError, match=r"trial 1 still runs, in .*; call again when it has ended"):
        planned()
    monkeypatch.setattr("frame.sweep.record.PATIENCE_S", 60)
    assert planned().folder.trials[0].state == "interrupted"
    assert holder.wait(5) == 0


def test_another_sweep_of_the_same_name_is_refused(planned):
    planned()
    with pytest.raises(
        UserError, match=r"sweeps/search holds another sweep of this name, with other method, space, trials"
    ):
        planned(space=LR, method="random", trials=2)


def test_the_picture_takes_every_kind_of_axis(planned):
    kinds = {
        "optimizer.lr": {"loguniform": [1e-4, 1e-1]},
        "data.validation": {"uniform": [0.1, 0.2]},
        "train.epochs": {"integers": [1, 3]},
        "model.norm": {"choice": [True]},
    }
    search = planned(method="random", trials=3, space=kinds)
    for value, trial in enumerate(search.waiting):
        trial.value = float(value)
    assert draw(search.folder.sweep, [*search.waiting, Trial(number=4, point={})])[:4] == b"\x89PNG"


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that work in `folder`: Ray's too, as they are started there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("rates", [[0.01], pytest.param([0.001, 0.01], marks=pytest.mark.slow)])
def test_a_sweep_with_a_trial_that_fails(frame, tmp_path, rates):
    dimensions = {"optimizer.lr": {"choice": rates}, "model.extra": {"choice": [0, 3]}}
    write(tmp_path, space=dimensions, concurrency=2)
    done = frame("sweep", TINY, "search.yaml", "train.epochs=1", env={"OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    trials = json.loads((tmp_path / "sweeps/search/sweep.json").read_text())["trials"]
    states = [(trial["point"]["model.extra"], trial["state"]) for trial in trials]
    assert states == [(0, "finished"), (3, "failed")] * len(rates)
    for trial in trials:
        if trial["state"] == "failed":
            assert (trial["run"], trial["value"]) == (None, None)
            assert trial["error"].startswith("model 'tiny' answers 2 images with a tensor of shape (2, 13)")
            assert f"trial {trial['number']}/{len(trials)}  failed  {trial['error']}" in done.stdout
            continue
        run = RunDir(Path(trial["run"]))
        record, recipe = run.read_record(), yaml.safe_load(run.recipe.read_text())
        assert record["group"] == "search"
        assert (record["state"], record["best"]["value"]) == ("finished", trial["value"])
        assert (recipe["optimizer"]["lr"], recipe["train"]["threads"]) == (trial["point"]["optimizer.lr"], 1)
    assert {path.parent for path in (tmp_path / "runs").glob("*/*/run.json")} == {
        Path(trial["run"]) for trial in trials if trial["run"]
    }
    assert len(list((tmp_path / "runs/tiny").iterdir())) == len(rates)
    best = max(trials, key=lambda trial: trial["value"] or 0)
    written = (tmp_path / "sweeps/search/best.yaml").read_text()
    assert written.startswith(f"# Trial {best['number']} of {len(trials)}: test/acc {best['value']:.4f}")
    assert yaml.safe_load(written)["optimizer"]["lr"] == best["point"]["optimizer.lr"]
    assert frame("validate", "sweeps/search/best.yaml").stdout == "sweeps/search/best.yaml: ok\n"
    assert (tmp_path / "sweeps/search/parallel.png").read_bytes()[:4] == b"\x89PNG"
    assert "page      sweeps/search/sweep.html" in done.stdout
    page = (tmp_path / "sweeps/search/sweep.html").read_text()
    assert f"Trial {best['number']} is the best: test/acc {100 * best['value']:.2f} %" in page
    assert "The trials were compared on the test set" in page
    assert processes_in(tmp_path) == []


@pytest.mark.slow
def test_asha_ends_trials_that_are_worse_than_others_at_the_same_epoch(frame, tmp_path):
    rates = {"optimizer.lr": {"choice": [0.01, 1e-6, 1e-7]}}
    write(tmp_path, space=rates, concurrency=1, scheduler={"use": "asha", "min_epochs": 2, "reduction": 2})
    done = frame("sweep", TINY, "search.yaml", "train.epochs=300")
    assert (done.returncode, done.stderr) == (0, "")
    trials = json.loads((tmp_path / "sweeps/search/sweep.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["finished", "stopped", "stopped"]
    assert trials[0]["epochs"] == 300
    for trial in trials[1:]:
        assert 2 <= trial["epochs"] < 300
        assert RunDir(Path(trial["run"])).read_record()["state"] == "interrupted"
    assert yaml.safe_load((tmp_path / "sweeps/search/best.yaml").read_text())["optimizer"]["lr"] == 0.01


@pytest.mark.slow
def test_a_sweep_runs_on_a_cluster_that_is_there(frame, tmp_path):
    write(tmp_path, concurrency=1)
    ray, environment = str(Path(sys.executable).with_name("ray")), clean_environment(tmp_path)
    options = ["--head", "--port=0", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ray", ignore_cleanup_errors=True) as short:  # it has sockets
        subprocess.run([ray, "start", *options, "--temp-dir", short], env=environment, check=True, capture_output=True)
        try:
            address = (Path(short) / "ray_current_cluster").read_text().strip()
            done = frame("sweep", TINY, "search.yaml", "train.epochs=1", "--address", address)
        finally:
            subprocess.run([ray, "stop", "--force"], env=environment, check=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    trials = json.loads((tmp_path / "sweeps/search/sweep.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["finished", "finished"]


def test_a_cluster_that_is_not_there_is_said(frame, tmp_path):
    write(tmp_path)
    done = frame("sweep", TINY, "search.yaml", "--address", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the cluster at 127.0.0.1:1 cannot be reached")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_ends_in_the_middle_goes_on(frame, tmp_path, how):
    write(tmp_path, space={"optimizer.lr": {"choice": [0.001, 0.01, 0.02]}}, concurrency=1)
    arguments = ["sweep", str(TINY), "search.yaml", "train.epochs=200"]
    environment = clean_environment(tmp_path)
    with (tmp_path / "out.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "frame", *arguments],
            start_new_session=True,
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=out,
        )
    runs = tmp_path / "runs/tiny"
    wait_for(lambda: [path for path in runs.glob("*/metrics.jsonl") if path.stat().st_size > 1000][1:])
    os.kill(process.pid, how)
    assert process.wait(60) == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    wait_for(lambda: not processes_in(tmp_path))
    if how == signal.SIGINT:
        assert "interrupted; the same command goes on with it" in (tmp_path / "out.txt").read_text()
    before = {path.relative_to(runs): path.stat().st_mtime_ns for path in runs.glob("*/predictions.safetensors")}
    states = sorted(RunDir(path).read_record()["state"] for path in runs.iterdir())
    assert states == ["finished", "running" if how == signal.SIGKILL else "interrupted"]
    done = frame(*arguments)
    assert done.returncode == 0, done.stderr
    assert "trial 1/3" not in done.stdout
    assert [RunDir(path).read_record()["state"] for path in runs.iterdir()] == ["finished"] * 3
    for path in runs.iterdir():
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == list(range(1, 201))
    assert before == {name: (runs / name).stat().st_mtime_ns for name in before}
