"""What W&B takes only of a run that it has: its input and its model's link, which an offline session cannot give."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb

from frame import RunFailed, shorten

from .best import PAGE, noted
from .naming import place

REGISTRY = "wandb-registry-"
"""What W&B's name of a registry begins with."""


def version(api: wandb.Api, path: str, kind: str, name: str, digest: str) -> wandb.Artifact | None:
    """Return an artifact's version with this content, if all of it is there."""
    with suppress(ValueError):  # what it raises for a collection that is not there
        for found in api.artifacts(kind, f"{path}/{name}", per_page=PAGE):
            if found.digest == digest and found.state == "COMMITTED":
                return found
    return None


def use_datasets(api: wandb.Api, run: Any, path: str, artifacts: Iterable[tuple[str, str, str]]) -> None:
    """Make datasets that were logged offline the run's inputs. artifacts: type, collection and digest of each."""
    used = {artifact.digest for artifact in run.used_artifacts()}
    for kind, name, digest in artifacts:
        if kind == "dataset" and digest not in used and (found := version(api, path, kind, name, digest)):
            run.use_artifact(found)


def link(api: wandb.Api, path: str, folder: Path, registry: str) -> str | None:
    """Link a run's model to a collection of the registry; return a sentence, None of a run that has left no model.

    path: `entity/project`. registry: `[organization/]registry/collection`. A second call changes nothing. Raises
    RunFailed.
    """
    models, run_id = noted(folder), place(folder).get("id")
    if models is None:
        return None
    *organization, name, collection = registry.split("/")
    target = "/".join([*organization, REGISTRY + name.removeprefix(REGISTRY), collection])
    model = f"{models.collection}:{run_id}"
    try:
        api.artifact(f"{path}/{model}", "model").link(target, aliases=[str(run_id)])
    except Exception as error:  # whatever the server says, and what wandb makes of it
        reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 300)
        raise RunFailed(f"W&B did not link {model} to the registry's {registry} ({reason})") from error
    return f"{model} is linked to the registry's {registry}"
