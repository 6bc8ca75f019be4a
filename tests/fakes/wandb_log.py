"""Reads what an offline W&B run wrote: its `.wandb` transaction log."""

import json
from pathlib import Path

BLOCK = 32 * 1024
HEADER = 7  # of the file, and of each record: crc32 (4), length (2, little endian), type (1)
FULL, LAST = 1, 4


def payloads(data: bytes):
    """Yield the log's payloads: records of 32 KiB blocks, as in LevelDB's log, long ones in several fragments."""
    position, parts = HEADER, []
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:  # no room for a header: the block's end is padded
            position += left
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        parts.append(data[position + HEADER : position + HEADER + length])
        position += HEADER + length
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []


def read_records(path: Path) -> list:
    """Return all records of the log, as protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    return [Record.FromString(payload) for payload in payloads(path.read_bytes())]


def values(items) -> dict:
    """Return the items of history, summary or config messages as nested dictionaries; later ones win."""
    result: dict = {}
    for item in items:
        *parents, key = item.nested_key or [item.key]
        target = result
        for parent in parents:
            target = target.setdefault(parent, {})
        target[key] = json.loads(item.value_json)
    return result


class OfflineRun:
    """What an offline session recorded. `folder`: the run's folder in frame. `session`: its number, in time."""

    def __init__(self, folder: Path, session: int = -1) -> None:
        log = sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))[session]
        self.files = log.parent / "files"
        records = read_records(log)
        self.run = next(record.run for record in records if record.HasField("run"))
        self.config = values(self.run.config.update)
        self.history = [values(record.history.item) for record in records if record.HasField("history")]
        self.summary = values(item for record in records for item in record.summary.update)
        self.metrics = {m.name or m.glob_name: m for m in (r.metric for r in records if r.HasField("metric"))}
        self.artifacts = [record.artifact for record in records if record.HasField("artifact")]
        self.exit_code = next((record.exit.exit_code for record in records if record.HasField("exit")), None)
