"""W&B's reports about several runs: what each kind of them has, what may be compared, and what `--update` changes."""

import json

import pytest

from fakes.wandb_reported import FIRST, SECOND, THIRD, Spec, ids_of, make_run, make_sweep
from fakes.wandb_reports_server import WandbReportsServer
from fakes.wandb_run import alone, reached
from frame import RunFailed, UserError
from frame.cli.publish import about
from frame_plugins.trackers.wandb_tracker import Wandb

pytestmark = pytest.mark.usefixtures(alone.__name__)

SGD = {"optimizer": {"use": "sgd", "lr": 0.1}}


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbReportsServer(), monkeypatch)


def grouping(grid: dict) -> list[tuple[str, list[str], bool]]:
    """Return the name, runs and whether they are one line of each runset of a grid."""
    by_name = [{"section": "config", "name": "name.value"}]
    return [(runset["name"], ids_of(runset), runset["grouping"] == by_name) for runset in grid["runSets"]]


def test_runs_on_the_same_data_are_compared(tmp_path, server):
    failed = {"state": "failed", "test_accuracy": None, "best": None}
    folders = [make_run(tmp_path, entity="team"), make_run(tmp_path, SECOND, entity="team", changes=SGD, **failed)]
    Wandb().publish(folders)
    (saved,) = server.reports
    spec = Spec(saved["spec"])
    assert (saved["displayName"], saved["entityName"]) == ("tiny: 2 runs", "team")
    assert spec.ids == {FIRST, SECOND}
    assert spec.headings[0] == "Best of 2 runs on digits (c0ffee00) by test/acc: 97.22 % test accuracy"
    first, second = spec.table("recipe", "test accuracy")
    assert first["differs in"] == "optimizer.use=adam, optimizer.lr=0.01"
    assert (second["state"], second["test accuracy"], second["differs in"]) == (
        "failed", "–", "optimizer.use=sgd, optimizer.lr=0.1",
    )  # fmt: skip
    assert "It was chosen by the test set, which flatters it" in spec.text
    assert [bar["metrics"] for bar in spec.panels["Bar Chart"]] == [["test_accuracy"]]
    assert spec.panels["Run Comparer"] == [{"diffOnly": True}]
    assert all(not grouped for grid in spec.grids for _, _, grouped in grouping(grid))


def test_there_is_no_best_over_different_data_or_metrics(tmp_path, server):
    other = {"metric": "val/loss", "value": 0.2, "epoch": 1}
    folders = [
        make_run(tmp_path, FIRST),
        make_run(tmp_path, SECOND, checksum="beef" * 16, test_accuracy=0.5),
        make_run(tmp_path, THIRD, best=other, test_accuracy=0.99),
        make_run(tmp_path, "20261124-040000-dddd", best=other | {"value": 0.1}, test_accuracy=0.9),
    ]
    Wandb().publish(folders)
    spec = Spec(server.reports[0]["spec"])
    assert spec.headings[:4] == [
        "4 runs on different data, or by different metrics", "Results on digits (c0ffee00), by test/acc",
        "Results on digits (beefbeef), by test/acc", "Results on digits (c0ffee00), by val/loss",
    ]  # fmt: skip
    assert "are not compared: each has its own section" in spec.text
    assert "One run on digits (beefbeef): 50.00 % test accuracy." in spec.text
    assert "chosen by the test set" not in spec.text
    assert "Best of 2 runs on digits (c0ffee00) by val/loss: 90.00 % test accuracy." in spec.text  # the lower loss
    shown = [ids_of(grid["runSets"][0]) for grid in spec.grids[:3]]
    assert shown == [[FIRST], [SECOND], [THIRD, "20261124-040000-dddd"]]


def test_seeds_of_one_recipe_are_a_mean_with_a_band(tmp_path, server):
    found = {"found": ["optimizer.lr"]}  # by the LR finder: another one for each seed
    folders = [
        make_run(tmp_path, run_id, changes={"seed": seed, "optimizer": {"use": "adam", "lr": 0.1 * seed}},
                 test_accuracy=accuracy, recipe=found)
        for run_id, seed, accuracy in ((FIRST, 1, 0.97), (SECOND, 2, 0.99))
    ]  # fmt: skip
    Wandb().publish(folders)
    saved = server.reports[0]
    spec = Spec(saved["spec"])
    assert saved["displayName"] == "tiny: 2 seeds"
    assert spec.headings[0] == "98.00 % ± 1.41 % test accuracy: mean and standard deviation of 2 seeds"
    assert spec.table("seeds") == [
        {"recipe": "tiny", "differs in": "–", "runs": "2", "seeds": "1, 2", "test accuracy": "98.00 % ± 1.41 %",
         "lowest": "97.00 %", "highest": "99.00 %"}
    ]  # fmt: skip
    bars, curves = spec.grids[:2]
    assert grouping(bars) == [("runs", [FIRST, SECOND], False)]
    assert grouping(curves) == [("all seeds", [FIRST, SECOND], True)]
    plots = spec.panels["Run History Line Plot"]
    assert {(plot["groupAgg"], plot["groupArea"]) for plot in plots} == {("mean", "stddev")}


def test_of_several_recipes_each_has_its_band(tmp_path, server):
    folders = [
        make_run(tmp_path, FIRST, changes={"seed": 1}),
        make_run(tmp_path, SECOND, changes={"seed": 2}),
        make_run(tmp_path, THIRD, changes=SGD),
    ]
    Wandb().publish(folders)
    spec = Spec(server.reports[0]["spec"])
    assert grouping(spec.grids[1]) == [
        ("tiny: optimizer.use=adam, optimizer.lr=0.01", [FIRST, SECOND], True),
        ("tiny: optimizer.use=sgd, optimizer.lr=0.1", [THIRD], True),
    ]
    assert [(row["seeds"], row["runs"]) for row in spec.table("seeds")] == [("1, 2", "2"), ("3", "1")]


def test_a_sweep_shows_its_trials_and_what_matters(tmp_path, server):
    sweep = make_sweep(tmp_path)
    folders = [tmp_path / "runs" / "tiny" / run_id for run_id in (FIRST, SECOND)]
    Wandb().publish(folders, sweep=sweep)
    saved = server.reports[0]
    spec = Spec(saved["spec"])
    assert saved["displayName"] == "Sweep search: 3 trials"
    assert spec.headings[0] == "Sweep search: test/acc 97.22 %, trial 2 of 3"
    trials = spec.table("trial")
    assert [(row["trial"], row["optimizer.lr"], row["test/acc"], row["state"]) for row in trials] == [
        ("1", "0.01", "0.99", "stopped"),
        ("2", "0.02", "0.9722", "finished"),
        ("3", "0.03", "–", "failed: lr: / must be greater than 0"),
    ]
    (parallel,) = spec.panels["Parallel Coordinates Plot"]
    assert [(one["accessor"], one.get("log")) for one in parallel["columns"]] == [
        ("config:optimizer.value.lr", True), ("config:loss.value.use", None), ("summary:test/acc.max", None),
    ]  # fmt: skip
    assert spec.panels["Parameter Importance"][0]["targetKey"] == "test/acc.max"
    assert [bar["metrics"] for bar in spec.panels["Bar Chart"]] == [["test/acc.max"]]
    media = [grid for grid in spec.grids if "mediaKeys" in json.dumps(grid)]
    assert [ids_of(grid["runSets"][0]) for grid in media] == [[SECOND]]  # of the best trial


def test_update_changes_the_report_and_its_view(tmp_path, server):
    first, second, third = (
        make_run(tmp_path, run_id, changes={"seed": i}) for i, run_id in enumerate((FIRST, SECOND, THIRD))
    )
    with pytest.raises(UserError, match="no report about these runs was made"):
        Wandb().publish([first], update=True)
    assert server.asked == []
    url = Wandb().publish([first, second], view=True)
    (view,) = server.views.values()
    assert (view["displayName"], view["type"]) == ("tiny: 2 runs", "project-view")
    section = view["spec"]["section"]
    assert ids_of(section["runSets"][0]) == [FIRST, SECOND]
    assert section["runSets"][0]["grouping"] == [{"section": "config", "name": "name.value"}]
    names = [one["name"] for one in section["panelBankConfig"]["sections"]]
    assert names == ["Results", "Curves"]
    (link,) = Spec(server.reports[0]["spec"]).links
    assert link.endswith(f"({server.url}/someone/frame?nw={view['name'].removeprefix('nw-').removesuffix('-v')})")

    server.reports[0]["spec"]["discussionThreads"] = [{"id": "a comment"}]
    server.reports[0]["type"] = "runs"  # published by somebody
    assert Wandb().publish([second, first], update=True) == url
    assert [(one["id"], one["type"]) for one in server.reports] == [("Vmlldzo1", "runs"), ("Vmlldzo1", "runs")]
    assert server.reports[1]["spec"]["discussionThreads"] == [{"id": "a comment"}]
    grown = Wandb().publish([first, second, third], update=True)
    assert grown == url.replace("2-seeds", "3-seeds")
    assert Spec(server.reports[2]["spec"]).ids == {FIRST, SECOND, THIRD}
    (view,) = server.views.values()
    assert ids_of(view["spec"]["section"]["runSets"][0]) == [FIRST, SECOND, THIRD]
    with pytest.raises(UserError, match="no report about these runs was made"):  # but one about more
        Wandb().publish([first], update=True)
    server.reports.clear()  # deleted at W&B
    with pytest.raises(RunFailed, match="W&B did not take the report"):
        Wandb().publish([first, second, third], update=True)


def test_runs_that_are_in_several_reports_are_not_put_into_one_of_them(tmp_path, server):
    folders = [make_run(tmp_path, run_id) for run_id in (FIRST, SECOND, THIRD)]
    urls = [Wandb().publish(folders[:2]), Wandb().publish(folders[1:])]
    with pytest.raises(UserError, match="in several reports") as refused:
        Wandb().publish(folders, update=True)
    assert all(url in str(refused.value) for url in urls)
    (folders[0] / "wandb" / "reports.json").write_text('{"reports": [{"url": 1}]}')
    with pytest.raises(UserError, match=r"reports\.json: damaged"):
        Wandb().publish(folders, update=True)


def test_a_run_that_was_deleted_at_wandb_is_named(tmp_path, server):
    server.gone = (SECOND,)
    with pytest.raises(RunFailed, match=f"'{SECOND}' is not in W&B's project someone/frame: was it deleted there"):
        Wandb().publish([make_run(tmp_path, FIRST), make_run(tmp_path, SECOND)])
    assert server.reports == []


def test_the_command_line_takes_a_sweep_alone_and_refuses_the_rest(cli, tmp_path):
    sweep = make_sweep(tmp_path)
    run = tmp_path / "runs" / "tiny" / FIRST
    refused = [
        ((run, "--update"), "--update is about a report at Weights & Biases: it goes with --wandb"),
        ((run, "--view"), "--view is about a report at Weights & Biases: it goes with --wandb"),
        ((sweep, run, "--wandb"), "a report is about one sweep or about runs: name it alone"),
        ((run, "--wandb", "--update"), "no report about these runs was made from their folders"),
        ((sweep, "--wandb"), "W&B has no credentials"),
    ]
    for arguments, said in refused:
        done = cli("report", *arguments)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
    record = json.loads((sweep / "sweep.json").read_text())
    for trial in record["trials"]:
        trial["run"] = trial["run"] and "/gone"
    (sweep / "sweep.json").write_text(json.dumps(record))
    done = cli("report", sweep, "--wandb")
    said = "no trial of this sweep has a run to report on yet, nor are its runs where they were, such as /gone"
    assert (done.code, done.err) == (2, f"error: {sweep}: {said}\n")
    (sweep / "sweep.json").write_text("{}")
    done = cli("report", sweep, "--wandb")
    assert done.code == 2
    assert "sweep.json: damaged" in done.err


def test_a_repeats_folder_stands_for_the_runs_beside_it(tmp_path):
    repeat = tmp_path / "runs" / "tiny" / "repeat-one"
    repeat.mkdir(parents=True)
    (repeat / "repeat.json").write_text(json.dumps({"name": "tiny", "group": "one", "runs": 2}))
    with pytest.raises(UserError, match="the runs of this repeat, which lie beside it, are gone"):
        about([repeat])
    for run_id, group in ((FIRST, "one"), (SECOND, "another"), (THIRD, "one")):
        make_run(tmp_path, run_id, group=group, started="2026-11-24T01:00:00+00:00")
    assert [run.path.name for run in about([repeat]).runs] == [FIRST, THIRD]
    every = [repeat, *(repeat.parent / run_id for run_id in (FIRST, SECOND, THIRD))]  # as `runs/tiny/*` has them
    assert [run.path.name for run in about(every).runs] == [FIRST, THIRD, SECOND]
