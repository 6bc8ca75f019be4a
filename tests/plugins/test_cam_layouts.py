"""Grad-CAM where channels are not the second axis: maps against those computed by hand, and layers of torchvision."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vision_transformer import VisionTransformer

from fakes.analysis_run import make_run
from frame import UserError
from frame_plugins.analyzers.grad_cam import GradCAM
from frame_plugins.analyzers.grad_cam.maps import look
from frame_plugins.models.torchvision_models import BUILD_ARGUMENTS, TorchvisionModel

SIZE = 32


def swin(width=12, **changes):
    torch.manual_seed(0)
    return SwinTransformer([4, 4], width, [2, 2], [2, 2], [4, 4], num_classes=10, **changes).eval()


def vit():
    torch.manual_seed(0)
    model = VisionTransformer(SIZE, 8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=10).eval()
    nn.init.normal_(model.heads.head.weight)  # torchvision's is 0: nothing speaks for any class
    return model


class PlainLast(nn.Module):
    """Linear layers on (N, H, W, C), between a function's permute and a function's mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mix, self.head = nn.Conv2d(3, 6, 4, stride=4), nn.Linear(6, 9), nn.Linear(9, 10)
        self.act = nn.GELU()

    def forward(self, images):
        features = self.act(self.mix(self.embed(images).permute(0, 2, 3, 1)))
        return self.head(features.mean((1, 2)))


def by_hand(model, layer, image, number, as_maps):
    """Return the Grad-CAM of one image as Selvaraju et al. define it, (h, w), from activations and gradients."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    logits = model(image)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, number], kept[0])
    activation, gradient = as_maps(kept[0].detach())[0], as_maps(gradient)[0]  # (C, h, w)
    return (gradient.mean((1, 2))[:, None, None] * activation).sum(0).relu()


def first(output):
    return output


def last(output):
    return torch.stack([output[..., channel] for channel in range(output.shape[-1])], 1)


def tokens(output):
    rows = [torch.stack([output[:, 1 + 4 * row + column] for column in range(4)], 2) for row in range(4)]
    return torch.stack(rows, 2)  # (N, C, 4, 4)


@pytest.mark.parametrize(("build", "layer", "as_maps"), [
    (swin, "features.1", last),
    (swin, "features.2", last),  # merges patches
    (swin, "features.3.0.attn", last),
    (swin, "norm", last),
    (swin, "permute", first),
    (lambda: swin(block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2), "features.3", last),
    (PlainLast, "act", last),
    (vit, "conv_proj", first),
    (vit, "encoder.layers.encoder_layer_0", tokens),
    (vit, "encoder.layers.encoder_layer_1.ln_1", tokens),
])  # fmt: skip
def test_the_map_is_the_one_computed_by_hand(build, layer, as_maps):
    model = build()
    run = make_run(model=model, size=SIZE)
    compared = 0
    for index in (0, 1):
        image = run.evaluation_inputs([index]).requires_grad_()
        for number in range(4):
            (heat,) = GradCAM(overlay_layer=layer).heat(model, image.detach(), np.array([number]), ())
            expected = by_hand(model, layer, image, number, as_maps)
            if expected.max() == 0:
                assert heat.max() == 0
                continue
            enlarged = nn.functional.interpolate(expected[None, None], (SIZE, SIZE), mode="bilinear")
            assert np.corrcoef(heat.flatten(), enlarged.flatten())[0, 1] > 0.95
            compared += 1
    assert compared >= 2


def test_layers_of_several_layouts_are_shown_together():
    model = swin()
    run = make_run(model=model, size=SIZE, cam_layers=("features.0.0", "features.1", "features.3"))
    result = GradCAM(correct=0, misclassified=1, overlays=1, pages=1).build(run)
    (image,) = [image for image in result.images if image.target != image.predicted]
    assert {name.split(" · ")[0] for name in image.heats} == {"features.0.0", "features.1", "features.3"}
    alone = GradCAM(overlay_layer="features.1").heat(
        model, run.evaluation_inputs([image.index]), run.predictions.predicted[[image.index]], ()
    )
    named = next(heat for name, heat in image.heats.items() if name.startswith("features.1 · predicted"))
    np.testing.assert_allclose(named, alone[0], atol=1e-4)


class Unclear(nn.Module):
    """Computes with functions alone: no module says where its channels are."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 3, 4, 4))
        self.first, self.head = nn.Identity(), nn.Linear(6, 10)

    def forward(self, images):
        return self.head(self.first(nn.functional.conv2d(images, self.weight, stride=4)).mean((2, 3)))


@pytest.mark.parametrize(("build", "layer", "reason"), [
    (Unclear, "first", r"nothing around it tells whether its output of shape \(1, 6, 8, 8\) is \(N, C, H, W\) or"),
    (lambda: swin(8), "features.1", r"nothing around it tells whether its output of shape \(1, 8, 8, 8\) is"),
    (vit, "encoder.layers.encoder_layer_0.mlp.0", r"\(1, 17, 24\) is not a map, .*nor tokens of a convolution's grid"),
])  # fmt: skip
def test_what_is_not_known_is_refused(build, layer, reason):
    model = build()
    run = make_run(model=model, size=SIZE)
    with pytest.raises(UserError, match=f"layer '{layer}' cannot be shown: .*{reason}"):
        GradCAM(layers=(layer,)).build(run)
    with pytest.raises(UserError, match=f"layer '{layer}' cannot be shown: .*{reason}"):
        GradCAM(overlay_layer=layer).heat(model, run.evaluation_inputs([0]), np.array([0]), ())


CLASSIFIERS = models.list_models(module=models)
SMALLEST = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "regnet_y_400mf"),
    *("resnet18", "shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1", "swin_t", "swin_v2_t"),
    *("vgg11", "vgg16_bn", "vit_b_16"),
)


@pytest.mark.parametrize("name", [
    *SMALLEST, *(pytest.param(name, marks=pytest.mark.slow) for name in CLASSIFIERS if name not in SMALLEST),
])  # fmt: skip
def test_every_family_names_layers_that_exist_and_have_a_map(name):
    side = 299 if name == "inception_v3" else 224
    with torch.device(
        "cpu" if name.startswith("regnet") else "meta"
    ):  # no numbers, only shapes; a RegNet computes some
        model = models.get_model(name, num_classes=10, **BUILD_ARGUMENTS.get(name, {})).eval().to("meta")
    with torch.no_grad():
        images = torch.empty(1, 3, side, side, device="meta")
        found = look(model, images, TorchvisionModel(name=name).cam_layers())
    assert len(found) == 4
    assert [one.flaw for one in found.values()] == [""] * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_every_family_has_maps_with_heat(name):
    side = 299 if name == "inception_v3" else 224
    torch.manual_seed(0)
    model = models.get_model(name, num_classes=10, **BUILD_ARGUMENTS.get(name, {}))
    if name.startswith("vit"):
        nn.init.normal_(model.heads.head.weight)
    run = make_run(model=model, size=side, cam_layers=TorchvisionModel(name=name).cam_layers())
    result = GradCAM(correct=1, misclassified=1, overlays=1, pages=1).build(run)
    assert not any("left out" in note for note in result.notes)
    heats = [heat for image in result.images for heat in image.heats.values()]
    assert len(heats) >= 4
    assert all(heat.shape == (side, side) for heat in heats)
    assert max(heat.std() for heat in heats) > 0
