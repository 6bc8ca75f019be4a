"""The S10 network against its published table, torchvision's classifiers and the loss."""

import json
import logging
from pathlib import Path

import pytest
import torch
import torchinfo
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from frame import DataInfo, UserError
from frame_plugins.losses.cross_entropy import CrossEntropy
from frame_plugins.models.custom_resnet import CustomResNet
from frame_plugins.models.custom_resnet.network import GlobalMaxPool, ResBlock
from frame_plugins.models.torchvision_models import TorchvisionModel


def info(classes=10, shape=(32, 32, 3)):
    channels = shape[2]
    return DataInfo(tuple(map(str, range(classes))), shape, (0.5,) * channels, (0.25,) * channels, 100)


CONV, NORM, RELU, POOL, BLOCK = "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "ResBlock"
TABLE = [
    *[(CONV, (64, 32, 32), 1_728), (NORM, (64, 32, 32), 128), (RELU, (64, 32, 32), 0)],
    *[(CONV, (128, 32, 32), 73_728), (POOL, (128, 16, 16), 0), (NORM, (128, 16, 16), 256), (RELU, (128, 16, 16), 0)],
    (BLOCK, (128, 16, 16), 2 * (147_456 + 256)),
    *[(CONV, (128, 16, 16), 147_456), (NORM, (128, 16, 16), 256), (RELU, (128, 16, 16), 0)] * 2,
    *[(CONV, (256, 16, 16), 294_912), (POOL, (256, 8, 8), 0), (NORM, (256, 8, 8), 512), (RELU, (256, 8, 8), 0)],
    *[(CONV, (512, 8, 8), 1_179_648), (POOL, (512, 4, 4), 0), (NORM, (512, 4, 4), 1_024), (RELU, (512, 4, 4), 0)],
    (BLOCK, (512, 4, 4), 2 * (2_359_296 + 1_024)),
    *[(CONV, (512, 4, 4), 2_359_296), (NORM, (512, 4, 4), 1_024), (RELU, (512, 4, 4), 0)] * 2,
    ("GlobalMaxPool", (512, 1, 1), 0),
    (CONV, (10, 1, 1), 5_120),
]


class TestCustomResNet:
    def test_has_the_published_layers_in_their_order(self):
        model = CustomResNet().build(info())
        summary = torchinfo.summary(model, (1, 3, 32, 32), verbose=0)
        containers = ("Sequential", "CustomResNetModule")
        layers = [
            (layer.class_name, tuple(layer.output_size[1:]), sum(p.numel() for p in layer.module.parameters()))
            for layer in summary.summary_list
            if layer.class_name not in containers
        ]
        assert layers == TABLE
        assert len(layers) == 31

    def test_has_6_573_120_parameters_and_the_published_sizes(self):
        model = CustomResNet().build(info())
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 6_573_120
        assert all(module.bias is None for module in model.modules() if isinstance(module, nn.Conv2d))
        values = sum(torch.Size(shape).numel() for _, shape, _ in TABLE)
        assert round(2 * values * 4 / 2**20, 2) == 6.75  # forward and backward, as the original's summary counts

    def test_blocks_add_their_input_without_a_relu_after_the_sum(self):
        block = ResBlock(4).eval()
        x = -torch.rand(2, 4, 8, 8)
        nn.init.zeros_(block.block2.norm.weight)
        assert torch.equal(block(x), x)

    def test_pools_as_max_pool_4_does_and_gives_raw_logits(self):
        x = torch.randn(2, 5, 4, 4)
        assert torch.equal(GlobalMaxPool()(x), nn.MaxPool2d(4)(x))
        model = CustomResNet(widths=(4, 8, 8, 16)).build(info()).eval()
        with torch.no_grad():
            logits = model(torch.randn(3, 3, 32, 32))
        assert logits.shape == (3, 10)
        assert not torch.allclose(logits.sum(dim=1), torch.ones(3))

    def test_softmax_gives_the_probabilities_of_the_same_logits(self):
        plain = CustomResNet(widths=(4, 8, 8, 16)).build(info()).eval()
        original = CustomResNet(widths=(4, 8, 8, 16), softmax=True).build(info()).eval()
        original.load_state_dict(plain.state_dict())
        images = torch.randn(3, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(original(images), plain(images).softmax(dim=1))

    def test_scale_is_a_factor_of_the_logits(self):
        plain = CustomResNet(widths=(4, 8, 8, 16)).build(info()).eval()
        scaled = CustomResNet(widths=(4, 8, 8, 16), scale=0.125).build(info()).eval()
        scaled.load_state_dict(plain.state_dict())
        images = torch.randn(3, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(scaled(images), plain(images) / 8)

    @pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (33, 47, 3), (64, 64, 4)])
    def test_fits_other_sizes_channels_and_classes(self, shape):
        model = CustomResNet(widths=(4, 8, 8, 16)).build(info(7, shape))
        height, width, channels = shape
        assert model(torch.randn(2, channels, height, width)).shape == (2, 7)

    def test_refuses_images_that_are_too_small(self):
        with pytest.raises(UserError, match="at least 8x8 pixels, got 7x32"):
            CustomResNet().build(info(shape=(7, 32, 3)))

    def test_names_the_four_depths_of_its_activation_maps(self):
        model = CustomResNet().build(info())
        assert tuple(CustomResNet().cam_layers()) == ("layer1", "res1", "layer2", "res2")
        assert isinstance(model.get_submodule("res1"), ResBlock)
        assert isinstance(model.get_submodule("res2"), ResBlock)

    def test_trains_in_channels_last_and_bf16(self):
        model = CustomResNet(widths=(4, 8, 8, 16)).build(info()).to(memory_format=torch.channels_last)
        images = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            loss = CrossEntropy().build(info())(model(images), torch.tensor([0, 1, 2, 3]))
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())

    @pytest.mark.parametrize("widths", [[64, 128, 256], [64, 128, 256, 0]])
    def test_refuses_wrong_widths(self, widths):
        with pytest.raises(ValidationError):
            CustomResNet.model_validate_json(json.dumps({"widths": widths}), strict=True)


class TestTorchvisionModel:
    @pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
    def test_is_sized_for_the_classes(self, name):
        model = TorchvisionModel(name=name).build(info(7)).eval()
        with torch.no_grad():
            assert model(torch.randn(2, 3, 64, 64)).shape == (2, 7)

    def test_gives_one_output_in_training_where_torchvision_would_give_two(self):
        model = TorchvisionModel(name="googlenet").build(info(3)).train()
        assert isinstance(model(torch.randn(2, 3, 64, 64)), torch.Tensor)

    def test_names_the_nearest_model(self):
        with pytest.raises(UserError, match="no classifier 'resnet81'; did you mean 'resnet18'"):
            TorchvisionModel(name="resnet81").build(info())

    def test_refuses_other_than_three_channels(self):
        with pytest.raises(UserError, match="3 channels, the dataset's have 1"):
            TorchvisionModel().build(info(shape=(32, 32, 1)))

    def test_names_layers_for_activation_maps(self):
        model = TorchvisionModel(name="resnet18").build(info())
        assert all(model.get_submodule(layer) for layer in TorchvisionModel(name="resnet18").cam_layers())
        assert TorchvisionModel(name="unknown").cam_layers() == ()


class TestWeights:
    NAME = "squeezenet1_1"

    def save(self, path, classes, **changes):
        state = TorchvisionModel(name=self.NAME).build(info(classes)).state_dict()
        state.update(changes)
        save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
        return state

    def load(self, path, classes=10):
        return TorchvisionModel(name=self.NAME, weights=path).build(info(classes)).state_dict()

    @pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors"])
    def test_are_loaded_from_a_file(self, tmp_path, monkeypatch, ending):
        monkeypatch.setenv("HOME", str(tmp_path))
        saved = self.save(tmp_path / f"weights{ending}", 10)
        loaded = self.load(Path(f"~/weights{ending}"))
        assert all(torch.equal(saved[name], loaded[name]) for name in saved)

    def test_of_another_number_of_classes_come_without_the_last_layer(self, tmp_path, caplog):
        saved = self.save(tmp_path / "weights.pt", 10)
        with caplog.at_level(logging.WARNING):
            loaded = self.load(tmp_path / "weights.pt", classes=4)
        head = {"classifier.1.weight", "classifier.1.bias"}
        assert all(torch.equal(saved[name], loaded[name]) for name in saved.keys() - head)
        assert loaded["classifier.1.weight"].shape[0] == 4
        assert "classifier.1.weight, classifier.1.bias made for another number of classes" in caplog.text

    def test_that_do_not_fit_are_refused_with_what_differs(self, tmp_path):
        path = tmp_path / "weights.pt"
        state = self.save(path, 10)
        state["features.0.weight"] = torch.zeros(3, 3, 3, 3)
        state["extra"] = state.pop("features.0.bias")
        torch.save(state, path)
        with pytest.raises(UserError) as caught:
            self.load(path)
        assert "missing: features.0.bias; unexpected: extra; features.0.weight is (3, 3, 3, 3)" in str(caught.value)

    def test_file_problems_are_the_users(self, tmp_path):
        with pytest.raises(UserError, match=r"none\.pt cannot be read: .*No such file"):
            self.load(tmp_path / "none.pt")
        with pytest.raises(UserError, match=r"none\.safetensors cannot be read: .*No such file"):
            self.load(tmp_path / "none.safetensors")
        with pytest.raises(UserError, match=r"~nobody-here/none\.pt cannot be read: .*No such file"):
            self.load(Path("~nobody-here/none.pt"))
        for ending in (".pt", ".safetensors"):
            broken = tmp_path / f"broken{ending}"
            broken.write_bytes(b"not weights")
            with pytest.raises(UserError, match="broken or holds more than tensors"):
                self.load(broken)
        torch.save({"epoch": 3}, tmp_path / "other.pt")
        with pytest.raises(UserError, match="holds no state dict"):
            self.load(tmp_path / "other.pt")

    def test_no_code_of_a_file_runs(self, tmp_path):
        torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
        with pytest.raises(UserError, match="holds more than tensors"):
            self.load(tmp_path / "module.pt")


class TestCrossEntropy:
    def test_is_the_mean_over_the_batch(self):
        logits, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
        expected = -logits.log_softmax(dim=1)[torch.arange(6), targets].mean()
        torch.testing.assert_close(CrossEntropy().build(info())(logits, targets), expected)

    def test_smooths_labels_and_takes_probabilities(self):
        logits, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
        smooth = nn.functional.one_hot(targets, 4) * 0.9 + 0.1 / 4
        loss = CrossEntropy(label_smoothing=0.1).build(info())(logits, targets)
        torch.testing.assert_close(loss, CrossEntropy().build(info())(logits, smooth))

    @pytest.mark.parametrize("value", [-0.1, 1.0])
    def test_refuses_a_smoothing_outside_its_range(self, value):
        with pytest.raises(ValidationError):
            CrossEntropy(label_smoothing=value)
