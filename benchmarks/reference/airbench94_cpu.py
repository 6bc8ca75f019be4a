"""airbench94's loop by hand, on the CPU: what `recipes/cifar10_speedrun.yaml` is measured against.

    uv run python benchmarks/reference/airbench94_cpu.py --root FOLDER [--epochs 9.9] [--seed 0]

FOLDER holds CIFAR-10 as frame's `cifar10` reads it. Printed are, as JSON, the seconds of the training (whitening
included; reading and evaluation are not) and the test accuracy with and without test-time augmentation. Nothing here is
frame's but the reader, and nothing of frame uses this.

A port of airbench94.py, version 0.1.8 of the package `airbench` on the Python index (K. Jordan, MIT licence;
https://arxiv.org/abs/2404.00498). What differs: bf16 autocast over fp32 weights stands for the half-precision network,
and fp32 where the CPU does not compute in bf16, since emulating it is slower; a gather for the boolean masks of the
crop; and 5000 images drawn at random are whitened, not the first 5000, because a tree of images is sorted by class.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from frame_plugins.data.cifar10 import Cifar10

BATCH, LR, MOMENTUM, DECAY = 1024, 11.5, 0.85, 0.0153  # rate and decay per 1024 images, free of the momentum
BIAS_SCALE, SMOOTHING, WHITEN_BIAS_EPOCHS = 64.0, 0.2, 3
WIDTHS, NORM_MOMENTUM, LOGIT_SCALE = (64, 256, 256), 0.6, 1 / 9
PAD = 2
BF16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
MEAN, STD = torch.tensor((0.4914, 0.4822, 0.4465)), torch.tensor((0.2470, 0.2435, 0.2616))


class Conv(nn.Conv2d):
    """3x3 without bias, or the 2x2 that whitens; the first filters hand their own channel on."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 3) -> None:
        whitens = size == 2
        super().__init__(channels_in, channels_out, size, padding=0 if whitens else "same", bias=whitens)
        if self.bias is not None:
            self.bias.data.zero_()
        nn.init.dirac_(self.weight.data[:channels_in])


class Norm(nn.BatchNorm2d):
    """Batch norm with a bias and no factor."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-12, momentum=1 - NORM_MOMENTUM)
        self.weight.requires_grad = False


class Group(nn.Module):
    """Two convolutions, the first one pooled: (C_in, H, W) -> (C_out, H / 2, W / 2)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = Conv(channels_in, channels_out), Norm(channels_out)
        self.conv2, self.norm2 = Conv(channels_out, channels_out), Norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        return functional.gelu(self.norm2(self.conv2(x)))


class Net(nn.Module):
    """(N, 3, 32, 32) -> logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.whiten = Conv(3, 24, 2)
        self.whiten.weight.requires_grad = False
        self.groups = nn.Sequential(*(Group(*pair) for pair in zip((24, *WIDTHS[:2]), WIDTHS, strict=True)))
        self.head = nn.Linear(WIDTHS[2], 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.groups(functional.gelu(self.whiten(x)))
        return self.head(functional.max_pool2d(x, 3).flatten(1)) * LOGIT_SCALE


class Loader:
    """Yields the shuffled batches of an epoch: flipped every other epoch, shifted at random, the last one dropped."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        flipped = torch.rand(len(images)) < 0.5
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)
        self.padded = functional.pad(images, (PAD,) * 4, "reflect")
        self.labels, self.epoch = labels, 0

    def __len__(self) -> int:
        return len(self.labels) // BATCH

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        images = crop(self.padded)
        if self.epoch % 2 == 1:
            images = images.flip(-1)
        images = images.contiguous(memory_format=torch.channels_last)
        self.epoch += 1
        order = torch.randperm(len(images))
        for start in range(0, len(self) * BATCH, BATCH):
            indices = order[start : start + BATCH]
            yield images[indices].contiguous(memory_format=torch.channels_last), self.labels[indices]


def crop(padded: Tensor) -> Tensor:
    """Cut each image to its size at a random place: (N, C, H + 2 PAD, W + 2 PAD) -> (N, C, H, W)."""
    count, size = len(padded), padded.shape[-1] - 2 * PAD
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # (N, C, 5, 5, H, W)
    rows, columns = torch.randint(0, 2 * PAD + 1, (2, count))
    return windows[torch.arange(count), :, rows, columns]


def whiten(layer: nn.Conv2d, images: Tensor, eps: float = 5e-4) -> None:
    """Make the first layer's filters the scaled eigenvectors of the patches' covariance, with both signs."""
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).transpose(1, 3).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches), UPLO="U")
    filters = (vectors.T / (values[:, None] + eps).sqrt()).flip(0).view(12, 3, 2, 2)
    layer.weight.data.copy_(torch.cat([filters, -filters]))


class Lookahead:
    """Slow weights that take the place of the trained ones."""

    def __init__(self, net: nn.Module) -> None:
        self.slow = {name: value.clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module, decay: float) -> None:
        for slow, fast in zip(self.slow.values(), net.state_dict().values(), strict=True):
            if fast.is_floating_point():
                slow.lerp_(fast, 1 - decay)
                fast.copy_(slow)


def triangle(step: int, total: int, start: float = 0.2, peak: float = 0.23, end: float = 0.07) -> float:
    """Return the factor of the learning rate at a step."""
    top = int(peak * total)
    return start + (1 - start) * step / top if step < top else 1 + (end - 1) * (step - top) / (total - top)


def optimizer_of(net: Net) -> torch.optim.SGD:
    """Return SGD on the sum of the losses, with rates and decays freed of the momentum as the original does it."""
    scale = 1024 * (1 + 1 / (1 - MOMENTUM))
    lr, decay = LR / scale, DECAY * BATCH / scale
    named = [(name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad]
    biases = [parameter for name, parameter in named if "norm" in name]
    others = [parameter for name, parameter in named if "norm" not in name]
    groups = [
        {"params": biases, "lr": lr * BIAS_SCALE, "weight_decay": decay / (lr * BIAS_SCALE)},
        {"params": others, "lr": lr, "weight_decay": decay / lr},
    ]
    return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)


def train(net: Net, loader: Loader, images: Tensor, epochs: float) -> None:
    """Train for `epochs`; images: (5000, 3, 32, 32), to whiten."""
    total = ceil(len(loader) * epochs)
    optimizer = optimizer_of(net)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: triangle(step, total))
    lookahead = Lookahead(net)
    whiten(net.whiten, images)
    step = 0
    for epoch in range(ceil(epochs)):
        net.whiten.bias.requires_grad = epoch < WHITEN_BIAS_EPOCHS
        net.train()
        for inputs, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
                logits = net(inputs)
            loss = functional.cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING, reduction="sum")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step % 5 == 0:
                lookahead.update(net, 0.95**5 * (step / total) ** 3)
            if step >= total:
                lookahead.update(net, 1.0)
                return


@torch.no_grad()
def accuracy(net: Net, images: Tensor, labels: Tensor, *, augmented: bool) -> float:
    """Return the share of right answers; augmented: to six views of each image."""

    def mirrored(x: Tensor) -> Tensor:
        return 0.5 * net(x) + 0.5 * net(x.flip(-1))

    net.eval()
    correct = 0
    for x, y in zip(images.split(2000), labels.split(2000), strict=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            if augmented:
                padded = functional.pad(x, (1,) * 4, "reflect")
                shifted = torch.stack([mirrored(padded[:, :, 0:32, 0:32]), mirrored(padded[:, :, 2:34, 2:34])])
                logits = 0.5 * mirrored(x) + 0.5 * shifted.mean(0)
            else:
                logits = net(x)
        correct += int((logits.argmax(1) == y).sum())
    return correct / len(labels)


def prepared(images: object, labels: object) -> tuple[Tensor, Tensor]:
    """Return normalised images (N, 3, 32, 32) and their labels."""
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)
    return pixels.contiguous(memory_format=torch.channels_last), torch.as_tensor(labels)


def main() -> None:
    """Train once, and print what it took and came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of CIFAR-10")
    parser.add_argument("--epochs", type=float, default=9.9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Cifar10().build(options.root)
    torch.manual_seed(options.seed)
    train_images, train_labels = prepared(data.train.images, data.train.targets)
    test_images, test_labels = prepared(data.test.images, data.test.targets)
    net = Net().to(memory_format=torch.channels_last)

    since = time.perf_counter()
    loader = Loader(train_images, train_labels)
    train(net, loader, train_images[torch.randperm(len(train_images))[:5000]], options.epochs)
    seconds = time.perf_counter() - since
    plain, augmented = (accuracy(net, test_images, test_labels, augmented=augmented) for augmented in (False, True))
    print(json.dumps({"seconds": seconds, "accuracy": augmented, "accuracy_plain": plain}))


if __name__ == "__main__":
    main()
