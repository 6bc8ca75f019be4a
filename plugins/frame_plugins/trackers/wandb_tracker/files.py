"""The files of a run's folder that say how it came about and how it ended, as files of the W&B run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import wandb
import yaml

from frame import hide_settings

PLAIN = ("log.txt", "error.txt", "environment.json", "recipe.resolved.yaml")
LARGEST = 2**20
"""Bytes of a file that is sent at most."""


def send(session: wandb.Run, folder: Path, secrets: set[str]) -> list[str]:
    """Have W&B keep log, traceback, environment, recipe and plugins; return the names of those that hold a secret."""
    kept_back = []
    for path in _present(folder):
        if _holds_secret(path, secrets):
            kept_back.append(path.name)
        else:
            session.save(path, base_path=folder, policy="now")
    return kept_back


def _present(folder: Path) -> Iterator[Path]:
    for path in (*(folder / name for name in PLAIN), *sorted((folder / "plugins").rglob("*.py"))):
        if path.is_file() and path.stat().st_size <= LARGEST:
            yield path.absolute()


def _holds_secret(path: Path, secrets: set[str]) -> bool:
    """Whether a file has a known secret in it, or, of a recipe, a setting that is named like one."""
    text = path.read_text(errors="replace")
    if any(secret in text for secret in secrets):
        return True
    values = yaml.safe_load(text) if path.suffix == ".yaml" else None
    return values is not None and hide_settings(values, secrets) != values
