import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fakes.analysis_run import make_run
from frame import Predictions, Split, UserError
from frame_plugins.grad_cam import GradCAM
from frame_plugins.grad_cam.maps import METHODS, activation_maps, heat_layers

CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


class RedOrGreen(nn.Module):
    """Class 0 is red, class 1 is green: the evidence is where the colour is. Green is looked at first."""

    def __init__(self):
        super().__init__()
        self.red, self.green = self.channel(0), self.channel(1)
        self.red_deep, self.green_deep = self.blur(), self.blur()

    def channel(self, number):
        layer = nn.Conv2d(3, 1, 1, bias=False)
        layer.weight.data.zero_()[0, number] = 1
        return layer

    def blur(self):
        layer = nn.Conv2d(1, 1, 2, stride=2, bias=False)
        layer.weight.data.fill_(0.25)
        return layer

    def forward(self, images):
        green = self.green_deep(self.green(images)).mean((1, 2, 3))
        red = self.red_deep(self.red(images)).mean((1, 2, 3))
        return torch.stack([red - green, green - red], dim=1)


def corner_image(corner, channel):
    image = np.zeros((16, 16, 3), np.uint8)
    row, column = (8 * side for side in corner)
    image[row + 2 : row + 6, column + 2 : column + 6, channel] = 255
    return image


def corner_run(model, wrong=False):
    """Images 0..3 are red, 4..7 green, one for each corner; the model is right about all, or about none."""
    images = np.stack([corner_image(corner, channel) for channel in (0, 1) for corner in CORNERS.values()])
    targets = np.repeat([0, 1], 4)
    predicted = 1 - targets if wrong else targets
    logits = np.eye(2, dtype=np.float32)[predicted] * 4
    predictions = Predictions(logits, targets, np.ones(8, np.float32))
    split = Split(images, targets)
    return make_run(test=split, train=split, classes=("red", "green"), model=model, predictions=predictions)


def share_in(heat, corner):
    row, column = (8 * side for side in corner)
    return heat[row : row + 8, column : column + 8].sum() / heat.sum()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_heat_is_where_the_evidence_is(method):
    run = corner_run(RedOrGreen())
    layers, _ = heat_layers(run.model, run.evaluation_inputs([0]), ["red", "red_deep"])
    maps = activation_maps(run, [0, 1, 2, 3], [0, 0, 0, 0], layers, method)
    for number, corner in enumerate(CORNERS.values()):
        for layer in ("red", "red_deep"):
            assert maps[number][layer].shape == (16, 16)
            assert share_in(maps[number][layer], corner) > 0.95, (number, layer)


def test_layers_keep_their_own_maps_in_whatever_order_they_are_named():
    run = corner_run(RedOrGreen())
    layers, notes = heat_layers(run.model, run.evaluation_inputs([0]), ["red_deep", "green", "red", "green_deep"])
    assert layers == ["green", "green_deep", "red", "red_deep"]  # as called
    assert not notes
    indices = [5, 0, 6]
    maps = activation_maps(run, indices, [1, 0, 1], layers, "gradcam")
    assert share_in(maps[0]["red"], CORNERS["top left"]) > 0.95
    assert share_in(maps[5]["green_deep"], CORNERS["top right"]) > 0.95
    assert share_in(maps[6]["green"], CORNERS["bottom left"]) > 0.95
    assert maps[0]["green"].max() == maps[5]["red"].max() == maps[6]["red_deep"].max() == 0  # spoke against it


def test_target_true_shows_the_evidence_for_the_right_class():
    run = corner_run(RedOrGreen(), wrong=True)
    settings = {"layers": ("red",), "correct": 0, "misclassified": 4}
    heat = {}
    for target in ("predicted", "true"):
        result = GradCAM(target=target, **settings).build(run)
        grid = result.pictures[0].image
        # An axes with heat has two images, the picture and its map.
        heat[target] = sum(len(axes.images) == 2 for axes in grid.axes)
        assert f"the {target} class" in result.pictures[0].caption
    assert heat == {"predicted": 0, "true": 4}


class InPlace(nn.Module):
    """A normalisation whose output an activation overwrites, or does not."""

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace)
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        return self.head(self.relu(self.norm(self.conv(images))).mean((2, 3)))


def test_an_in_place_activation_does_not_change_the_map_of_the_layer_before_it():
    both = []
    for inplace in (True, False):
        run = make_run(model=InPlace(inplace))
        both.append(activation_maps(run, [0, 1], [0, 1], ["norm"], "gradcam"))
    for number in (0, 1):
        np.testing.assert_array_equal(both[0][number]["norm"], both[1][number]["norm"])
        assert both[0][number]["norm"].max() > 0


def touched(model):
    """Mark a model so that whoever touches it is found out; return a function that compares."""
    model.stem[0].train()
    model.head.requires_grad_(requires_grad=False)
    grad = torch.ones_like(model.deep.weight)
    model.deep.weight.grad = grad
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]

    def unchanged():
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
        assert [module.training for module in model.modules()] == modes
        assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
        assert not model.head.weight.requires_grad
        assert model.stem[0].weight.requires_grad
        assert model.deep.weight.grad is grad
        assert (grad == 1).all()
        assert model.stem[0].weight.grad is None

    return unchanged


@pytest.mark.parametrize("mode", ["plain", "frozen", "autocast", "no_grad"])
def test_the_model_comes_back_as_it_was(mode):
    run = make_run()
    expected = activation_maps(run, [0], [0], ["stem"], "gradcam")[0]["stem"]
    if mode == "frozen":
        run.model.requires_grad_(requires_grad=False)
        run.model.stem.requires_grad_()
        run.model.deep.requires_grad_()
    unchanged = touched(run.model)
    with torch.autocast("cpu", torch.bfloat16, enabled=mode == "autocast"), torch.set_grad_enabled(mode != "no_grad"):
        result = GradCAM(correct=1, misclassified=1, overlays=1).build(run)
        again = activation_maps(run, [0], [0], ["stem"], "gradcam")[0]["stem"]
    assert [picture.name for picture in result.pictures] == [
        "grad_cam_correct",
        "grad_cam_misclassified",
        "grad_cam_overlays",
    ]
    np.testing.assert_allclose(again, expected, atol=1e-5)
    unchanged()


@pytest.mark.parametrize("error", [RuntimeError, IndexError])  # the library's own context manager swallows IndexErrors
def test_the_model_comes_back_as_it_was_after_an_error(error):
    run = make_run()
    unchanged = touched(run.model)

    def fail(indices):
        raise error("a broken image")

    with pytest.raises(error, match="a broken image"):
        activation_maps(replace(run, evaluation_inputs=fail), [0], [0], ["deep"], "gradcam")
    unchanged()


def test_pictures_have_a_row_an_image_and_a_column_a_layer():
    run = make_run(mistakes=40)
    correct, wrong, overlays = GradCAM(correct=2, misclassified=3, overlays=7).build(run).pictures
    headings = [axes.get_title() for axes in correct.image.axes if axes.get_title()]
    assert headings == ["image", "stem", "deep"]
    labels = [axes.get_ylabel() for axes in wrong.image.axes if "→" in axes.get_ylabel()]
    assert len(labels) == 3
    assert len([axes for axes in overlays.image.axes if axes.get_title()]) == 7
    assert "at deep" in overlays.image.get_suptitle()
    for picture in (correct, overlays):
        file = io.BytesIO()
        picture.image.savefig(file)
        with Image.open(file) as image:
            assert image.width <= 1800
            assert np.asarray(image).std() > 5


def test_a_layer_of_another_depth_than_those_shown_can_make_the_overlays():
    result = GradCAM(layers=("stem",), overlay_layer="deep", correct=1, misclassified=1, overlays=3).build(make_run())
    assert [axes.get_title() for axes in result.pictures[0].image.axes if axes.get_title()] == ["image", "stem"]
    assert "at deep" in result.pictures[2].image.get_suptitle()


def test_an_unknown_layer_gets_the_nearest_right_one():
    with pytest.raises(UserError, match=r"no layer 'steam'; did you mean 'stem'\?.* convolutions: stem\.0, deep"):
        GradCAM(layers=("steam",)).build(make_run())


def test_layers_without_a_map_are_left_out_with_the_reason():
    result = GradCAM(layers=("pool", "head", "deep"), correct=1, misclassified=1, overlays=1).build(make_run())
    notes = " ".join(result.notes)
    assert "'pool' is left out: its map is 1x1" in notes
    assert "'head' is left out: its output of shape (1, 10) is not a map" in notes
    assert "at deep" in result.pictures[2].image.get_suptitle()
    assert not GradCAM(layers=("pool",)).build(make_run()).pictures


def test_no_layers_named_lists_the_convolutions():
    result = GradCAM().build(make_run(cam_layers=()))
    assert not result.pictures
    assert result.notes[0].endswith("Its convolutions: stem.0, deep.")


@pytest.mark.parametrize("mistakes", [0, 3, 100])
def test_too_few_images_are_shown_and_said(mistakes):
    result = GradCAM(layers=("deep",), overlays=5).build(make_run(mistakes=mistakes))
    names = [picture.name.removeprefix("grad_cam_") for picture in result.pictures]
    expected = {0: ["correct"], 3: ["correct", "misclassified", "overlays"], 100: ["misclassified", "overlays"]}
    assert names == expected[mistakes]
    assert len(result.notes) == 1


def test_grey_images_work():
    assert len(GradCAM(correct=1, misclassified=1, overlays=1).build(make_run(channels=1)).pictures) == 3
