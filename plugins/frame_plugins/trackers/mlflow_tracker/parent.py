"""Runs that belong together, those of a sweep or of `--repeat`: at MLflow they are nested in a run of their own."""

from __future__ import annotations

from typing import Any

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from .contents import key

GROUP = "frame.group"


def parent_of(client: MlflowClient, experiment: str, group: str, tags: dict[str, str]) -> str:
    """Return the id of the group's run at MLflow, made if there is none.

    Trials that begin side by side may each make one: all take the one that began first, and the others go.
    """
    found = _found(client, experiment, group)
    if not found:
        mine = client.create_run(experiment, tags={**tags, GROUP: key(group)}, run_name=group).info.run_id
        found = _found(client, experiment, group)
        if found[0].info.run_id != mine:
            client.delete_run(mine)
    return str(found[0].info.run_id)


def _found(client: MlflowClient, experiment: str, group: str) -> list[Any]:
    """Return the runs of that group which are no run's child, in an order that all agree on."""
    wanted = f"tags.`{GROUP}` = '{key(group)}'"
    runs = client.search_runs([experiment], wanted, ViewType.ACTIVE_ONLY, 1000, ["attributes.start_time ASC"])
    return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))
