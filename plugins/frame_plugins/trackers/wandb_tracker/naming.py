"""What a run is called at W&B: as the recipe says, else as WANDB_... variables say, else as frame does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame import TrainingRun

if TYPE_CHECKING:
    import wandb

PROJECT, JOB_TYPE = "frame", "train"
TAG_LENGTH = 64
"""W&B refuses longer tags."""
UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
"""What stands in no name of an artifact."""
UNSAFE_ID = re.compile(r"[^A-Za-z0-9_-]+")


def names(given: Mapping[str, Any], run: TrainingRun, base: wandb.Settings) -> dict[str, Any]:
    """Return the settings of W&B that say which run this is.

    given: the recipe's, None for what it leaves open. base: wandb's own, with what the environment says. A resumed run
    stays where it was logged first. A run that `wandb agent` started is in its sweep's project, under the agent's id.
    """
    before = place(run.folder) if run.resumed else {}
    sweep = before.get("sweep") if before else None if run.group else base.sweep_id
    where = {"project": before.get("project") or base.project, "entity": before.get("entity") or base.entity}
    defaults = {
        "project": where["project"] or PROJECT,
        "entity": where["entity"],
        "run_id": before.get("id") or _own_id(run, base.run_id) or UNSAFE_ID.sub("-", run.run_id),
        "sweep_id": sweep,
        "run_name": base.run_name or f"{run.name}-{run.run_id.rpartition('-')[2]}",
        "run_group": base.run_group or run.group,
        "run_job_type": base.run_job_type or JOB_TYPE,
        "run_tags": base.run_tags or tags(run.recipe),
        "run_notes": base.run_notes,
    }
    taken = {key: value for key, value in given.items() if value is not None}
    for key, known in where.items() if sweep else ():
        if known and taken.get(key, known) != known:
            text = f"its sweep '{sweep}' is in {key} '{known}', and so is the run"
            run.warn(f"trackers.wandb.{key}: {taken.pop(key)} is not taken: {text}")
    return defaults | taken


def tags(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a recipe's dataset, model and plugins."""
    parts = [recipe.get(section, {}).get("use") for section in ("data", "model")]
    plugins = [Path(plugin).stem for plugin in recipe.get("plugins", ())]
    return tuple(dict.fromkeys(str(name)[:TAG_LENGTH] for name in [*parts, *plugins] if name))


def place(folder: Path) -> dict[str, Any]:
    """Return where a run was logged, and what else `note` kept; nothing if it was not.

    id, project, entity, sweep: where it is at W&B. models: the collection that its model belongs to. kept_back: its
    files that are not sent, for a secret in them.
    """
    file = _file(folder)
    return json.loads(file.read_text()) if file.is_file() else {}


def note_place(folder: Path, session: wandb.Run) -> None:
    """Keep what `place` returns."""
    there = {"id": session.id, "project": session.project, "entity": session.entity, "sweep": session.sweep_id}
    note(folder, **{key: value for key, value in there.items() if value})


def note(folder: Path, **facts: Any) -> None:
    """Keep facts beside the run's place: what `frame sync` and `frame report --wandb` need to know."""
    new = _file(folder).with_suffix(".new")
    new.write_text(json.dumps(place(folder) | facts))
    new.replace(_file(folder))  # a run that is killed here can be resumed


def _file(folder: Path) -> Path:
    return folder / "wandb" / "place.json"


def _own_id(run: TrainingRun, named: str | None) -> str | None:
    """Return the id that WANDB_RUN_ID names: it is one run's, and would make one of a sweep or of repeats."""
    if named and run.group:
        run.warn(f"WANDB_RUN_ID={named} names one run, and this is one of several: it has an id of its own at W&B")
        return None
    return named
