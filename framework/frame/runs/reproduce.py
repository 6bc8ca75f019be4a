"""A finished run, run again from its resolved recipe and compared: the same to the bit, or how far apart and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ..console import Console
from ..errors import UserError
from ..recipe.load import load_recipe
from ..rundir.folder import RunDir, open_run
from ..rundir.history import read_lines
from ..rundir.jsonfile import read_json
from ..rundir.new import NewRun
from ..training.lr_finder import read_finding
from .environment import differences
from .start import start


def reproduce(path: Path, out: Path, console: Console, *, trust: bool = False) -> bool:
    """Run `path` again under `out`, without trackers and analyzers; say what differs, and return whether nothing does.

    Raises UserError for a run that is not finished. trust: load the run's plugins whoever made it.
    """
    first = open_run(path)
    if (state := first.read_record()["state"]) != "finished":
        text = f"{path} is {state}, not finished: there is nothing to compare with; frame resume {path} goes on"
        raise UserError(text, "wrong-state")
    loaded = load_recipe(str(first.recipe), trust=trust)
    recipe = loaded.recipe.without("trackers", "analyzers")
    second = RunDir(start(replace(loaded, recipe=recipe), NewRun(out), console).folder)
    found = [*_learning_rates(first, second), *_metrics(first, second), *_weights(first, second)]
    console.log = None
    if not found:
        console.say(f"reproduced: metrics and weights of {second.path} are those of {path}, to the bit")
        return True
    for text in found:
        console.say(f"differs   {text}")
    changed = differences(*(read_json(run.environment, dict[str, Any]) for run in (first, second)))
    for text in changed or ["neither versions nor device"]:
        console.say(f"changed   {text}")
    return False


def _learning_rates(first: RunDir, second: RunDir) -> Iterator[str]:
    one, other = read_finding(first), read_finding(second)
    if one != other:
        suggestions = [finding.suggestion if finding else None for finding in (one, other)]
        yield "LR finder: suggests {1} instead of {0}".format(*suggestions)


def _metrics(first: RunDir, second: RunDir) -> Iterator[str]:
    """Compare the lines of metrics.jsonl; of those that differ, name the first and the farthest."""
    if first.metrics.read_bytes() == second.metrics.read_bytes():
        return
    one, other = read_lines(first.metrics), read_lines(second.metrics)
    if len(one) != len(other):
        yield f"metrics: {len(other)} lines instead of {len(one)}"
    pairs = [(old, new) for old, new in zip(one, other, strict=False) if old != new]
    if pairs:
        yield f"metrics: from step {pairs[0][0]['step']} on"
    apart: dict[str, float] = {}
    for old, new in pairs:
        for name in old.keys() & new.keys() - {"kind"}:
            if old[name] is None or new[name] is None:  # it was no number
                apart[name] = inf if old[name] != new[name] else apart.get(name, 0.0)
            else:
                apart[name] = max(apart.get(name, 0.0), abs(old[name] - new[name]))
    yield from (f"metrics: {name} by up to {most:.3g}" for name, most in sorted(apart.items()) if most)


def _weights(first: RunDir, second: RunDir) -> Iterator[str]:
    """Compare the tensors of model.safetensors; name how many differ, and the farthest."""
    one, other = load_file(first.weights), load_file(second.weights)
    if shapes := [
        name for name in one | other if name not in one or name not in other or one[name].shape != other[name].shape
    ]:
        yield f"weights: {', '.join(shapes[:3])} of another shape, or in one of them only"
        return
    apart = {name: float((one[name].double() - other[name].double()).abs().max()) for name in one}
    unequal = {name: most for name, most in apart.items() if not one[name].equal(other[name])}
    if unequal:
        worst = max(unequal, key=lambda name: unequal[name])
        yield f"weights: {len(unequal)} of {len(one)} tensors, {worst} most, by up to {unequal[worst]:.3g}"
