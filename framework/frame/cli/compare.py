"""`frame compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..api.text import table
from .completion import complete_run
from .text import echo, say, warn

if TYPE_CHECKING:
    from ..report.comparison import Comparison
    from ..report.comparison.parts import Row

HELD_OUT = ("test_acc", "val_acc")


@click.command(short_help="Compare runs: recipes, metrics, curves, answers.")
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True, shell_complete=complete_run,
                type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it as a page too: one file, curves to hover over.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def compare(runs: tuple[Path, ...], html: Path | None, *, as_json: bool) -> None:
    """Compare each RUN with the others, from their folders alone, finished or not.

    It shows the settings that differ, the metrics with the best of each marked, the curves, and McNemar's test on the
    two sets of answers of each pair.
    """
    from ..report.comparison import compare as compare_runs
    from ..rundir.files import write_text, writing
    from ..rundir.folder import open_run
    from ..rundir.jsonfile import to_json

    comparison = compare_runs([open_run(run) for run in runs])
    for what in comparison.damaged:
        warn(f"left out: {what}")
    if html:
        with writing(html):
            write_text(html, comparison.page())
    if as_json:
        echo(to_json(comparison.values(), indent=2))
        return
    _show(comparison)
    if html:
        echo(f"\n{html}")


def _show(comparison: Comparison) -> None:
    from ..report.comparison.overlay import overlay

    letters = [side.letter for side in comparison.sides]
    runs = [[facts["run"], facts["name"], facts["state"], facts["path"]] for facts in comparison.values()["runs"]]
    _section("Runs", table(["", "name", "state", "folder"], runs))
    for note in comparison.notes:
        say(note, "note: ", "      ")
    if comparison.recipes:
        _section("Settings that differ", table(["", *letters], list(_settings(comparison))))
    else:
        _section("Settings that differ", ["none"])
    rows = [[row.name, *(_value(row, place) for place in range(len(letters)))] for row in comparison.metrics]
    head = [f"{letter} " for letter in letters]  # the mark stands behind the number
    _section("Metrics (* best)", table(["", *head], rows, right=range(1, len(letters) + 1)))
    for chart in comparison.curves:
        if chart.name in HELD_OUT:
            _section(chart.title, overlay(chart))
    _section("McNemar's test on the answers", [_test(test) for test in comparison.tests])


def _section(title: str, lines: list[str]) -> None:
    echo()
    echo(title, bold=True)
    for line in lines:
        echo(line)


def _settings(comparison: Comparison) -> Iterator[list[str]]:
    from ..recipe.yaml_text import quoted

    for line in comparison.recipes:
        cells = zip(line["set"], line["values"], strict=True)
        yield [line["key"], *(quoted(value) if given else "–" for given, value in cells)]


def _value(row: Row, place: int) -> str:
    from ..console import duration

    value = row.values[place]
    if value is None:
        return "– "
    shown = {
        "percent": lambda: f"{value:.2%}",
        "seconds": lambda: duration(value),
        "count": lambda: f"{value:,.0f}",
        "number": lambda: f"{value:.4g}",
    }[row.unit]()
    return f"{shown}{'*' if place in row.best else ' '}"


def _test(test: dict[str, Any]) -> str:
    pair = f"{test['first']}, {test['second']}"
    if "refused" in test:
        return f"{pair}  not tested: {test['refused']}"
    note = f"; {test['note']}" if test["note"] else ""
    chi = "" if test["statistic"] is None else f", chi-square {test['statistic']:.4g}"
    return (
        f"{pair}  p = {test['p']:.3g} ({test['method']}{chi}); of {test['images']:,} images {test['first']} alone has "
        f"{test['only_first']:,} right, {test['second']} alone {test['only_second']:,}{note}"
    )
