"""Text on a terminal: wrapped to its width. Elsewhere, in a file or a pipe, lines stay whole."""

from __future__ import annotations

import inspect
import shutil
import sys
import textwrap

import click

WIDEST = 120
"""Columns that text fills at most: longer lines are hard to read."""


def width() -> int | None:
    """Return the columns to fill, None where standard output is no terminal."""
    return min(shutil.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else None


def summary(component: type) -> str:
    """Return the first line of a component's docstring."""
    return (inspect.getdoc(component) or "").partition("\n")[0]


def say(text: str, first: str = "", rest: str | None = None) -> None:
    """Print a paragraph, its first line indented by `first` and those that follow by `rest` (if not given: alike)."""
    rest = first if rest is None else rest
    columns = width()
    if columns:
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
    click.echo(text)


def say_paragraphs(text: str) -> None:
    """Print a docstring: paragraphs that are too wide for the terminal are wrapped anew."""
    columns = width()
    paragraphs = text.split("\n\n")
    for paragraph in paragraphs:
        if columns and max(map(len, paragraph.splitlines()), default=0) > columns:
            say(" ".join(paragraph.split()))
        else:
            click.echo(paragraph)
        click.echo()
