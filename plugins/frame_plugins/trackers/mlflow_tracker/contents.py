"""What a run's folder holds, as MLflow has it: parameters, rows of metrics, and files."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from frame import hide_settings, shorten

from .job import ROWS

UNSAFE = re.compile(r"[^\w/.\- ]+")
"""What MLflow refuses in names, and the colon, which it refuses on Windows."""
KEY, PARAM, TAG = 250, 6000, 8000
"""Characters that MLflow takes of a name, of a parameter's and of a tag's value."""
OTHERS = ("wandb", "tensorboard", "mlflow")
"""Folders of trackers."""
BINARY = (".pt", ".safetensors", ".png", ".jpg", ".parquet", ".onnx")
RECIPE, RECORD = "recipe.resolved.yaml", "run.json"


@dataclass
class Rows:
    """The rows that were kept, read on from where the last call ended."""

    folder: Path
    last_step: int = 0
    _taken: int = field(default=0, repr=False)
    _seen: int = field(default=0, repr=False)

    def peek(self) -> Iterator[tuple[str, float, int, int]]:
        """Yield key, value, time in ms and step of all rows since those taken.

        A last line that is still being written is left for the next call.
        """
        path = self.folder / ROWS
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(self._taken)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._seen = self._taken + len(whole) + len(newline)
        for line in whole.splitlines():
            row = json.loads(line)
            self.last_step = max(self.last_step, row["step"])
            for name, value in row["values"].items():
                yield key(name), value, row["time"], row["step"]

    def taken(self) -> None:
        """Leave out from now on what was seen."""
        self._taken = max(self._taken, self._seen)


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file's values, none if there is no file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def key(name: str) -> str:
    """Return a name as MLflow takes it: of its characters, and not like a path that leads elsewhere."""
    parts = [part for part in UNSAFE.sub("_", name).split("/") if part.strip(". ")]
    return posixpath.join("", *parts)[:KEY] or "_"


def recipe_of(folder: Path, secrets: Sequence[str]) -> dict[str, Any]:
    """Return every value that the run used, secrets hidden."""
    return hide_settings(_values(folder), secrets)


def _values(folder: Path) -> dict[str, Any]:
    path = folder / RECIPE
    return dict(yaml.safe_load(path.read_text())) if path.is_file() else {}


def params(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every value of a recipe under its dotted name, such as `data.train_transforms.0.use`."""
    items: Mapping[Any, Any] = {}
    if isinstance(values, Mapping):
        items = values
    elif isinstance(values, list):
        items = dict(enumerate(values))
    if items or not prefix:
        for name, item in items.items():
            yield from params(item, f"{prefix}.{name}" if prefix else str(name))
    else:
        text = values if isinstance(values, str) else json.dumps(values)
        yield key(prefix), shorten(text, PARAM)


def files(folder: Path, *, checkpoints: bool) -> Iterator[str]:
    """Yield the paths of a run's files, relative to its folder; no link, nothing that is hidden or a tracker's."""
    left_out = OTHERS if checkpoints else (*OTHERS, "checkpoints")
    for place, folders, names in os.walk(folder):
        here = Path(place)
        shown = [name for name in folders if name[0] != "." and not (here / name).is_symlink()]
        folders[:] = sorted(name for name in shown if here != folder or name not in left_out)
        for name in sorted(names):
            path = here / name
            if name[0] != "." and path.suffix != ".tmp" and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix()


def changed(folder: Path, name: str, status: str, secrets: Sequence[str]) -> str | None:
    """Return a file's text where it is not sent as it lies, else None.

    The recipe goes without its secrets, and run.json, whose state is written last, with that state. Raises ValueError
    for any other text that holds a secret.
    """
    path = folder / name
    if name == RECIPE:
        values, hidden = _values(folder), recipe_of(folder, secrets)
        return None if values == hidden else yaml.safe_dump(hidden, sort_keys=False, allow_unicode=True)
    if path.suffix not in BINARY:
        text = path.read_text(errors="replace")
        if any(secret in text for secret in secrets):
            raise ValueError(f"{name} holds a secret")
        if name == RECORD and (record := json.loads(text))["state"] != status:
            return json.dumps(record | {"state": status}, indent=2) + "\n"
    return None


def secret_texts(folder: Path, secrets: Sequence[str]) -> list[str]:
    """Return all secrets that the run's files may hold: those known, and those that stand in its recipe."""
    raw = dict(params(_values(folder)))
    shown = dict(params(recipe_of(folder, secrets)))
    hidden = [text for name, text in raw.items() if shown.get(name) != text and len(text) >= 6]
    return [*secrets, *hidden]
