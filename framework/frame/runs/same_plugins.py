"""All processes of a run have imported the same plugin files."""

from __future__ import annotations

from ..compute.distributed import World
from ..compute.interrupts import Interrupted
from ..errors import RunFailed
from ..recipe.recipe import Recipe
from ..recipe.saved import plugin_files


def check_same_plugins(recipe: Recipe, world: World) -> None:
    """Raise RunFailed unless all processes of a run imported the same plugin files; the others end by Interrupted."""
    found = world.gather({str(file.path): file.digest for file in plugin_files(recipe)})
    for rank, other in enumerate(found):
        if changed := [path for path in found[0] | other if found[0].get(path) != other.get(path)]:
            if not world.first:
                raise Interrupted  # the first process says why
            raise RunFailed(
                f"processes 0 and {rank} of the run read {changed[0]} differently: was it edited while they began? "
                "Start the run again"
            )
