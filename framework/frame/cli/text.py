"""Text on a terminal: wrapped to its width. Elsewhere, in a file or a pipe, lines stay whole."""

from __future__ import annotations

import inspect
import shutil
import sys
import textwrap
from typing import Any

import click

from ..secrets import hide_secrets, printable

WIDEST = 120
"""Columns that text fills at most: longer lines are hard to read."""


def width() -> int | None:
    """Return the columns to fill, None where standard output is no terminal."""
    return min(shutil.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else None


def echo(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a text, in a style of click's, without secrets and control characters: what every command prints by."""
    said = printable(str(text))
    click.echo(click.style(said, **style) if style else said, err=err, nl=nl)  # a style ends with a code of its own


def warn(text: object) -> None:
    """Print a warning to standard error, as a run's console does."""
    echo(f"warning: {text}", err=True, fg="yellow")


def summary(component: type) -> str:
    """Return the first line of a component's docstring."""
    return (inspect.getdoc(component) or "").partition("\n")[0]


def say(text: str, first: str = "", rest: str | None = None) -> None:
    """Print a paragraph, its first line indented by `first` and those that follow by `rest` (if not given: alike)."""
    text, rest = hide_secrets(text), first if rest is None else rest  # a secret may be wrapped
    if columns := width():
        text = textwrap.fill(
            text,
            columns,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    else:
        text = first + text
    echo(text)


def say_paragraphs(text: str) -> None:
    """Print a docstring: paragraphs that are too wide for the terminal are wrapped anew."""
    columns = width()
    for paragraph in text.split("\n\n"):
        if columns and max(map(len, paragraph.splitlines()), default=0) > columns:
            say(" ".join(paragraph.split()))
        else:
            echo(paragraph)
        echo()
