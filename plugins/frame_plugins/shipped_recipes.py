"""The recipes that come with frame: `frame run quickstart` finds them here."""

from __future__ import annotations

from pathlib import Path

from frame import hookimpl


@hookimpl
def frame_recipes() -> Path:
    """Return the recipes' folder: inside the package in a wheel, at the repository's root in a checkout."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "recipes"
