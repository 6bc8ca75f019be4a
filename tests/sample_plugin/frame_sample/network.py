"""The network, apart from its settings, because it imports torch."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def tiny_cnn(width: int, channels: int, classes: int) -> nn.Module:
    """Return a module that maps (N, channels, H, W) to (N, classes) logits."""
    return nn.Sequential(
        OrderedDict(
            first=nn.Conv2d(channels, width, 3, stride=2),
            relu1=nn.ReLU(),
            second=nn.Conv2d(width, 2 * width, 3, stride=2),
            relu2=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(4),
            flatten=nn.Flatten(),
            head=nn.Linear(2 * width * 16, classes),
        )
    )
