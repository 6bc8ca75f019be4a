"""Versions of what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed(distribution: str) -> str | None:
    """Return a distribution's version, None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
