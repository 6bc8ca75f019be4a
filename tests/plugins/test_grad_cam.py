import io
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fakes.analysis_run import CLASSES, make_run
from fakes.pictures import captions
from frame import Predictions, Split, UserError
from frame_plugins.analyzers.grad_cam import CLASSLESS, GradCAM, Method
from frame_plugins.analyzers.grad_cam.layouts import channels_first
from frame_plugins.analyzers.grad_cam.maps import METHODS, activation_maps, main_pattern, survey

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


class TwoColours(nn.Module):
    """Class 0 is red, class 1 is green, and each speaks against the other: one layer sees both."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1, bias=False)
        self.colours.weight.data.zero_()[[0, 1], [0, 1]] = 1
        self.deep = nn.AvgPool2d(2)

    def forward(self, images):
        red, green = 100 * self.deep(self.colours(images)).mean((2, 3)).T
        return torch.stack([red - green, green - red], dim=1)


def corner_image(corner, channel, brightness=255):
    image = np.zeros((16, 16, 3), np.uint8)
    row, column = (8 * side for side in corner)
    image[row + 2 : row + 6, column + 2 : column + 6, channel] = brightness
    return image


def two_colour_run():
    """Images whose one corner is red and another, darker, green; all are called red and are green."""
    corners = list(CORNERS.values())
    places = [(red, green) for red in corners for green in corners if red != green]
    images = np.stack([corner_image(red, 0) + corner_image(green, 1, brightness=200) for red, green in places])
    split = Split(images, np.ones(len(images), np.int64))
    with torch.no_grad():
        logits = TwoColours()(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()
    predictions = Predictions(logits, split.targets, np.ones(len(images), np.float32))
    names = {"classes": ("red", "green"), "cam_layers": ("colours", "deep")}
    return make_run(test=split, train=split, model=TwoColours(), predictions=predictions, **names), places


def corner_run(model, wrong=False):
    """Images 0..3 are red, 4..7 green, one for each corner; the model is right about all, or about none."""
    images = np.stack([corner_image(corner, channel) for channel in (0, 1) for corner in CORNERS.values()])
    targets = np.repeat([0, 1], 4)
    predicted = 1 - targets if wrong else targets
    logits = np.eye(2, dtype=np.float32)[predicted] * 4
    predictions = Predictions(logits, targets, np.ones(8, np.float32))
    split = Split(images, targets)
    return make_run(test=split, train=split, classes=("red", "green"), model=model, predictions=predictions)


def maps_of(run, pairs, names, method="gradcam"):
    found = survey(run.model, run.evaluation_inputs([0]), names)
    return activation_maps(run, pairs, {name: one.layout for name, one in found.items()}, method)


def share_in(heat, corner):
    row, column = (8 * side for side in corner)
    return heat[row : row + 8, column : column + 8].sum() / heat.sum()


def test_every_method_that_is_offered_is_there():
    assert set(get_args(Method)) == set(METHODS)
    assert set(CLASSLESS) < set(METHODS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_heat_is_where_the_evidence_is(method):
    run = corner_run(RedOrGreen())
    maps = maps_of(run, [(0, 0), (1, 0), (2, 0), (3, 0)], ["red", "red_deep"], method)
    for number, corner in enumerate(CORNERS.values()):
        for layer in ("red", "red_deep"):
            assert maps[number, 0][layer].shape == (16, 16)
            assert share_in(maps[number, 0][layer], corner) > 0.95, (number, layer)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_maps_of_the_predicted_and_the_true_class_are_each_in_their_own_corner(method, capsys):
    run, places = two_colour_run()
    assert (run.predictions.predicted == 0).all()
    result = GradCAM(method=method, pages=12, overlays=0, misclassified=1, correct=0).build(run)
    assert len(result.images) == 12
    for image in result.images:
        red, green = places[image.index]
        if method in CLASSLESS:
            assert list(image.heats) == ["colours · main pattern", "deep · main pattern"]
            for heat in image.heats.values():  # of both colours the brighter
                assert share_in(heat, red) > share_in(heat, green)
                assert share_in(heat, red) > 0.5
            continue
        names = [f"{layer} · {of}" for of in ("predicted red", "true green") for layer in ("colours", "deep")]
        assert list(image.heats) == names
        for name, heat in image.heats.items():
            assert heat.shape == (16, 16)
            assert heat.dtype == np.float32
            assert 0 <= heat.min() <= heat.max() <= 1
            assert share_in(heat, red if "red" in name else green) > 0.95, name
    assert capsys.readouterr().err == ""  # ScoreCAM's progress bars


def test_a_main_pattern_takes_its_sign_from_the_sum_of_the_channels():
    pattern = np.zeros((8, 8), np.float32)
    pattern[:3, :3] = 1
    for channels in ([1, 2, 3], [-1, -2, -3], [3, -1, 0]):
        found = main_pattern(np.stack([[weight * pattern for weight in channels]]))
        assert (found[0, 0, 0] > found[0, 7, 7]) == (sum(channels) > 0)
    assert main_pattern(np.zeros((1, 3, 8, 8), np.float32)).max() == 0


def test_layers_keep_their_own_maps_in_whatever_order_they_are_named():
    run = corner_run(RedOrGreen())
    found = survey(run.model, run.evaluation_inputs([0]), ["red_deep", "green", "red", "green_deep"])
    assert list(found) == ["green", "green_deep", "red", "red_deep"]  # as called
    assert not any(one.flaw for one in found.values())
    maps = maps_of(run, [(5, 1), (0, 0), (6, 1), (0, 1)], list(found))
    assert share_in(maps[0, 0]["red"], CORNERS["top left"]) > 0.95
    assert share_in(maps[5, 1]["green_deep"], CORNERS["top right"]) > 0.95
    assert share_in(maps[6, 1]["green"], CORNERS["bottom left"]) > 0.95
    silent = (maps[0, 0]["green"], maps[5, 1]["red"], maps[6, 1]["red_deep"], maps[0, 1]["red"])  # spoke against it
    assert [heat.max() for heat in silent] == [0, 0, 0, 0]


def test_targets_choose_the_classes_whose_evidence_is_shown():
    run = corner_run(RedOrGreen(), wrong=True)
    settings = {"layers": ("red",), "correct": 0, "misclassified": 4}
    kinds = {}
    for targets in (("predicted",), ("true",), ("predicted", "true"), ("true", "predicted")):
        result = GradCAM(targets=targets, **settings).build(run)
        depths, overlays = (figure.image for figure in result.figures)
        shown = [axes.get_ylabel().split("\n")[0] for axes in depths.axes if axes.get_ylabel().startswith(("p", "t"))]
        maps = sum(len(axes.images) == 2 for axes in depths.axes)  # with heat there are two, the image and its map
        kinds[targets] = (shown, maps, "left: " in overlays.get_suptitle())
        assert {name.split()[2] for image in result.images for name in image.heats} == set(targets)
    assert kinds == {
        ("predicted",): ([], 0, False),  # the wrong class: the red layer has nothing that speaks for it
        ("true",): ([], 4, False),
        ("predicted", "true"): (["predicted", "true"] * 4, 4, True),
        ("true", "predicted"): (["true", "predicted"] * 4, 4, True),
    }
    with pytest.raises(ValueError, match="targets"):
        GradCAM(targets=())


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
        both.append(maps_of(run, [(0, 0), (1, 1)], ["norm"]))
    for number in (0, 1):
        np.testing.assert_array_equal(both[0][number, number]["norm"], both[1][number, number]["norm"])
        assert both[0][number, number]["norm"].max() > 0


def touched(model):
    """Mark a model so that whoever touches it is found out; return a function that compares."""
    model.stem[0].train()
    model.head.requires_grad_(requires_grad=False)
    grad = torch.ones_like(model.deep.weight)
    model.deep.weight.grad = grad
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    modules = dict(model.named_modules())

    def unchanged():
        assert dict(model.named_modules()) == modules
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
    expected = maps_of(run, [(0, 0)], ["stem"])[0, 0]["stem"]
    if mode == "frozen":
        run.model.requires_grad_(requires_grad=False)
        run.model.stem.requires_grad_()
        run.model.deep.requires_grad_()
    unchanged = touched(run.model)
    with torch.autocast("cpu", torch.bfloat16, enabled=mode == "autocast"), torch.set_grad_enabled(mode != "no_grad"):
        result = GradCAM(correct=1, misclassified=1, overlays=1).build(run)
        again = maps_of(run, [(0, 0)], ["stem"])[0, 0]["stem"]
    assert [picture.name for picture in result.figures] == [
        "grad_cam_misclassified",
        "grad_cam_overlays",
        "grad_cam_correct",
    ]
    np.testing.assert_allclose(again, expected, atol=1e-5)
    unchanged()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_leaves_the_model_as_it_was(method):
    run = make_run()
    unchanged = touched(run.model)
    result = GradCAM(method=method, correct=1, misclassified=1, overlays=1, pages=1).build(run)
    assert all(heat.shape == (16, 16) for image in result.images for heat in image.heats.values())
    unchanged()


@pytest.mark.parametrize("error", [RuntimeError, IndexError])  # the library's own context manager swallows IndexErrors
def test_the_model_comes_back_as_it_was_after_an_error(error):
    run = make_run()
    unchanged = touched(run.model)

    def fail(indices):
        raise error("a broken image")

    with pytest.raises(error, match="a broken image"):
        activation_maps(replace(run, evaluation_inputs=fail), [(0, 0)], {"deep": channels_first}, "gradcam")
    unchanged()


def test_pictures_have_a_row_an_image_and_a_column_a_layer():
    run = make_run(mistakes=40)
    wrong, overlays, correct = GradCAM(correct=2, misclassified=3, overlays=7).build(run).figures
    headings = [axes.get_title() for axes in correct.image.axes if axes.get_title()]
    assert headings == ["image", "stem", "deep"]
    labels = [axes.get_ylabel() for axes in wrong.image.axes if axes.get_ylabel()]
    assert [("→" in label, label.split("\n")[0] in ("predicted", "true")) for label in labels] == 3 * [
        (True, False), (False, True), (False, True)
    ]  # fmt: skip
    assert len([caption for caption in captions(overlays) if "→" in caption]) == 7
    assert "at deep" in overlays.image.get_suptitle()
    for picture in (correct, overlays):
        file = io.BytesIO()
        picture.image.savefig(file)
        with Image.open(file) as image:
            assert image.width <= 1800
            assert np.asarray(image).std() > 5


def test_images_come_with_their_maps_for_their_own_pages():
    run = make_run(mistakes=40)
    result = GradCAM(correct=2, misclassified=3, overlays=4, pages=9).build(run)
    wrong, right = result.images[:9], result.images[9:]
    assert len(right) == 9
    assert len({image.index for image in result.images}) == 18
    for image in right:
        assert image.target == image.predicted == CLASSES[run.data.test.targets[image.index]]
        assert list(image.heats) == [f"{layer} · predicted {image.predicted}" for layer in ("stem", "deep")]
    for image in wrong:
        classes = (f"predicted {image.predicted}", f"true {image.target}")
        assert list(image.heats) == [f"{layer} · {of}" for of in classes for layer in ("stem", "deep")]
        np.testing.assert_array_equal(image.image, run.evaluation_pixels([image.index])[0])
    index, number = wrong[3].index, int(run.data.test.targets[wrong[3].index])
    alone = maps_of(run, [(index, number)], ["stem", "deep"])[index, number]
    mistakes, overlays, _ = (figure.thumbnails for figure in result.figures)
    assert [(each.index, list(each.maps)) for each in mistakes] == [(i.index, list(i.heats)) for i in wrong[:3]]
    assert list(overlays[3].maps) == [name for name in wrong[3].heats if name.startswith("deep")]
    np.testing.assert_allclose(wrong[3].heats[f"deep · true {CLASSES[number]}"], alone["deep"], atol=1e-4)
    shown = GradCAM(correct=2, misclassified=3, overlays=4, pages=0).build(run).images
    assert [image.index for image in shown] == [*(i.index for i in wrong[:4]), *(i.index for i in right[:2])]


def test_a_model_whose_numbers_are_lost_shows_no_heat():
    run = make_run()
    run.model.deep.weight.data.fill_(float("nan"))
    for method in ("gradcam", "eigencam"):
        heats = GradCAM(method=method, layers=("deep",), pages=2).build(run).images[-1].heats
        assert [heat.max() for heat in heats.values()] == [0]


def test_a_layer_of_another_depth_than_those_shown_can_make_the_overlays():
    result = GradCAM(layers=("stem",), overlay_layer="deep", correct=1, misclassified=1, overlays=3).build(make_run())
    assert [axes.get_title() for axes in result.figures[0].image.axes if axes.get_title()] == ["image", "stem"]
    assert "at deep" in result.figures[1].image.get_suptitle()


def test_an_unknown_layer_gets_the_nearest_right_one():
    with pytest.raises(UserError, match=r"no layer 'steam'; did you mean 'stem'\?.* convolutions: stem\.0, deep"):
        GradCAM(layers=("steam",)).build(make_run())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"layers": ("pool", "deep")}, "'pool' cannot be shown: its map is 1x1: one number for the whole image"),
        ({"overlay_layer": "pool"}, "'pool' cannot be shown: its map is 1x1"),
        ({"layers": ("head",)}, r"'head' cannot be shown: its output of shape \(1, 10\) is not a map"),
    ],
)
def test_a_layer_without_a_map_that_the_recipe_names_is_refused_with_the_reason(settings, reason):
    with pytest.raises(UserError, match=rf"grad_cam: layer {reason}.*\. Layers that can: stem\.0, (stem, )?deep$"):
        GradCAM(**settings).build(make_run())


def test_a_layer_without_a_map_that_the_model_names_is_left_out_with_the_reason():
    result = GradCAM(correct=1, misclassified=1, overlays=1).build(make_run(cam_layers=("deep", "pool")))
    assert result.notes[0].startswith("Layer 'pool' is left out: its map is 1x1")
    assert "at deep" in result.figures[1].image.get_suptitle()
    none = GradCAM().build(make_run(cam_layers=("pool",)))
    assert not none.figures
    assert len(none.notes) == 2


def test_no_layers_named_lists_the_convolutions():
    result = GradCAM().build(make_run(cam_layers=()))
    assert not result.figures
    assert result.notes[0].endswith("name some in grad_cam's `layers`. It has: stem.0, deep.")


@pytest.mark.parametrize("mistakes", [0, 3, 100])
def test_too_few_images_are_shown_and_said(mistakes):
    result = GradCAM(layers=("deep",), overlays=5).build(make_run(mistakes=mistakes))
    names = [picture.name.removeprefix("grad_cam_") for picture in result.figures]
    expected = {0: ["correct"], 3: ["misclassified", "overlays", "correct"], 100: ["misclassified", "overlays"]}
    assert names == expected[mistakes]
    assert len(result.notes) == 1


def test_grey_images_work():
    assert len(GradCAM(correct=1, misclassified=1, overlays=1).build(make_run(channels=1)).figures) == 3
