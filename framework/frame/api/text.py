"""Texts as figures and messages have room for them."""

from __future__ import annotations


def shorten(text: str, width: int) -> str:
    """Cut a text to `width` characters; an ellipsis shows that it was longer."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
