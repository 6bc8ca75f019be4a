"""What must be as it was when a run goes on: its settings and its data. It is compared before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..api.data import DataSplits
from ..api.kinds import sections
from ..errors import Problem, refuse
from ..nested import Key, leaves, name_at
from ..secrets import fingerprint, hide_settings
from .recipe import Recipe
from .source import Source
from .yaml_text import quoted

FREE = (
    *[section.key for section in sections() if section.free],
    ("plugins",),
    *[("checkpoint", name) for name in ("every_epochs", "every_steps", "every_minutes")],
    *[("data", name) for name in ("root", "workers", "pipeline")],
    ("train", "device"),
)
"""Settings that may change on the way: they leave no mark on weights and metrics. Another device may, and is warned of;
plugin files have a check of their own."""


def identity(recipe: Recipe, data: DataSplits) -> dict[str, str]:
    """Return what a checkpoint keeps of the run that it belongs to."""
    bound = _without_secrets(_bound(recipe))
    return {"recipe": json.dumps(list(bound.items())), "data": data.checksum}


def check_same_run(saved: Mapping[str, Any], recipe: Recipe, source: Source, data: DataSplits) -> None:
    """Compare a run with the `identity` in its checkpoint. Raises UserError that shows every difference."""
    before = _without_secrets({tuple(key): value for key, value in json.loads(saved["recipe"])})
    now = _without_secrets(_bound(recipe))
    problems = [
        source.problem(
            key,
            f"was {_shown(before, key)} and is now {_shown(now, key)}; a resumed run keeps it",
            code="not-the-same-run",
        )
        for key in {**before, **now}
        if key not in before or key not in now or before[key] != now[key]
    ]
    if saved["data"] != data.checksum:
        message = f"the data is not what the run began with: its checksum was {saved['data'] or 'not known'}"
        problems.append(
            Problem(f"{message} and is now {data.checksum or 'not known'}", "data", code="not-the-same-run")
        )
    refuse(problems)


def _bound(recipe: Recipe) -> dict[Key, Any]:
    """Return every value that must stay, by its key."""
    return {key: value for key, value in leaves(recipe.values()) if not any(key[: len(free)] == free for free in FREE)}


def _without_secrets(values: Mapping[Key, Any]) -> dict[Key, Any]:
    """Put what tells them apart in place of secrets: trackers send checkpoints."""
    named = {key: {name_at(key): value} for key, value in values.items()}
    hidden = hide_settings(named, mark=fingerprint)
    return {key: value for key, item in hidden.items() for value in item.values()}


def _shown(values: Mapping[Key, Any], key: Key) -> str:
    return quoted(values[key]) if key in values else "not there"
