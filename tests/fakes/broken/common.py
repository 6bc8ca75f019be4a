"""What the broken components share."""

from __future__ import annotations

import itertools

import frame
from frame.testing import TinyNet

COUNT = itertools.count()


def broken(kind, build, **body):
    """Return a component of a kind whose `build` is this function."""
    return type("Broken", (getattr(frame, kind),), {"__module__": __name__, "build": build, **body})


def net(data) -> TinyNet:
    return TinyNet(data.channels, data.num_classes)


def raises(error):
    raise error
