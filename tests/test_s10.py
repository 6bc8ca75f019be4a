"""The S10 recipes on the real CIFAR-10 images."""

from __future__ import annotations

import json

import pytest

from frame.recipe.load import load_recipe
from frame.rundir.history import read_lines
from frame_plugins.data.cifar10 import CLASSES

pytestmark = pytest.mark.cifar10


def test_the_recipe_goes_through_training_evaluation_and_every_analyzer(cli, cifar10_root, tmp_path):
    for part, count in (("train", 16), ("test", 4)):  # of each class: to read all images takes half a minute
        for name in CLASSES:
            folder = tmp_path / "few" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:04}.jpg").symlink_to(cifar10_root / part / name / f"{number:04}.jpg")
    smaller = ("data.batch_size=16", "data.eval_batch_size=16")
    few = ("analyzers.6.pages=1", "analyzers.6.overlays=2", "analyzers.9.images=8")
    result = cli("run", "s10_resnet", "--dry-run", f"data.root={tmp_path / 'few'}", *smaller, *few)
    assert result.code == 0, result.err
    for text in (
        "cifar10: 160 training, 40 test images, 10 classes",
        "custom_resnet: 6,573,120 parameters",
        "10 an epoch, 240 in 24 epochs",
        "one batch went through training, evaluation and 14 analyzers",
    ):
        assert text in result.out
    assert not (tmp_path / "runs").exists()


def test_the_originals_recipe_is_the_notebooks_run():
    recipe = load_recipe("s10_resnet_original").recipe.values()
    assert recipe["model"]["softmax"] is True
    assert [step["use"] for step in recipe["data"]["train_transforms"][0]["pipeline"]] == [
        "RandomCrop",
        "RandomHorizontalFlip",
    ]
    scheduler = recipe["scheduler"]
    assert (scheduler["max_lr"], scheduler["peak_epoch"], scheduler["anneal"]) == (3.32e-4, 5, "linear")
    assert (scheduler["div_factor"], scheduler["final_div_factor"], scheduler["cycle_momentum"]) == (100, 100, True)
    assert (recipe["optimizer"]["use"], recipe["optimizer"]["weight_decay"]) == ("adam", 5e-4)
    assert (recipe["train"]["epochs"], recipe["data"]["batch_size"], recipe["seed"]) == (24, 512, 1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_one_epoch_on_all_images_leaves_the_whole_folder(cli, cifar10_root, tmp_path):
    result = cli("run", "s10_resnet", f"data.root={cifar10_root}", "train.epochs=1")
    assert result.code == 0, result.err
    (run,) = (tmp_path / "runs" / "s10_resnet").iterdir()
    (epoch,) = [line for line in read_lines(run / "metrics.jsonl") if line["kind"] == "epoch"]
    assert epoch["step"] == 98
    assert epoch["test/acc"] > 0.4
    assert json.loads((run / "run.json").read_text())["failed_analyzers"] == 0
    for name in (
        "samples/samples.png",
        "model_summary/layers.csv",
        "lr_finder_curve/lr_finder.png",
        "curves/loss_epochs.png",
        "curves/acc_epochs.png",
        "curves/lr.png",
        "confusion/confusion.png",
        "robustness/robustness.png",
        "correct/correct.png",
        "misclassified/misclassified.png",
        "grad_cam/grad_cam_correct.png",
        "grad_cam/grad_cam_misclassified.png",
        "grad_cam/grad_cam_overlays.png",
    ):
        assert (run / "analysis" / name).stat().st_size > 1000
    assert (run / "report.html").stat().st_size < 8_000_000
