"""`frame run` and `frame resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from .completion import complete_override, complete_recipe, complete_run
from .devices import DEVICES, is_main_process, launch, must_launch
from .events import JSON, console_of

RECIPE = click.argument("recipe", shell_complete=complete_recipe)
RUN = click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False), shell_complete=complete_run)
TRUST = click.option("--trust", is_flag=True, help="Load the plugins of a run's folder that was not made here.")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_override)
OUT = click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
                   help="Folder that the run's own folder is made in.")  # fmt: skip


class RunOptions(TypedDict):
    """The options of `frame run`."""

    out: Path
    dry_run: bool
    repeat: int
    devices: int
    trust: bool
    folder: Path | None
    group: str | None
    as_json: bool


@click.command(short_help="Train a recipe.")
@RECIPE
@OVERRIDES
@OUT
@click.option("--dry-run", is_flag=True, help="Build everything, put one batch through it all, leave nothing behind.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="N",
              help="Run N times, seeds counting up; mean and standard deviation at the end.")  # fmt: skip
@DEVICES
@JSON
@TRUST
@click.option("--folder", type=click.Path(path_type=Path), hidden=True, help="The run's own folder, named by a sweep.")
@click.option("--group", hidden=True, help="The sweep's name.")
@click.pass_context
def run(context: click.Context, recipe: str, overrides: tuple[str, ...], **options: Unpack[RunOptions]) -> None:
    """Train RECIPE, a file or the name of a shipped recipe, and leave one folder with all there is to know.

    Settings are overridden by KEY=VALUE: train.epochs=5 optimizer.use=sgd analyzers.0.count=9
    """
    from ..recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides, trust=options["trust"])
    if must_launch(options["devices"], dry_run=options["dry_run"]):
        context.exit(launch(options["devices"]))

    from ..compute.distributed import joined
    from ..compute.relaunch import begun
    from ..rundir.new import NewRun
    from ..runs.dry_run import dry_run
    from ..runs.repeat import repeat_runs
    from ..runs.resume import resume as resume_run
    from ..runs.start import start

    out, times = options["out"], options["repeat"]
    with console_of(context, as_json=options["as_json"]) as console:
        for warning in loaded.warnings if is_main_process() else ():
            console.warn(str(warning))
        if options["dry_run"]:
            dry_run(loaded, console)
        elif times == 1 and (earlier := begun(out, loaded.recipe.name)):
            resume_run(earlier.path, console, trust=options["trust"])
        else:
            with joined(loaded.recipe.train.device) as world:
                if times > 1:
                    repeat_runs(loaded, out, times, console, world)
                else:
                    start(loaded, NewRun(out, options["folder"], group=options["group"]), console, world)


@click.command(short_help="Continue an interrupted run.")
@RUN
@OVERRIDES
@DEVICES
@JSON
@TRUST
@click.pass_context
def resume(
    context: click.Context, run: Path, overrides: tuple[str, ...], *, devices: int, as_json: bool, trust: bool
) -> None:
    """Continue the interrupted RUN (its folder) to its end, as if it had not been interrupted.

    KEY=VALUE changes what leaves no mark on the result: trackers, analyzers, checkpoint.every_steps, data.root, ...
    """
    if must_launch(devices):
        context.exit(launch(devices))

    from ..runs.resume import resume as resume_run

    with console_of(context, as_json=as_json) as console:
        resume_run(run, console, overrides, trust=trust)
