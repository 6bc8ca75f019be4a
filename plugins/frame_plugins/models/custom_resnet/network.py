"""The network in torch: takes plain values, knows no settings. Shapes in comments are those of a 32x32 image."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional


def conv_block(channels_in: int, channels_out: int, *, pool: bool = False) -> nn.Sequential:
    """Return conv 3x3, max pool 2 where wanted, batch norm, ReLU: (C_in, H, W) -> (C_out, H, W) or half of H and W."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
    if pool:
        layers["pool"] = nn.MaxPool2d(2)
    layers["norm"] = nn.BatchNorm2d(channels_out)
    layers["relu"] = nn.ReLU()
    return nn.Sequential(layers)


class ResBlock(nn.Module):
    """Two conv blocks, added to their input. No ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block1 = conv_block(channels, channels)
        self.block2 = conv_block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block2(self.block1(x))


class GlobalMaxPool(nn.Module):
    """The maximum of each channel: (C, H, W) -> (C, 1, 1); MaxPool2d(4) where the map is 4x4.

    AdaptiveMaxPool2d(1) is the same, but has no deterministic backward pass on CUDA.
    """

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, kernel_size=x.shape[-2:])


class CustomResNetModule(nn.Module):
    """The S10 network: images (N, channels, H, W), H and W at least 8, to logits (N, num_classes).

    With `softmax` it returns probabilities instead of logits.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int],
        channels: int,
        num_classes: int,
        softmax: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        prep, width1, width2, width3 = widths
        self.prep = conv_block(channels, prep)  # (64, 32, 32)
        self.layer1 = conv_block(prep, width1, pool=True)  # (128, 16, 16)
        self.res1 = ResBlock(width1)
        self.layer2 = conv_block(width1, width2, pool=True)  # (256, 8, 8)
        self.layer3 = conv_block(width2, width3, pool=True)  # (512, 4, 4)
        self.res2 = ResBlock(width3)
        self.pool = GlobalMaxPool()  # (512, 1, 1)
        self.classifier = nn.Conv2d(width3, num_classes, kernel_size=1, bias=False)  # (10, 1, 1)
        self.softmax, self.scale = softmax, scale

    def forward(self, images: Tensor) -> Tensor:
        x = self.res1(self.layer1(self.prep(images)))
        x = self.res2(self.layer3(self.layer2(x)))
        logits = self.classifier(self.pool(x)).flatten(1)  # (N, num_classes)
        if self.scale != 1:  # the S10 network has no such factor, and its graph none to show
            logits = logits * self.scale
        return logits.softmax(dim=1) if self.softmax else logits
