"""Aliases and links of models at W&B: what one run may say of itself, and who says which model is the best of all."""

import json

import pytest

from fakes.wandb_run import RUN_ID, alone, leave_files, reached, training_run
from fakes.wandb_server import Artifact, WandbServer
from frame import RunFailed
from frame_plugins.trackers.wandb_tracker import Wandb
from frame_plugins.trackers.wandb_tracker.best import Models, mark_best, models_of
from frame_plugins.trackers.wandb_tracker.naming import note
from frame_plugins.trackers.wandb_tracker.settle import link

pytestmark = pytest.mark.usefixtures(alone.__name__)
MODELS = models_of("digits", "c0ffee", "test/acc", None)


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbServer(), monkeypatch)


def model(server, value, *, of_best=True, metric="test/acc", state="COMMITTED", collection=MODELS.collection):
    """Put a version of a model there, as if a run had sent it."""
    number = len(server.artifacts)
    best = {"metric": metric, "value": value, "epoch": 2}
    metadata = {"run": f"run{number}", "epoch": 2 if of_best else 3, "best": best}
    server.artifacts[f"a{number}"] = Artifact(
        id=f"a{number}", run=f"run{number}", collection=collection, type="model", digest=f"d{number}", client_id="",
        aliases=[f"run{number}"], metadata=json.dumps(metadata), version=number, state=state,
    )  # fmt: skip


def holders(server, alias):
    return [one.id for one in server.artifacts.values() if one.type == "model" and alias in one.aliases]


def test_models_of_one_dataset_and_one_metric_share_a_collection():
    assert Models("digits-c0ffee-test-acc", "test/acc", "max") == MODELS
    assert MODELS.alias == "best-test-acc"
    assert models_of("di/gits", "0123456789", "val/loss", None) == Models(
        "di-gits-01234567-val-loss", "val/loss", "min"
    )
    assert models_of("digits", "c0ffee", "val/loss", "max").mode == "max"
    none = models_of("digits", "c0ffee", None, None)
    assert (none.collection, none.alias) == ("digits-c0ffee-model", None)


def test_the_best_of_all_runs_has_the_alias(tmp_path, server):
    import wandb

    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        (folder / "wandb").mkdir(parents=True)
        note(folder, models=vars(MODELS))
    api = wandb.Api()
    assert mark_best(api, "someone/frame", folders) == []  # nothing is there
    for value in (0.5, 0.7, None, 0.7):
        model(server, value)
    model(server, 0.9, of_best=False)
    model(server, 0.9, state="PENDING")
    model(server, 0.9, metric="val/acc")
    model(server, 0.9, collection="digits-0ther-test-acc")
    said = mark_best(api, "someone/frame", folders)
    assert said == ["digits-c0ffee-test-acc:best-test-acc is of the run run1, 0.7"]
    assert holders(server, "best-test-acc") == ["a1"]

    server.asked.clear()
    assert mark_best(api, "someone/frame", folders) == said
    assert "AddAliases" not in server.asked  # nothing moves
    model(server, 0.8)
    assert "run8" in mark_best(api, "someone/frame", folders[:1])[0]
    assert holders(server, "best-test-acc") == ["a8"]
    assert server.artifacts["a1"].aliases == ["run1"]


def test_a_model_that_could_not_be_linked_can_be_later(tmp_path, server):
    import wandb

    registry = "org-entity/models/digits"
    run, warnings = training_run(tmp_path / "run")
    tracker = Wandb(registry=registry).build(run)
    leave_files(run.folder)
    server.drop = ("LinkArtifact",)
    tracker.finish("finished")
    (warning,) = warnings
    assert warning.startswith(f"W&B did not link digits-c0ffee-test-acc:{RUN_ID} to the registry's {registry} (")
    assert warning.endswith(f"try it again with: frame sync {run.folder}")
    assert server.run.exit_code == 0
    assert holders(server, "best-test-acc") == []  # a run says nothing of all the others
    api = wandb.Api()
    with pytest.raises(RunFailed, match="did not link"):
        link(api, "someone/frame", run.folder, registry)
    server.drop = ()
    assert "is linked" in link(api, "someone/frame", run.folder, registry)
    (kept,) = holders(server, RUN_ID)
    assert server.links == {("org-entity", "wandb-registry-models", "digits"): [kept]}


@pytest.mark.parametrize("name", ["models", "a/b/c/d", "models/", "models/digits:v0"])
def test_a_registry_without_its_collection_is_refused(name):
    with pytest.raises(ValueError, match="must be REGISTRY/COLLECTION, or ORGANIZATION/REGISTRY/COLLECTION"):
        Wandb(registry=name)
