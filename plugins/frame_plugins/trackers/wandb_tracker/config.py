"""A W&B run's config: the recipe, and what frame knows beside it."""

from __future__ import annotations

from typing import Any

from frame import TrainingRun, hide_settings

from .artifacts import read


def config(run: TrainingRun, secrets: set[str]) -> dict[str, Any]:
    """Return the recipe without its trackers, whose settings change no result, and without its secrets.

    `frame` holds version and commit of the code, the device and its precision, the model's number of parameters, and
    the number of images in each part of the data.
    """
    about, record, data = (read(run.folder / name) for name in ("environment.json", "run.json", "data.json"))
    facts = {
        "version": about.get("versions", {}).get("frame-train"),
        **(about.get("git") or {}),
        "device": about.get("device"),
        "precision": run.recipe.get("train", {}).get("precision"),
        "parameters": record.get("parameters"),
        "images": {part: sum(counts) for part, counts in data.get("class_counts", {}).items()},
        "classes": len(run.data.classes),
    }
    recipe = {key: value for key, value in run.recipe.items() if key != "trackers"}
    return hide_settings(
        {**recipe, "frame": {key: fact for key, fact in facts.items() if fact not in (None, {})}}, secrets
    )
