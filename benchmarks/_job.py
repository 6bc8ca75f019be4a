"""A recipe's training as `frame run` sets it up, held just before its first step."""

from __future__ import annotations

from pathlib import Path

from frame.compute.interrupts import StopRequest
from frame.compute.randomness import seed_everything
from frame.console import Console
from frame.recipe.load import load_recipe
from frame.rundir.folder import RunDir
from frame.training.build import Parts, build, load_data
from frame.training.callbacks import Callbacks
from frame.training.engine import Job
from frame.training.events import RunEvents
from frame.training.session import Session
from frame.training.setup import build_job
from frame.training.trackers import Trackers

PLUGIN = Path(__file__).with_name("_synthetic.py")


def prepare(recipe: str, folder: Path) -> tuple[Job, RunEvents, Parts]:
    """Set the training of a recipe (its text; it may use `_synthetic`) up in `folder`; the first epoch has begun."""
    path = folder / "recipe.yaml"
    path.write_text(f"plugins: [{PLUGIN}]\n{recipe}")
    loaded = load_recipe(str(path))
    console = Console()
    console.out.quiet = True
    data = load_data(loaded.recipe)
    seed_everything(loaded.recipe.seed)
    parts = build(loaded.recipe, data)
    run, trackers = RunDir(folder / "run"), Trackers(console.warn)
    run.checkpoints.mkdir(parents=True)
    session = Session(loaded.recipe, run, parts.backend.world, console, trackers, StopRequest(), page=lambda: None)
    job = build_job(parts, run, console.warn, fresh=True, resumed=False)
    events = RunEvents(session, Callbacks(loaded.recipe.callbacks, job.run), {})
    events.run_start(job)
    events.epoch_start(job)
    return job, events, parts
