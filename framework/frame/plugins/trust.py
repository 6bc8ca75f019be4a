"""Which plugins of a run's folder may be loaded: those of runs that this user made on this machine, as they were then.

A run notes its plugins in a list that the user keeps at home: a line is the SHA-256 of the run's id with all that its
recipe names. A folder that comes from elsewhere is not in it, and nothing of it is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..rundir.cache import home_folder
from ..rundir.folder import RunDir
from ..rundir.jsonfile import read_json

COVERED = ("id", "plugin_files", "plugin_modules")
"""Of run.json. With the id it is the run that is known, not its code alone: a module's name says nothing of that."""
FOLDER = "plugins"
"""Where a run's folder has the copies of plugin files."""
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def run_around(file: Path) -> Path | None:
    """Return the run's folder that a file lies in, at any depth, itself or what it is a link to; None outside runs."""
    places = (file.parent.resolve(), file.resolve().parent)
    around = (folder for place in places for folder in (place, *place.parents))
    return next((folder for folder in around if os.path.lexists(RunDir(folder).record)), None)


def remember(record: Mapping[str, Any]) -> None:
    """Note that this user has made the run with this record on this machine.

    Raises OSError where the user's list cannot be written.
    """
    path = _list_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "a") as file:  # noqa: PTH123
        file.write(f"{_line(record)}\n")  # one write at the end: runs that begin at once do not part it


def refusal(run: Path, name: str, file: tuple[Path, str] | None) -> str | None:
    """Say why the plugin `name` of a run's recipe must not be loaded; None if it may.

    file: a file of it, with the SHA-256 of what would be imported; None for a module.
    """
    record = _record(run)
    if file and (changed := _change(run, *file, record.get("plugin_files"))):
        return f"plugin '{name}' is not loaded: {changed}; --trust loads it as it is"
    if not _known(record):
        why = f"its run, {run}, was not made on this machine by this user"
    elif not file and name not in record["plugin_modules"]:
        why = f"its run, {run}, was made without it"
    else:
        return None
    return f"plugin '{name}' is not loaded: {why}; see what it does, then load it with --trust"


def _known(record: Mapping[str, Any]) -> bool:
    try:
        return _line(record) in _list_file().read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # without a list nothing was run here
        return False


def _change(run: Path, file: Path, found: str, recorded: Any) -> str:
    """Say how a plugin file differs from the one that the run had; nothing if it does not. found: its SHA-256."""
    home = run / FOLDER
    inside = isinstance(recorded, dict) and file.is_relative_to(home)
    known = recorded.get(file.relative_to(home).as_posix()) if inside else None
    if found == known:
        return ""
    return f"{file} was changed since the run: its SHA-256 is {found}, run.json has {known or 'none of it'}"


def _record(run: Path) -> dict[str, Any]:
    try:
        return dict(read_json(RunDir(run).record, dict[str, Any]))
    except UserError:  # whatever a stranger's file holds
        return {}


def _line(record: Mapping[str, Any]) -> str:
    covered = {key: record.get(key) for key in COVERED}
    text = json.dumps({**covered, "machine": _machine(), "user": os.getuid()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _machine() -> str:
    for path in MACHINE_IDS:
        if path.is_file() and (text := path.read_text().strip()):
            return text
    return platform.node()


def _list_file() -> Path:
    """Return the user's list. Raises OSError where the user has no home."""
    return home_folder("XDG_STATE_HOME", ".local/state") / "frame" / "plugins"
