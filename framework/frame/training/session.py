"""What is told of a run's events: the folder, the terminal, the trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..compute.distributed import World
from ..compute.interrupts import StopRequest
from ..console import Console
from ..recipe.recipe import Recipe
from ..rundir.folder import RunDir
from .trackers import Trackers


@dataclass(frozen=True)
class Session:
    """One process's part in a run, from its start or a resume to its end.

    recipe: with the learning rates that it trains with. stop: whether it is asked to stop. page: writes the report of
    the run so far.
    """

    recipe: Recipe
    folder: RunDir
    world: World
    console: Console
    trackers: Trackers
    stop: StopRequest
    page: Callable[[], None]
