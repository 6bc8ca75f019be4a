"""Models that break what every component promises."""

from __future__ import annotations

import torch
from pydantic import ConfigDict, Field

import frame
from frame import Problem

from .common import COUNT, broken, net


class Unpicklable(frame.ModelComponent):
    """Keeps a list where it says that it keeps a tuple."""

    widths: tuple[int, ...] = [1, 2]

    def build(self, data):
        return net(data)


class OutOfBounds(frame.ModelComponent):
    """Its own default is refused."""

    width: int = Field(0, gt=0)
    """Channels."""

    def build(self, data):
        return net(data)


class TakesAnything(frame.ModelComponent):
    """Knows no unknown settings."""

    model_config = ConfigDict(extra="ignore")

    def build(self, data):
        return net(data)


class Mutable(frame.ModelComponent):
    """Can be changed."""

    model_config = ConfigDict(frozen=False)
    width: int = 8
    """Channels."""

    def build(self, data):
        return net(data)


class NoSchema(frame.ModelComponent):
    """Has a setting that no recipe could hold."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    dtype: torch.dtype = torch.float32
    """Of the weights."""

    def build(self, data):
        return net(data)


class Bare(frame.ModelComponent):
    """Says nothing of its setting."""

    width: int = 8

    def build(self, data):
        return net(data)


class Nameless(Bare):
    width: int = 8
    """Channels."""


class Reviewer(frame.ModelComponent):
    """Names a setting that it has not."""

    width: int = 8
    """Channels."""

    def review(self, epochs):
        yield Problem("is odd", "widht")

    def build(self, data):
        return net(data)


class Checker(frame.ModelComponent):
    """Checks a setting that it has not."""

    width: int = 8
    """Channels."""

    @classmethod
    def check_settings(cls, settings):
        yield Problem("is odd", "widht.0")

    def build(self, data):
        return net(data)


def fails(self, data):
    raise RuntimeError("no luck")


def seeds(self, data):
    torch.manual_seed(0)
    return net(data)


def counts(self, data):
    model = net(data)
    model.head.bias.data += next(COUNT)
    return model


EVERY_KIND = [
    ("builds", "built from its settings, raised RuntimeError: no luck", broken("ModelComponent", fails)),
    ("builds", "returned NoneType, not an nn.Module", broken("ModelComponent", lambda self, data: None)),
    ("schema_is_json", "give its fields types that JSON knows", NoSchema),
    ("settings_come_back", "width: Input should be greater than 0", OutOfBounds),
    ("settings_come_back", "widths of Unpicklable comes back from JSON as something else", Unpicklable),
    ("unknown_settings_are_refused", "leave `extra` out of its model_config", TakesAnything),
    ("settings_are_frozen", "Mutable.width can be changed: leave `frozen` out", Mutable),
    ("documented", "width of Bare has no description: write a docstring below the field", Bare),
    ("documented", "Nameless has no docstring of its own", Nameless),
    ("reviews_name_its_settings", "with the key ['widht']; did you mean 'width'?", Reviewer),
    ("reviews_name_its_settings", "check_settings names no setting with the key ['widht.0']", Checker),
    ("same_seed_same_outcome", "does not repeat itself: [0]['head.bias'] differs", broken("ModelComponent", counts)),
    ("leaves_the_global_generators_alone", "seeds the global generator of torch", broken("ModelComponent", seeds)),
]
