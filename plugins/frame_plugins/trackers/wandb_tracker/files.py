"""The files of a run's folder that say how it came about and how it ended, as files of the W&B run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import wandb
import yaml

from frame import hide_settings

PLAIN = ("log.txt", "error.txt", "environment.json", "recipe.resolved.yaml")
LARGEST = 2**20
"""Bytes of a file that is sent at most."""


def send(session: wandb.Run, folder: Path, secrets: set[str]) -> list[str]:
    """Have W&B keep log, traceback, environment, recipe and plugins; return the names of those that hold a secret."""
    sent, kept_back = split(folder, secrets)
    for path in sent:
        session.save(path, base_path=folder.absolute(), policy="now")
    return kept_back


def send_rest(run: Any, folder: Path, secrets: set[str], kept_back: Collection[str]) -> list[str]:
    """Upload the files that W&B has not, or not as they ended; return their names.

    run: of W&B's public API. kept_back: files that are not sent either, found to hold a secret when it was known.
    """
    there = {file.name: file.size for file in run.files(per_page=500)}
    names = {path.relative_to(folder.absolute()).as_posix(): path for path in split(folder, secrets)[0]}
    missing = [name for name, path in names.items() if there.get(name) != path.stat().st_size]
    rest = [name for name in missing if name not in kept_back]
    for name in rest:
        run.upload_file(str(names[name]), root=str(folder.absolute()))
    return rest


def split(folder: Path, secrets: set[str]) -> tuple[list[Path], list[str]]:
    """Return the files to be sent, and the names of those that hold a secret."""
    sent, kept_back = [], []
    for path in _present(folder.absolute()):
        if _holds_secret(path, secrets):
            kept_back.append(path.relative_to(folder.absolute()).as_posix())
        else:
            sent.append(path)
    return sent, kept_back


def _present(folder: Path) -> Iterator[Path]:
    for path in (*(folder / name for name in PLAIN), *sorted((folder / "plugins").rglob("*.py"))):
        if path.is_file() and path.stat().st_size <= LARGEST:
            yield path


def _holds_secret(path: Path, secrets: set[str]) -> bool:
    """Whether a file has a known secret in it, or, of a recipe, a setting that is named like one."""
    text = path.read_text(errors="replace")
    if any(secret in text for secret in secrets):
        return True
    values = yaml.safe_load(text) if path.suffix == ".yaml" else None
    return values is not None and hide_settings(values, secrets) != values
