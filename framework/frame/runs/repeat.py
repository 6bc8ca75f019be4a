"""A recipe run several times: how much its result varies with the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from ..compute.distributed import ALONE, World
from ..console import Console
from ..console.events import RepeatEnd
from ..recipe.load import Loaded
from ..report.comparison.repeats import Repeat, write_repeat
from ..rundir.new import NewRun, new_path
from ..training.build import load_data
from .start import Outcome, start


def repeat_runs(loaded: Loaded, out: Path, times: int, console: Console, world: World = ALONE) -> list[Outcome]:
    """Run a recipe several times, with seeds that count up from its own, and say how much the result varies.

    A page of what the runs have come to is written after each of them, one that fails or is interrupted too.
    """
    varies = loaded.recipe.data.validation  # a validation split depends on the seed
    data = None if varies else world.in_turn(lambda: load_data(loaded.recipe))
    place = NewRun(out, group=new_path(out, loaded.recipe.name).name)
    outcomes = []
    page = None
    for number in range(times):
        recipe = replace(loaded.recipe, seed=loaded.recipe.seed + number)
        console.say(f"-- run {number + 1} of {times}, seed {recipe.seed}")
        try:
            outcomes.append(start(replace(loaded, recipe=recipe), place, console, world, data))
        finally:
            page = _page(place, recipe.name, times, console) if world.first else None
    accuracies = [outcome.test_accuracy for outcome in outcomes]
    console.log = None
    told = RepeatEnd(
        event="repeat_end",
        runs=[str(outcome.folder) for outcome in outcomes],
        test_accuracies=accuracies,
        mean=mean(accuracies),
        std=stdev(accuracies),
    )
    console.tell(told)
    spread = f"{mean(accuracies):.2%} ± {stdev(accuracies):.2%}"
    console.say(f"test accuracy of {times} runs: {spread} (mean, standard deviation)")
    if page:
        console.say(f"page      {page}")
    return outcomes


def _page(place: NewRun, name: str, times: int, console: Console) -> Path | None:
    """Write the page; the runs' results stand without it."""
    try:
        return write_repeat(place.out, Repeat(name=name, group=place.group or "", runs=times))
    except Exception as problem:
        console.warn(f"the page of the repeat could not be written: {type(problem).__name__}: {problem}")
        return None
