"""Uploads what lies in a run's folder, and asks the server whether it has everything."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from frame import RunFailed, UserError, known_secrets, shorten

from .best import mark_best
from .files import send_rest
from .naming import place
from .session import arrived_marker, environment, has_credentials, knock, segments, within
from .settle import link, use_datasets, version

UPLOAD_S = 3600
"""Seconds that the uploads may take once the server has answered."""
ANSWER_S = 10
"""Seconds that the server has for one answer."""
PATIENCE_S = 5
"""Seconds after the upload in which the server may still be counting."""
SHOWN = 3
"""Missing files and artifacts that an error names."""


@dataclass
class Expected:
    """What a run's sessions recorded. files: size by name. artifacts: (type, collection, digest)."""

    project: str = ""
    entity: str = ""
    run_id: str = ""
    rows: int = 0
    files: dict[str, int] = field(default_factory=dict)
    artifacts: set[tuple[str, str, str]] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.rows} rows, {len(self.files)} media files, {len(self.artifacts)} artifacts"


def sync(folder: Path, patience_s: float, registry: str | None) -> str:
    """Upload the sessions that the server may lack, say what it has, and settle what it takes only then.

    Raises RunFailed where it lacks something.
    """
    logs = segments(folder)
    if not logs:
        raise UserError(f"{folder} has no W&B sessions: nothing was logged, or its folder wandb/ is gone")
    with environment(folder):
        address = wandb.setup().settings.base_url
        if not has_credentials(address):
            raise UserError("W&B has no credentials: set WANDB_API_KEY or run `wandb login`")
        knock(address, patience_s)
        expected = read(logs)
        unsent = [log for log in logs if not arrived_marker(log).exists()]
        if unsent:
            run(["sync", "--include-online", *map(str, unsent)], UPLOAD_S)
        try:
            url = within(patience_s, "say what it has", lambda: check(expected))
        except Exception as error:
            for log in unsent:  # so that the next attempt uploads them again
                with suppress(FileNotFoundError):
                    arrived_marker(log).unlink()
            if isinstance(error, RunFailed):
                raise
            reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 300)
            raise RunFailed(f"{folder}: W&B did not say what it has ({reason})") from error
        for log in unsent:
            arrived_marker(log).touch()
        said = [f"W&B has all of it: {expected}, at {url}"]
        try:
            said += within(patience_s, "settle the rest", lambda: settle(folder, expected, registry))
        except RunFailed:
            raise
        except Exception as error:
            reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 300)
            raise RunFailed(f"{folder}: {said[0]}; it did not take the rest ({reason})") from error
    return ". ".join(said)


def settle(folder: Path, expected: Expected, registry: str | None) -> list[str]:
    """Do what a session could not, of a run that W&B has; return a sentence for what is worth one."""
    api, path, run = _there(expected)
    use_datasets(api, run, path, expected.artifacts)
    send_rest(run, folder, set(known_secrets()), place(folder).get("kept_back", ()))
    linked = link(api, path, folder, registry) if registry else None
    return [*([linked] if linked else []), *mark_best(api, path, [folder])]


def run(arguments: Sequence[str], timeout_s: float) -> str:
    """Run a wandb command and return what it prints. Raises RunFailed where it fails or takes too long."""
    command = [sys.executable, "-m", "wandb", *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(f"`wandb {arguments[0]}` took more than {timeout_s:g} s and was ended; try it again") from None
    if done.returncode:
        reason = shorten(" ".join((done.stderr or done.stdout).split()), 500)
        raise RunFailed(f"`wandb {' '.join(arguments)}` failed: {reason}")
    return done.stdout


def read(logs: Sequence[Path]) -> Expected:
    """Return what all sessions of a run recorded, from their transaction logs."""
    expected = Expected()
    for log in logs:
        for kind, record in records(log):
            if kind == "run":
                expected.run_id, expected.project = record["run_id"], record["project"]
                expected.entity = record.get("entity", "")
            elif kind == "history":
                expected.rows += 1
            elif kind == "files":
                paths = [file["path"] for file in record["files"] if file["path"].startswith("media/")]
                sizes = {path: (log.parent / "files" / path) for path in paths}
                expected.files |= {path: file.stat().st_size for path, file in sizes.items() if file.is_file()}
            elif kind == "artifact":
                expected.artifacts.add((record["type"], record["name"], record["digest"]))
    return expected


def records(log: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a transaction log's records with their kinds; a last one cut short is left out."""
    for line in run(["leet", "inspect", "--json", str(log)], timeout_s=120).splitlines():
        record = json.loads(line)
        if record["type"] in record:
            yield record["type"], record[record["type"]]


def check(expected: Expected) -> str:
    """Return the run's URL once the server has everything. Raises RunFailed where it lacks something."""
    api, path, run = _there(expected)
    deadline = time.monotonic() + PATIENCE_S
    while missing := _missing(api, run, path, expected):
        if time.monotonic() > deadline:
            raise RunFailed(f"W&B lacks {'; '.join(missing)}. Try `frame sync` again")
        time.sleep(0.5)
        run.load(force=True)
    return str(run.url)


def _there(expected: Expected) -> tuple[wandb.Api, str, Any]:
    """Return W&B's public API, the run's `entity/project`, and the run."""
    api = wandb.Api(timeout=ANSWER_S)
    entity = expected.entity or api.settings["entity"] or api.default_entity
    path = f"{entity}/{expected.project}"
    return api, path, api.run(f"{path}/{expected.run_id}")


def _missing(api: wandb.Api, run: Any, path: str, expected: Expected) -> list[str]:
    missing = []
    if run.historyLineCount < expected.rows:
        missing.append(f"{expected.rows - run.historyLineCount} of {expected.rows} rows")
    there = {file.name: file.size for file in run.files(per_page=500)}
    files = [name for name, size in expected.files.items() if there.get(name) != size]
    if files:
        missing.append(f"{len(files)} of {len(expected.files)} media files ({_some(files)})")
    artifacts = [name for kind, name, digest in expected.artifacts if not version(api, path, kind, name, digest)]
    if artifacts:
        missing.append(f"{len(artifacts)} of {len(expected.artifacts)} artifacts ({_some(artifacts)})")
    return missing


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
