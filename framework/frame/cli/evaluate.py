"""`frame evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from .run import OVERRIDES, RUN, TRUST
from .text import echo, warn

DEVICE = click.option("--device", metavar="NAME", help="Compute on cpu, mps, cuda or cuda:N, not where the run did.")


@click.command(short_help="Measure a finished run on a test set again.")
@RUN
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print an object: run, images, loss, accuracy, lacks.")
@DEVICE
@TRUST
def evaluate(run: Path, overrides: tuple[str, ...], *, as_json: bool, device: str | None, trust: bool) -> None:
    """Print loss and accuracy of the finished RUN (its folder) on its test set, or on another of the same classes.

    KEY=VALUE names the other data: data.root=FOLDER, data.use=..., data.eval_transforms=... Nothing is written. Classes
    that it has no test image of are named on standard error, so is what is left out of its folders.
    """
    from ..input.data_checks import named
    from ..rundir.jsonfile import to_json
    from ..runs.evaluate_again import measure
    from ..runs.open import open_changed, refuse_others

    refuse_others(overrides, "data.")
    opened = open_changed(run, [*overrides, *device_override(device)], trust=trust)
    found = measure(opened, lambda text: echo(text, err=True))
    if found["lacks"]:
        warn(f"no test image of {named(found['lacks'])}: the result says nothing of them")
    if as_json:
        echo(to_json({"run": str(run), **found}))
    else:
        echo(f"{found['images']:,} test images  loss {found['loss']:.4f}  accuracy {found['accuracy']:.2%}")


def device_override(device: str | None) -> list[str]:
    """Return the override that chooses the device, if one was given."""
    return [f"train.device={device}"] if device else []
