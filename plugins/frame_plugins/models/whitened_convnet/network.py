"""The network in torch: takes plain values, knows no settings. Shapes in comments are those of a 32x32 image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 2


class Conv(nn.Conv2d):
    """A 3x3 convolution without bias whose first filters hand their own channel on, the others random."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding="same", bias=False)
        nn.init.dirac_(self.weight.data[:channels_in])


def batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Return a batch norm with a trainable bias and no factor. momentum: what is kept, torch's says what is taken."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=1 - momentum)
    norm.weight.requires_grad_(False)
    return norm


class Block(nn.Module):
    """Conv, max pool 2, batch norm, GELU, conv, batch norm, GELU: (C_in, H, W) -> (C_out, H / 2, W / 2)."""

    def __init__(self, channels_in: int, channels_out: int, momentum: float) -> None:
        super().__init__()
        self.conv1 = Conv(channels_in, channels_out)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = batch_norm(channels_out, momentum)
        self.conv2 = Conv(channels_out, channels_out)
        self.norm2 = batch_norm(channels_out, momentum)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.gelu(self.norm1(self.pool(self.conv1(x))))
        return self.gelu(self.norm2(self.conv2(x)))


class WhitenedConvNetModule(nn.Module):
    """Images (N, channels, H, W), H and W at least 9, to logits (N, num_classes)."""

    def __init__(
        self,
        widths: tuple[int, int, int],
        channels: int,
        num_classes: int,
        momentum: float,
        scale: float,
        whiten_eps: float,
    ) -> None:
        super().__init__()
        whitened = 2 * channels * KERNEL**2
        self.whiten = nn.Conv2d(channels, whitened, KERNEL)  # (24, 31, 31)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]  # it has one
        self.gelu = nn.GELU()
        self.block1 = Block(whitened, widths[0], momentum)  # (64, 15, 15)
        self.block2 = Block(widths[0], widths[1], momentum)  # (256, 7, 7)
        self.block3 = Block(widths[1], widths[2], momentum)  # (256, 3, 3)
        self.head = nn.Linear(widths[2], num_classes, bias=False)
        self.scale, self.whiten_eps = scale, whiten_eps

    def forward(self, images: Tensor) -> Tensor:
        x = self.gelu(self.whiten(images))
        x = self.block3(self.block2(self.block1(x)))
        x = functional.max_pool2d(x, kernel_size=x.shape[-2:]).flatten(1)  # (N, 256)
        logits: Tensor = self.head(x) * self.scale
        return logits

    @torch.no_grad()
    def init_from_data(self, images: Tensor) -> None:
        """Make the first layer whiten the patches of `images` (N, channels, H, W), normalised."""
        filters = whitening_filters(images, KERNEL, self.whiten_eps)
        self.whiten.weight.copy_(torch.cat([filters, -filters]))


def whitening_filters(images: Tensor, size: int, eps: float) -> Tensor:
    """Return the eigenvectors of the covariance of all size x size patches, each over its standard deviation.

    images: (N, C, H, W). Returns (C * size**2, C, size, size), that of the greatest variance first. As in the original,
    the mean is taken for 0, and `eps` is added to the variances.
    """
    channels = images.shape[1]
    patches = images.float().unfold(2, size, 1).unfold(3, size, 1)  # (N, C, H', W', size, size)
    flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * size**2)
    variances, vectors = torch.linalg.eigh(flat.T @ flat / len(flat), UPLO="U")  # ascending, in columns
    scaled = vectors.T / (variances[:, None] + eps).sqrt()
    return scaled.flip(0).view(-1, channels, size, size)
