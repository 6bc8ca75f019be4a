"""What a run ran on: versions, device, threads, the code's commit, the plugins."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import torch

from ..compute.device import Backend
from ..plugins.load import Plugins
from .versions import installed

DISTRIBUTIONS = (
    "frame-train", "torch", "torchvision", "albumentations", "numpy", "grad-cam", "torch-lr-finder", "wandb"
)  # fmt: skip


def describe_environment(backend: Backend, plugins: Plugins, data_checksum: str) -> dict[str, Any]:
    """Return everything about this machine that may change a run's numbers, as plain values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: found for name in DISTRIBUTIONS if (found := installed(name))},
        "device": backend.describe(),
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "git": git_state(),
        "plugins": plugins.origins,
        "data_checksum": data_checksum,
        "command": sys.argv,
    }


ALIKE = ("python", "device", "cpu", "cpu_capability", "cuda", "versions", "plugins")
"""What of it has to be the same for the same bytes: a number of threads is part of `device`."""
NO_MATTER = ("wandb", "grad-cam")
"""Distributions whose version leaves no mark on weights and metrics."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what of two environments, as `describe_environment` returns them, may make one run's bytes another's."""
    old, new = dict(_facts(before)), dict(_facts(now))
    return [f"{name}: {old.get(name)} became {new.get(name)}" for name in old | new if old.get(name) != new.get(name)]


def _facts(environment: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ALIKE:
        found = environment.get(name)
        if isinstance(found, Mapping):  # a plugin file is compared by its content, when it is loaded
            yield from ((key, item) for key, item in found.items() if key not in NO_MATTER and not key.endswith(".py"))
        else:
            yield name, found


def _cpu() -> str:
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return str(capabilities.get("cpu_name") or platform.processor())


def git_state() -> dict[str, Any] | None:
    """Return commit and remote of the folder the command was given in, and whether it had changes; None outside git."""

    def ask(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        found = {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
    with suppress(OSError, subprocess.SubprocessError, ValueError):  # without one, or an address that is none
        found["remote"] = without_credentials(ask("config", "--get", "remote.origin.url"))
    return found


def without_credentials(address: str) -> str:
    """Return where a git remote is, without user, password and token; the user of SSH, mostly `git`, is no secret.

    Raises ValueError for an address that cannot be read.
    """
    parts = urlsplit(address)
    if not parts.netloc:  # a folder, or `git@host:path`
        return address
    user, _, host = parts.netloc.rpartition("@")
    if user and parts.scheme in ("ssh", "git+ssh"):
        host = f"{user.partition(':')[0]}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
