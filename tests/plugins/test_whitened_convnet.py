"""The network of airbench94 against its description, and its weights from data in runs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from frame import DataInfo, UserError
from frame.compute.randomness import seed_everything
from frame.recipe.load import load_recipe
from frame.training.build import build, load_data
from frame_plugins.models.whitened_convnet import WhitenedConvNet
from frame_plugins.models.whitened_convnet.network import whitening_filters


def info(classes=10, shape=(32, 32, 3)):
    channels = shape[2]
    return DataInfo(tuple(map(str, range(classes))), shape, (0.5,) * channels, (0.25,) * channels, 100)


def natural(count=200, seed=0):
    """Smooth random images (N, 3, 32, 32) whose channels go together, as those of photographs do."""
    noise = torch.randn(count, 3, 34, 34, generator=torch.Generator().manual_seed(seed))
    smooth = 2 * functional.avg_pool2d(noise, 3, stride=1)
    return smooth + 0.5 * smooth[:, :1]


def airbench(images, weights, training):
    """airbench94's forward pass, from the source's description, on weights of ours."""

    def norm(x, name):
        statistics = (weights[f"{name}.running_mean"].clone(), weights[f"{name}.running_var"].clone())
        ones, bias = torch.ones(x.shape[1]), weights[f"{name}.bias"]
        return functional.batch_norm(x, *statistics, ones, bias, training=training, momentum=0.4, eps=1e-12)

    x = functional.gelu(functional.conv2d(images, weights["whiten.weight"], weights["whiten.bias"]))
    for block in ("block1", "block2", "block3"):
        x = functional.max_pool2d(functional.conv2d(x, weights[f"{block}.conv1.weight"], padding=1), 2)
        x = functional.gelu(norm(x, f"{block}.norm1"))
        x = functional.gelu(norm(functional.conv2d(x, weights[f"{block}.conv2.weight"], padding=1), f"{block}.norm2"))
    return functional.max_pool2d(x, 3).flatten(1) @ weights["head.weight"].T / 9


class TestWhitenedConvNet:
    def built(self, **settings):
        torch.manual_seed(0)
        return WhitenedConvNet(**settings).build(info())

    def test_has_the_originals_parameters(self):
        model = self.built()
        trainable = {name: tuple(one.shape) for name, one in model.named_parameters() if one.requires_grad}
        widths = {"block1": (24, 64), "block2": (64, 256), "block3": (256, 256)}
        expected = {"whiten.bias": (24,), "head.weight": (10, 256)}
        for block, (before, after) in widths.items():
            expected |= {f"{block}.conv1.weight": (after, before, 3, 3), f"{block}.conv2.weight": (after, after, 3, 3)}
            expected |= {f"{block}.norm1.bias": (after,), f"{block}.norm2.bias": (after,)}
        assert trainable == expected
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 1_971_352
        assert model.whiten.weight.shape == (24, 3, 2, 2)

    @pytest.mark.parametrize("training", [True, False])
    def test_answers_as_the_original_does(self, training):
        model = self.built().train(training)
        model.init_from_data(natural())
        with torch.no_grad():
            for name, one in model.named_parameters():
                if "bias" in name:
                    one.normal_()
            expected = airbench(natural(8, 1), model.state_dict(), training)
            torch.testing.assert_close(model(natural(8, 1)), expected, rtol=1e-4, atol=1e-5)
        assert model.block1.norm1.momentum == pytest.approx(0.4)

    def test_whitens_the_patches_of_the_images(self):
        """Each filter's answers have unit variance, and no two of them go together."""
        model, images = self.built(whiten_eps=1e-9), natural()
        model.init_from_data(images)
        answers = functional.conv2d(images, model.whiten.weight).transpose(0, 1).flatten(1)  # (24, patches)
        assert torch.equal(model.whiten.weight[:12], -model.whiten.weight[12:])
        moments = answers[:12] @ answers[:12].T / answers.shape[1]
        torch.testing.assert_close(moments, torch.eye(12), atol=5e-3, rtol=0)
        energy = model.whiten.weight[:12].square().sum((1, 2, 3))
        assert energy.diff().gt(0).all()  # that of the greatest variance first: it is amplified least

    def test_eps_bounds_what_hardly_varies(self):
        model = self.built(whiten_eps=1.0)
        model.init_from_data(torch.zeros(4, 3, 32, 32))
        assert model.whiten.weight.square().sum((1, 2, 3)).tolist() == pytest.approx([1.0] * 24, rel=1e-5)

    def test_convolutions_begin_as_the_identity_as_far_as_they_go(self):
        block = self.built().block1
        x = natural(2)[:, :1].expand(-1, 24, -1, -1) * torch.randn(1, 24, 1, 1)
        torch.testing.assert_close(block.conv1(x)[:, :24], x)
        assert not torch.allclose(block.conv1(x)[:, 24:48], x)
        y = torch.randn(2, 64, 8, 8)
        torch.testing.assert_close(block.conv2(y), y)

    @pytest.mark.parametrize("shape", [(9, 9, 1), (28, 28, 1), (33, 47, 4)])
    def test_fits_other_sizes_channels_and_classes(self, shape):
        height, width, channels = shape
        model = WhitenedConvNet(widths=(8, 8, 8)).build(info(7, shape))
        images = torch.randn(4, channels, height, width)
        model.init_from_data(images)
        assert model(images).shape == (4, 7)

    def test_refuses_images_that_are_too_small(self):
        with pytest.raises(UserError, match="at least 9x9 pixels, got 8x32"):
            WhitenedConvNet().build(info(shape=(8, 32, 3)))


class TestInARun:
    """Of the test runs' tiny recipe, with this network: 1,437 digits."""

    TINY = Path(__file__).parents[1] / "framework" / "fixtures" / "tiny.yaml"
    NETWORK = ("model.use=whitened_convnet", "model.widths=[8, 8, 8]")

    def built(self, fresh=True):
        recipe = load_recipe(str(self.TINY), self.NETWORK).recipe
        seed_everything(recipe.seed)
        return build(recipe, load_data(recipe), fresh=fresh)

    def test_the_filters_are_those_of_training_images_without_augmentation(self):
        parts = self.built()
        images = parts.data.train.images
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
        filters = whitening_filters((pixels - parts.data.mean[0]) / parts.data.std[0], 2, 5e-4)
        own = parts.model.whiten.weight[: len(filters)]
        signs = (own * filters).sum((1, 2, 3), keepdim=True).sign()  # an eigenvector has none
        torch.testing.assert_close(own, signs * filters, rtol=1e-2, atol=1e-2)  # rounding, times up to 1 / sqrt(eps)

    def test_they_are_taken_at_the_start_only_and_move_no_generator(self):
        first, state = self.built().model.state_dict(), torch.get_rng_state()
        second, other = self.built(fresh=False).model.state_dict(), torch.get_rng_state()
        assert torch.equal(state, other)
        assert [name for name in first if not torch.equal(first[name], second[name])] == ["whiten.weight"]

    def test_a_run_ends_with_them_and_a_resumed_one_too(self, cli, tmp_path):
        short = (*self.NETWORK, "train.epochs=1")
        assert cli("run", self.TINY, *short, "--out", "whole").code == 0
        assert cli("run", self.TINY, *short, "callbacks.0.use=interrupt", "callbacks.0.step=4").code == 130
        (whole,), (run,) = ((tmp_path / out / "tiny").iterdir() for out in ("whole", "runs"))
        assert cli("resume", run).code == 0
        one, other = (load_file(folder / "model.safetensors") for folder in (whole, run))
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert torch.equal(one["whiten.weight"], self.built().model.whiten.weight)
