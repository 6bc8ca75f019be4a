"""Freezing: parameters that are trained for some epochs only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from frame import (
    Callback,
    CallbackComponent,
    Component,
    Problem,
    TrainingRun,
    UserError,
    hookimpl,
    trainable_parameters,
)

Epochs = Annotated[int, Field(ge=0)]


class Freeze(CallbackComponent):
    """Stops the training of some parameters after so many epochs; what is frozen costs no gradient any more.

    A frozen parameter stays as it is, weight decay and momentum included. Source: Brock et al., FreezeOut, 2017
    (https://arxiv.org/abs/1706.04983); airbench94 freezes the bias of its first layer after 3 epochs.
    """

    after_epochs: dict[str, Epochs] = Field(examples=[{"*.bias": 3}], min_length=1)
    """Epochs that the parameters train whose names match a pattern: `{"whiten.bias": 3}`. Of several patterns that
    match, the lowest number counts."""

    def review(self, epochs: float) -> Iterable[Problem]:
        for pattern, number in self.after_epochs.items():
            if number >= epochs:
                message = f"train.epochs is {epochs:g}: '{pattern}' is never frozen"
                yield Problem(message, "after_epochs", level="warning")

    def frozen_from_start(self, names: Iterable[str]) -> Collection[str]:
        patterns = [pattern for pattern, number in self.after_epochs.items() if number == 0]
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]

    def build(self, run: TrainingRun) -> Freezing:
        names = trainable_parameters(run.model, self.after_epochs, "freeze.after_epochs")
        ends = [pattern for pattern, number in self.after_epochs.items() if number < run.steps.passes]
        if all(any(fnmatchcase(name, pattern) for pattern in ends) for name in names):
            raise UserError("freeze.after_epochs: it freezes every parameter before the run's last epoch")
        return Freezing(run, self.after_epochs)


class Freezing(Callback):
    """Freezes at the beginning of an epoch. It remembers nothing: the epoch's number says what is frozen."""

    def __init__(self, run: TrainingRun, after_epochs: Mapping[str, int]) -> None:
        self.run, self.after_epochs = run, after_epochs

    def on_run_start(self) -> None:
        """A run may go on in the middle of an epoch, which does not begin again."""
        self.on_epoch_start()

    def on_epoch_start(self) -> None:
        due = [pattern for pattern, number in self.after_epochs.items() if number <= self.run.epoch]
        for name, parameter in self.run.model.named_parameters():
            if any(fnmatchcase(name, pattern) for pattern in due):
                parameter.requires_grad_(False)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"freeze": Freeze}
