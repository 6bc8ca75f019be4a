"""Which plugins of a run's folder may be loaded: those of runs that this user made on this machine, as they were then.

A run signs the plugins that its recipe names, with a key that the user keeps at home. A folder that comes from
elsewhere has no such signature, and nothing of it is imported.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import platform
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..rundir.folder import RunDir
from ..rundir.jsonfile import read_bytes

FOLDER = "plugins"
"""Where a run's folder has the copies of plugin files."""
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
KEY_BYTES = 32


def run_around(file: Path) -> Path | None:
    """Return the run's folder that a file lies in, at any depth, itself or what it is a link to; None outside runs."""
    for place in (file.parent.resolve(), file.resolve().parent):
        for folder in (place, *place.parents):
            if os.path.lexists(RunDir(folder).record):
                return folder
    return None


def sign(named: Mapping[str, Any]) -> str:
    """Return this user's signature, on this machine, of a run's plugins: files with their checksums, and modules.

    Raises OSError where the user's key can neither be read nor made.
    """
    return _signature(named, _own_key())


def refusal(run: Path, name: str, file: tuple[Path, str] | None) -> str | None:
    """Say why the plugin `name` of a run's recipe must not be loaded; None if it may.

    file: a file of it, with the SHA-256 of what would be imported; None for a module.
    """
    record = _record(run)
    named = {key: record.get(key) for key in ("plugin_files", "plugin_modules")}
    if file and (changed := _change(run, *file, named["plugin_files"])):
        return f"plugin '{name}' is not loaded: {changed}; --trust loads it as it is"
    if not _signed_here(named, record.get("plugin_signature")):
        why = f"its run, {run}, was not made on this machine by this user"
    elif not file and name not in (named["plugin_modules"] or ()):
        why = f"its run, {run}, was made without it"
    else:
        return None
    return f"plugin '{name}' is not loaded: {why}; see what it does, then load it with --trust"


def _signed_here(named: Mapping[str, Any], signature: Any) -> bool:
    try:
        own = _signature(named, _read_key(_key_file()))
    except OSError:  # without a key nothing was signed here
        return False
    return isinstance(signature, str) and hmac.compare_digest(own.encode(), signature.encode(errors="replace"))


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
        record = json.loads(read_bytes(RunDir(run).record))
    except (UserError, ValueError, RecursionError):  # whatever a stranger's file holds
        return {}
    return record if isinstance(record, dict) else {}


def _signature(named: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps({**named, "machine": _machine(), "user": os.getuid()}, sort_keys=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _machine() -> str:
    for path in MACHINE_IDS:
        if path.is_file() and (text := path.read_text().strip()):
            return text
    return platform.node()


def _key_file() -> Path:
    """Return the user's key file. Raises OSError where the user has no home."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        state = given if given.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return state / "frame" / "key"


def _own_key() -> bytes:
    """Return the user's key, made now if there is none."""
    path = _key_file()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".key.{secrets.token_hex(4)}.tmp")
        try:
            with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123
                file.write(secrets.token_bytes(KEY_BYTES))
            path.hardlink_to(beside)  # unlike a rename, it replaces no key that another run has just made
        except FileExistsError:
            pass
        finally:
            beside.unlink(missing_ok=True)
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise OSError(f"{path} is no key of frame's: remove it, and the next run makes another")
    return key
