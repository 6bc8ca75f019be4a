import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib import rcParams
from PIL import Image
from torch import nn

from fakes.analysis_run import CLASSES, epoch_lines, make_run, random_split, range_test
from frame import LRFinding, Split
from frame_plugins.confusion import Confusion
from frame_plugins.curves import Curves
from frame_plugins.custom_resnet import CustomResNet
from frame_plugins.galleries import Correct, Misclassified
from frame_plugins.lr_finder_curve import LRFinderCurve
from frame_plugins.model_graph import ModelGraph
from frame_plugins.model_summary import ModelSummary
from frame_plugins.samples import Samples, spread


def render(picture):
    """Save a picture as the host does and return it as an array (H, W, 3)."""
    file = io.BytesIO(picture.image if isinstance(picture.image, bytes) else b"")
    if not isinstance(picture.image, bytes):
        picture.image.savefig(file)
    assert picture.title
    assert len(picture.caption) > 20
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def captions(picture):
    return [axes.get_title() for axes in picture.image.axes if axes.images]


def lines(axes):
    return {line.get_label(): line.get_ydata().tolist() for line in axes.lines}


# Samples


def test_samples_take_turns_over_the_classes_and_follow_the_seed():
    targets = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = spread(targets, 10, seed=3)
    assert targets[chosen].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert len(set(chosen)) == 10
    assert chosen == spread(targets, 10, seed=3)
    assert chosen != spread(targets, 10, seed=4)
    assert len(set(targets[spread(targets, 2, seed=0)])) == 2  # of three classes, two are drawn
    assert sorted(spread(targets, 500, seed=0)) == list(range(103))


def test_samples_show_the_original_beside_the_augmented_image():
    run = make_run()
    epochs = []
    seen = replace(run, training_pixels=lambda i, epoch: epochs.append(epoch) or run.training_pixels(i, epoch))
    result = Samples(count=10, epoch=3).build(seen)
    (picture,) = result.pictures
    assert epochs == [3]
    assert captions(picture) == list(CLASSES)
    original = run.data.train.images[spread(run.data.train.targets, 10, run.seed)[0]]
    shown = picture.image.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown[:, :16], original)
    np.testing.assert_array_equal(shown[:, -16:], original[:, ::-1])
    assert (shown[:, 16:-16] == 255).all()
    assert render(picture).shape[1] == 1800
    assert "epoch 4" in picture.caption


def test_samples_without_augmentation_and_with_few_images():
    run = make_run(train=random_split(4), augment=lambda images: images)
    result = Samples().build(run)
    assert result.notes == ("The training set has 4 images only.",)
    assert "leave them as they are" in result.pictures[0].caption
    assert result.pictures[0].image.axes[0].images[0].get_array().shape == (16, 16, 3)


# Galleries


def test_misclassified_shows_the_most_confident_mistakes():
    run = make_run(mistakes=40)
    result = Misclassified().build(run)
    predictions = run.predictions
    wrong = [i for i in range(100) if predictions.predicted[i] != predictions.targets[i]]
    expected = sorted(wrong, key=lambda i: -predictions.confidence[i])[:25]
    assert [image.index for image in result.images] == expected
    first = result.images[0]
    assert (first.target, first.predicted) == (CLASSES[expected[0] % 10], CLASSES[predictions.predicted[expected[0]]])
    np.testing.assert_array_equal(first.image, run.data.test.images[expected[0]])
    (table,) = result.tables
    assert table.columns == ("index", "true", "predicted", "confidence", "loss", "source")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["source"] == f"{expected[0]:04}.png"
    assert row["confidence"] == pytest.approx(predictions.confidence[expected[0]], abs=1e-6)
    assert row["loss"] == pytest.approx(predictions.losses[expected[0]], abs=1e-6)
    assert captions(result.pictures[0])[0] == f"{first.target} → {first.predicted}\n{100 * first.confidence:.1f} %"
    assert result.scalars == {"images": 40.0, "share": 0.4}
    assert not result.notes


def test_orders_of_a_gallery():
    run = make_run(mistakes=40)
    first = [image.index for image in Misclassified(order="first", count=12).build(run).images]
    assert first == sorted(first)
    drawn = [image.index for image in Correct(count=12).build(run).images]
    assert drawn == [image.index for image in Correct(count=12).build(run).images]
    assert drawn != [image.index for image in Correct(count=12).build(replace(run, seed=8)).images]
    assert all(run.predictions.correct[drawn])
    assert not set(drawn) & set(first)


@pytest.mark.parametrize(("mistakes", "pictures", "note"), [(0, 0, "no mistake"), (3, 1, "Only 3 of the 25")])
def test_a_gallery_with_too_few_mistakes_says_so(mistakes, pictures, note):
    result = Misclassified().build(make_run(mistakes=mistakes))
    assert len(result.pictures) == pictures
    assert len(result.images) == mistakes
    assert note in result.notes[0]


def test_a_gallery_of_grey_images_with_long_class_names():
    names = ("great white shark, Carcharodon carcharias", "hammerhead, hammerhead shark")
    (picture,) = Misclassified(count=6).build(make_run(channels=1, classes=names)).pictures
    assert all(len(line) <= 22 for caption in captions(picture) for line in caption.split("\n"))
    pixels = render(picture)
    middle = pixels[len(pixels) // 4, :300]
    assert (middle == middle[:, :1]).all()  # grey
    assert len(np.unique(middle)) > 5


# Confusion


def test_confusion_counts_pairs_and_scores():
    targets = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0, 2, 2])
    names = ("cat", "dog", "eel", "fox")  # the set has no fox, and none is predicted
    run = make_run(mistakes=0, classes=names, test=Split(random_split(8).images, targets))
    logits = np.eye(4, dtype=np.float32)[predicted]
    run = replace(run, predictions=replace(run.predictions, logits=logits, targets=targets))
    result = Confusion().build(run)
    scores = {row[0]: row[1:] for row in result.tables[0].rows}
    assert scores["cat"] == (0.6667, 0.5, 0.5714, 4)
    assert scores["eel"] == (1.0, 1.0, 1.0, 2)
    assert scores["fox"] == (None, None, None, 0)
    assert list(result.tables[1].rows) == [("cat", "dog", 2, 0.5), ("dog", "cat", 1, 0.5)]
    axes = result.pictures[0].image.axes[0]
    counts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "2", (0, 1): "2", (1, 0): "1", (1, 1): "1", (2, 2): "2"}


def test_confusion_of_many_classes_has_no_text_in_its_cells():
    run = make_run(classes=[f"class {i}" for i in range(60)], count=240)
    axes = Confusion(pairs=3).build(run).pictures[0].image.axes[0]
    assert not axes.texts
    assert [label.get_text() for label in axes.get_yticklabels()[:2]] == ["class 0", "class 2"]
    assert len(Confusion(pairs=3).build(run).tables[1].rows) == 3


# Curves


def test_curves_show_what_was_logged():
    run = make_run(metrics=epoch_lines(4))
    curves, accuracy, rate = Curves().build(run).pictures
    panels = {axes.get_title(): axes for axes in curves.image.axes}
    steps = [line for line in run.metrics if line["kind"] == "step"]
    epochs = [line for line in run.metrics if line["kind"] == "epoch"]
    assert panels["Training loss, per step"].lines[0].get_ydata().tolist() == [s["train/loss"] for s in steps]
    assert panels["Test accuracy, per epoch"].lines[0].get_ydata().tolist() == [e["test/acc"] for e in epochs]
    assert panels["Test accuracy, per epoch"].get_ylabel() == "accuracy (%)"
    compared = lines(accuracy.image.axes[0])
    assert compared["training"] == [e["train/acc"] for e in epochs]
    assert "test (best: 60.00 % in epoch 4)" in compared
    assert rate.image.axes[0].lines[0].get_ydata().tolist() == [s["lr"] for s in steps]


def test_curves_of_one_epoch_on_validation_without_step_lines():
    only = [line for line in epoch_lines(1, held_out="val") if line["kind"] == "epoch"]
    curves, accuracy = Curves().build(make_run(metrics=only)).pictures  # no learning rate was logged
    assert [axes.get_title() for axes in curves.image.axes][::3] == [
        "Training loss, per epoch",
        "Validation accuracy, per epoch",
    ]
    assert all(axes.lines[0].get_marker() == "o" for axes in curves.image.axes)
    assert "validation" in accuracy.title


def test_long_curves_get_a_running_mean_and_gaps_where_the_loss_was_not_finite():
    metrics = epoch_lines(40)
    metrics[5]["train/loss"] = float("nan")
    for line in metrics:
        line["momentum"] = 0.9
    curves, _, rate = Curves().build(make_run(metrics=metrics)).pictures
    pale, mean = curves.image.axes[0].lines
    assert len(pale.get_ydata()) == 399
    assert np.std(np.diff(mean.get_ydata())) < np.std(np.diff(pale.get_ydata())) / 2
    assert np.interp(20, mean.get_xdata(), mean.get_ydata()) == pytest.approx(2.3 / 21, abs=0.03)
    assert [axes.get_title() for axes in rate.image.axes] == ["Learning rate", "Momentum"]


def test_no_epoch_no_curve():
    result = Curves().build(make_run(metrics=[]))
    assert not result.pictures
    assert "No epoch" in result.notes[0]


# LR finder


def test_lr_finder_curve_marks_the_suggestion():
    result = LRFinderCurve().build(make_run(lr_finding=range_test()))
    (picture,) = result.pictures
    axes = picture.image.axes[0]
    assert axes.get_xscale() == "log"
    label = "suggested: 0.00046\n(steepest descent)"
    (marked,) = [line for line in axes.lines if line.get_label() == label]
    assert list(marked.get_xdata()) == [4.6e-4]
    assert result.scalars["lowest_loss_lr"] == pytest.approx(5e-3, rel=0.2)
    assert axes.get_ylim()[1] < 4 < max(range_test().losses)  # the explosion at the end does not flatten the descent


def test_lr_finder_curve_without_a_finding_or_a_finite_loss():
    assert "did not look" in LRFinderCurve().build(make_run()).notes[0]
    nan = LRFinding((1e-3, 1e-2), (float("nan"), float("inf")), 1e-3, "steepest descent")
    result = LRFinderCurve().build(make_run(lr_finding=nan))
    assert not result.pictures
    assert "finite" in result.notes[0]


# Model summary and graph


class Odd(nn.Module):
    """Holds a parameter of its own and calls a layer twice."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(7))
        self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(3, 10)
        self.head.bias.requires_grad_(requires_grad=False)

    def forward(self, images):
        return self.head(self.body(self.body(images)).mean((2, 3))) * self.scale.mean()


def test_model_summary_lists_the_layers_in_order_with_shapes():
    result = ModelSummary().build(make_run())
    rows = [row[1:] for row in result.tables[0].rows]
    assert rows[0] == ("stem.0", "Conv2d", "8, 16, 16", 224)
    assert rows[3] == ("deep", "Conv2d", "16, 8, 8", 1168)
    assert [row[0] for row in rows] == ["stem.0", "stem.1", "stem.2", "deep", "pool", "head"]
    assert result.scalars["parameters"] == sum(row[-1] for row in rows) == 224 + 16 + 1168 + 170
    assert result.scalars["input (MiB)"] == pytest.approx(3 * 16 * 16 * 4 / 2**20)
    assert result.scalars["parameters (MiB)"] == pytest.approx(1578 * 4 / 2**20)


def test_model_summary_counts_each_parameter_once_and_leaves_the_model_as_it_was():
    model = Odd()
    run = make_run(model=model)
    model.train()
    model.body[0].eval()
    result = ModelSummary().build(run)
    total = sum(p.numel() for p in model.parameters())
    assert sum(row[-1] for row in result.tables[0].rows) == result.scalars["parameters"] == total
    assert result.scalars["trainable parameters"] == total - 10
    assert model.training
    assert not model.body[0].training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_model_summary_of_s10_is_the_assignments_table():
    def conv(channels, *more):
        return [("Conv2d", channels), *((layer, channels) for layer in more)]

    norm_relu = ("BatchNorm2d", "ReLU")
    expected = [
        *conv("64, 32, 32", *norm_relu),
        *[("Conv2d", "128, 32, 32"), *conv("128, 16, 16", "MaxPool2d", *norm_relu)[1:]],
        *[*conv("128, 16, 16", *norm_relu) * 2, ("ResBlock", "128, 16, 16")],
        *[("Conv2d", "256, 16, 16"), *conv("256, 8, 8", "MaxPool2d", *norm_relu)[1:]],
        *[("Conv2d", "512, 8, 8"), *conv("512, 4, 4", "MaxPool2d", *norm_relu)[1:]],
        *[*conv("512, 4, 4", *norm_relu) * 2, ("ResBlock", "512, 4, 4")],
        *[("GlobalMaxPool", "512, 1, 1"), ("Conv2d", "10, 1, 1")],
    ]
    parameters = [
        *[1_728, 128, 0],
        *[73_728, 0, 256, 0],
        *[*[147_456, 256, 0] * 2, 0],
        *[294_912, 0, 512, 0],
        *[1_179_648, 0, 1_024, 0],
        *[*[2_359_296, 1_024, 0] * 2, 0],
        *[0, 5_120],
    ]
    run = make_run(model=CustomResNet().build(make_run().info), size=32)
    result = ModelSummary().build(run)
    rows = result.tables[0].rows
    assert [row[0] for row in rows] == list(range(1, 32))
    assert [(row[2], row[3]) for row in rows] == expected
    assert [row[4] for row in rows] == parameters
    assert result.scalars["parameters"] == result.scalars["trainable parameters"] == 6_573_120
    sizes = [result.scalars[f"{name} (MiB)"] for name in ("input", "forward and backward", "parameters", "total")]
    assert [round(size, 2) for size in sizes] == [0.01, 6.75, 25.07, 31.84]


def test_model_graph_without_graphviz_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = ModelGraph().build(make_run())
    assert not result.pictures
    assert "apt-get install graphviz" in result.notes[0]


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz's dot")
def test_model_graph_is_a_png_of_bounded_size():
    deep = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(60)), nn.Flatten(), nn.Linear(768, 10))
    small, large = (ModelGraph().build(make_run(model=model)).pictures[0] for model in (None, deep))
    assert min(render(small).shape[:2]) > 200
    assert 3500 < max(render(large).shape) <= 4000


# Style


def test_figures_neither_use_nor_change_the_users_matplotlib_settings():
    before = dict(rcParams)
    run = make_run()
    plain = render(Misclassified(count=2).build(run).pictures[0])
    assert dict(rcParams) == before
    try:
        rcParams.update({"figure.facecolor": "black", "font.size": 30, "axes.titlesize": 30, "image.cmap": "hot"})
        np.testing.assert_array_equal(render(Misclassified(count=2).build(run).pictures[0]), plain)
    finally:
        rcParams.update(before)


@pytest.mark.parametrize("component", [Misclassified, Confusion, Curves, LRFinderCurve])
def test_every_picture_renders_from_the_defaults(component):
    for picture in component().build(make_run(lr_finding=range_test())).pictures:
        assert render(picture).std() > 5
