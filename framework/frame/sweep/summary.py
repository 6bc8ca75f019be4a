"""What a sweep came to: a table, a picture with an axis for each key, and the best trial's recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.figures import INK, house_style, new_figure, png
from ..api.results import Picture
from ..api.text import shorten
from ..console import Console
from ..console.events import BestTrial, SweepEnd
from ..console.tables import fitted, wrapped
from ..errors import shown
from ..recipe.load import load_recipe
from ..recipe.saved import as_yaml
from ..rundir.files import write_bytes, write_text
from ..rundir.folder import open_run
from ..secrets import printable
from .axes import height, short, ticks
from .record import SweepDir, Trial
from .spec import Dimension, Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def summarize(folder: SweepDir, console: Console, *, complete: bool) -> None:
    """Print the table; write the picture and best.yaml beside sweep.json. complete: whether all trials have ended."""
    best = folder.record.best
    _say_table(folder, best, console)
    told = SweepEnd(event="sweep_end", sweep=str(folder.path), complete=complete, best=None, recipe=None, picture=None)
    if best is None or best.run is None or best.value is None:
        console.say(f"sweep     {folder.path}: no trial has a result")
        console.tell(told)
        return
    picture, recipe = folder.path / "parallel.png", folder.path / "best.yaml"
    write_bytes(picture, draw(folder.sweep, folder.trials))
    write_text(recipe, _best_recipe(folder, best))
    console.say(f"best      trial {best.number}: {folder.sweep.metric} {best.value:.4f}  {best.text}")
    console.say(f"recipe    {recipe}  (frame run {recipe})")
    console.say(f"picture   {picture}")
    point = BestTrial(trial=best.number, value=best.value, point=best.point, run=best.run)
    console.tell({**told, "best": point, "recipe": str(recipe), "picture": str(picture)})


def _say_table(folder: SweepDir, best: Trial | None, console: Console) -> None:
    """Say the trials, the best ones on top, and below each that failed why."""
    trials, keys, width = folder.record.ranked, list(folder.sweep.space), console.width
    cells = [_cells(folder, trial) for trial in trials]
    for names in (keys, _last_parts(keys)):  # on a terminal too narrow for the whole keys
        header = ("trial", *names, folder.sweep.metric, "epochs", "state", "run")
        head, *rows = fitted(header, cells, width, whole=len(header) - 1)
        if len(head) == 1:
            break
    for line in head:
        console.say(line, "bold")
    for trial, lines in zip(trials, rows, strict=True):
        why = wrapped(trial.error, width) if trial.error else []
        for line in [*lines, *why]:
            console.say(line, "bold green" if trial is best else "")


def _last_parts(keys: Sequence[str]) -> Sequence[str]:
    """Return `lr` of `optimizer.lr`, and so on; the whole keys where two end alike."""
    parts = [key.rpartition(".")[2] for key in keys]
    return parts if len(set(parts)) == len(parts) else keys


def _cells(folder: SweepDir, trial: Trial) -> list[str]:
    values = [short(trial.point.get(key)) for key in folder.sweep.space]
    value = "" if trial.value is None else f"{trial.value:.4f}"
    run = shown(Path(trial.run)) if trial.run else "–"
    return [printable(cell) for cell in (str(trial.number), *values, value, f"{trial.epochs:g}", trial.state, run)]


def _best_recipe(folder: SweepDir, best: Trial) -> str:
    run = open_run(Path(best.run or ""))
    values = load_recipe(str(run.recipe)).recipe.values()
    value = f"{folder.sweep.metric} {best.value:.4f}"
    return f"# Trial {best.number} of {len(folder.trials)}: {value}; run {shown(run.path)}\n{as_yaml(values)}"


def draw(sweep: Sweep, trials: Sequence[Trial]) -> bytes:
    """Return parallel coordinates as PNG: a line for each trial through its values, coloured by the metric."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    valued = [trial for trial in trials if trial.value is not None]
    results = [trial.value or 0.0 for trial in valued]
    with house_style():
        figure = new_figure(4.2)
        axes = figure.add_subplot()
        norm = Normalize(min(results), max(results))
        colors = colormaps["viridis" if sweep.mode == "max" else "viridis_r"]
        for trial, result in sorted(zip(valued, results, strict=True), key=lambda one: one[1]):
            heights = [height(dimension, trial.point[key]) for key, dimension in sweep.space.items()]
            axes.plot(heights, color=colors(norm(result)), marker="o", markersize=4, alpha=0.9)
        for place, dimension in enumerate(sweep.space.values()):
            _draw_axis(axes, place, dimension)
        axes.set(title=f"{sweep.settings.name}: {len(valued)} trials", ylim=(-0.12, 1.08), yticks=[])
        axes.set_xlim(-0.3, max(len(sweep.space) - 1, 0) + 0.3)
        axes.set_xticks(range(len(sweep.space)), [shorten(key, 24) for key in sweep.space])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.colorbar(ScalarMappable(norm, colors), ax=axes, label=sweep.metric)
        return png(Picture("parallel", "", figure))


def _draw_axis(axes: Axes, place: int, dimension: Dimension) -> None:
    """Draw an axis with its ends, or its choices where they are few."""
    axes.axvline(place, color="#999999", linewidth=0.8, zorder=0)
    for text, at in ticks(dimension):
        axes.annotate(shorten(text, 18), (place, at), (5, 4), textcoords="offset points", fontsize=8, color=INK)
