"""`frame lr-find`."""

from __future__ import annotations

import click

from .devices import must_be_alone
from .run import OVERRIDES, RECIPE, TRUST


@click.command("lr-find", short_help="Run a recipe's learning-rate finder alone.")
@RECIPE
@OVERRIDES
@TRUST
def lr_find(recipe: str, overrides: tuple[str, ...], *, trust: bool) -> None:
    """Run RECIPE's learning-rate finder alone and print its curve and its suggestion. Nothing is written."""
    must_be_alone("frame lr-find")

    from ..recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides, trust=trust)

    from ..compute.randomness import seed_everything
    from ..console import Console
    from ..errors import UserError
    from ..training.build import build, load_data
    from ..training.faults import faults_explained
    from ..training.lr_finder import curve, find_lr

    if loaded.recipe.lr_finder is None:
        raise UserError(f"{recipe} names no lr_finder; add one: lr_finder.use=lr_range_test", "missing-key")
    console = Console()
    data = load_data(loaded.recipe)
    seed_everything(loaded.recipe.seed)
    parts = build(loaded.recipe, data)
    with faults_explained(loaded.recipe):
        finding = find_lr(parts, console)
    assert finding is not None
    for line in curve(finding):
        console.say(line)
    console.say(f"suggested learning rate: {finding.suggestion:.3g} ({finding.rule})")
