import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib import rcParams
from torch import nn

from fakes.analysis_run import CLASSES, make_run, random_split, range_test
from fakes.pictures import captions, render
from frame_plugins.analyzers.calibration import Calibration
from frame_plugins.analyzers.confusion import Confusion
from frame_plugins.analyzers.curves import Curves
from frame_plugins.analyzers.galleries import Correct, Misclassified
from frame_plugins.analyzers.label_errors import LabelErrors
from frame_plugins.analyzers.lr_finder_curve import LRFinderCurve
from frame_plugins.analyzers.model_graph import ModelGraph
from frame_plugins.analyzers.model_summary import ModelSummary
from frame_plugins.analyzers.samples import Samples, spread
from frame_plugins.models.custom_resnet import CustomResNet

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


@pytest.mark.sharp
def test_samples_show_the_original_beside_the_augmented_image():
    run = make_run()
    epochs = []
    seen = replace(run, training_pixels=lambda i, epoch: epochs.append(epoch) or run.training_pixels(i, epoch))
    result = Samples(count=10, epoch=3).build(seen)
    (picture,) = result.figures
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
    train = random_split(4)
    run = make_run(train=train, training_pixels=lambda indices, _: train.images[list(indices)])
    result = Samples().build(run)
    assert result.notes == ("The training set has 4 images only.",)
    assert "leave them as they are" in result.figures[0].caption
    assert result.figures[0].image.axes[0].images[0].get_array().shape == (16, 16, 3)


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


class Conv(nn.Module):
    """A convolution and an activation that others have too, held in a list."""

    def __init__(self, channels, act):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)])
        self.act = act

    def forward(self, images):
        for layer in self.layers:
            images = self.act(layer(images))
        return images


class SharedParts(nn.Module):
    """One ReLU at two depths; two heads with one weight; attention, whose projection is never called as a module."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.blocks = nn.ModuleList([Conv(3, self.act), Conv(8, self.act), Conv(8, self.act)])
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head, self.twin = nn.Linear(8, 10), nn.Linear(8, 10)
        self.twin.weight = self.head.weight

    def forward(self, images):
        for block in self.blocks:
            images = block(images)
        tokens = self.act(images.flatten(2).transpose(1, 2))
        answer, _ = self.attention(tokens, tokens, tokens)
        return self.head(answer.mean(1)) + self.twin(answer.mean(1))


def test_model_summary_counts_shared_layers_and_weights_once_and_in_the_order_of_their_calls():
    model = SharedParts()
    convolutions, attention, heads = (3 * 8 * 9 + 8) + 5 * (8 * 8 * 9 + 8), 4 * (8 * 8 + 8), 8 * 10 + 10 + 10
    result = ModelSummary().build(make_run(model=model))
    assert result.scalars["parameters"] == result.scalars["trainable parameters"] == convolutions + attention + heads
    assert result.scalars["parameters (MiB)"] == pytest.approx(4 * (convolutions + attention + heads) / 2**20)
    rows = [row[1:] for row in result.tables[0].rows]
    assert [(name, parameters) for name, _, _, parameters in rows] == [
        *[("blocks.0.layers.0", 224), ("act", 0), ("blocks.0.layers.1", 584), ("act", 0), ("blocks.0", 0)],
        *[("blocks.1.layers.0", 584), ("act", 0), ("blocks.1.layers.1", 584), ("act", 0), ("blocks.1", 0)],
        *[("blocks.2.layers.0", 584), ("act", 0), ("blocks.2.layers.1", 584), ("act", 0), ("blocks.2", 0)],
        *[("act", 0), ("attention", attention), ("head", 90), ("twin", 10)],
    ]


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
    assert not result.figures
    assert "apt-get install graphviz" in result.notes[0]


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz's dot")
def test_model_graph_is_a_png_of_bounded_size():
    deep = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(60)), nn.Flatten(), nn.Linear(768, 10))
    small, large = (ModelGraph().build(make_run(model=model)).figures[0] for model in (None, deep))
    assert min(render(small).shape[:2]) > 200
    assert 3500 < max(render(large).shape) <= 4000


# Style

ALL = (Calibration, Confusion, Correct, Curves, LabelErrors, LRFinderCurve, Misclassified, Samples)


def test_figures_neither_use_nor_change_the_users_matplotlib_settings():
    before = dict(rcParams)
    run = make_run(lr_finding=range_test())

    def draw():
        analyzers = (Misclassified(count=2), Confusion(pairs=0), LRFinderCurve())
        return [render(analyzer.build(run).figures[0]) for analyzer in analyzers]

    plain = draw()
    assert dict(rcParams) == before
    try:
        rcParams.update({"figure.facecolor": "black", "font.size": 30, "axes.titlesize": 30, "image.cmap": "hot"})
        rcParams.update(
            {"savefig.facecolor": "black", "savefig.dpi": 30, "xtick.labelsize": 30, "font.family": "serif"}
        )
        for image, expected in zip(draw(), plain, strict=True):
            np.testing.assert_array_equal(image, expected)
    finally:
        rcParams.update(before)


@pytest.mark.parametrize("component", ALL)
def test_every_figure_renders_from_the_defaults(component):
    figures = component().build(make_run(lr_finding=range_test())).figures
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        assert render(figure).std() > 5


@pytest.mark.parametrize("component", ALL)
def test_analyzers_take_grey_images_of_two_classes_that_are_all_right(component):
    result = component().build(make_run(mistakes=0, channels=1, classes=("one", "two")))
    assert result.figures or result.notes
    for figure in result.figures[:1]:
        assert render(figure).std() > 2
