"""A run that was interrupted or killed, from its last checkpoint to its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ..compute.distributed import joined, place
from ..compute.randomness import seed_everything
from ..console import Console
from ..errors import UserError
from ..recipe.identity import check_same_run
from ..recipe.load import load_recipe
from ..recipe.saved import keep_plugins, save_recipe
from ..rundir.checkpoints import load_last
from ..rundir.folder import open_run
from ..training.build import build, load_data
from .beginning import Beginning
from .same_plugins import check_same_plugins
from .start import Outcome, run_to_end


def resume(path: Path, console: Console, overrides: Sequence[str] = (), *, trust: bool = False) -> Outcome:
    """Continue a run in its own folder, from its last whole checkpoint, or from its beginning where it has none.

    overrides: changes of settings that leave no mark on the result. Raises UserError for others. trust: load
    the run's plugins whoever made it; from then on they are this user's.
    """
    folder = open_run(path)
    record = folder.read_record()
    if record["state"] == "finished":
        raise UserError(f"{path} is finished; there is nothing to resume", "wrong-state")
    if not folder.recipe.is_file():
        raise UserError(f"{path} stopped before anything was saved; start it again with frame run", "wrong-state")
    with ExitStack() as stack:
        if place().first:
            stack.enter_context(folder.locked())
        loaded = load_recipe(str(folder.recipe), overrides, trust=trust)
        recipe = loaded.recipe
        world = stack.enter_context(joined(recipe.train.device))
        check_same_plugins(recipe, world)
        data = world.in_turn(lambda: load_data(recipe))
        if not world.first:
            seed_everything(recipe.seed)
            return run_to_end(loaded, build(recipe, data, world, fresh=False), None, console)
        state, notes = load_last(folder)
        if state:
            check_same_run(state, recipe, loaded.source, data)
        folder.remove_leftovers()
        seed_everything(recipe.seed)
        parts = build(recipe, data, world, fresh=state is None)
        if trust:
            keep_plugins(folder, recipe, console.warn)
        if overrides:
            save_recipe(folder, recipe)
        console.log = folder.log
        for note in notes:
            console.warn(note)
        return run_to_end(
            loaded, parts, Beginning(folder, state=state, resumed=True, group=record.get("group")), console
        )
