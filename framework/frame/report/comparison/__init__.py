"""Runs side by side: what differs in their recipes, their metrics, their curves, and whether their answers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from ...api.results import Chart
from ...errors import UserError, shown
from ...rundir.folder import RunDir
from .. import render
from ..shapes import Damaged
from .changed import changed_answers
from .parts import Row, color, curves, metrics, recipe_differences, same_images, tests
from .side import Side, read_side

LETTERS = ascii_uppercase + ascii_lowercase
"""What runs are called, in order: one letter each, so that curves of letters can be drawn."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side. recipes: the keys that differ; tests: McNemar's of each pair. notes: what to keep in mind.

    damaged: what could not be read, and is left out.
    """

    sides: list[Side]
    recipes: list[dict[str, Any]]
    metrics: list[Row]
    curves: list[Chart]
    tests: list[dict[str, Any]]
    notes: list[str]
    damaged: list[str]

    def values(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "runs": [_facts(side) for side in self.sides],
            "recipes": self.recipes,
            "metrics": [asdict(row) for row in self.metrics],
            "curves": [asdict(chart) for chart in self.curves],
            "tests": self.tests,
            "notes": self.notes,
            "damaged": self.damaged,
        }

    def page(self) -> str:
        """Return it as one page of HTML, with no file beside it."""
        charts = [{"kind": "chart", "id": chart.name, **asdict(chart)} for chart in self.curves]
        data: dict[str, Any] = {"charts": {chart["id"]: chart for chart in charts}, "images": [], "classes": []}
        facts = [{**_facts(side), "color": color(place)} for place, side in enumerate(self.sides)]
        damaged = Damaged()
        data["answers"] = changed = changed_answers(self.sides, damaged)
        more = {"curves": charts, "data": data, "facts": facts, "changed": changed}
        return render("compare.html.j2", {**vars(self), **more, "damaged": [*self.damaged, *damaged]})


def compare(folders: Sequence[RunDir]) -> Comparison:
    """Compare runs, whatever became of them. Raises UserError for less than two, and where a run.json is damaged."""
    distinct = list({folder.path.resolve(): folder for folder in folders}.values())
    if not 2 <= len(distinct) <= len(LETTERS):
        raise UserError(f"2 to {len(LETTERS)} different runs can be compared, not {len(distinct)}")
    damaged = Damaged()
    sides = [read_side(letter, folder, damaged) for letter, folder in zip(LETTERS, distinct, strict=False)]
    same = same_images(sides)
    return Comparison(
        sides=sides,
        recipes=recipe_differences(sides),
        metrics=metrics(sides, same),
        curves=curves(sides),
        tests=tests(sides),
        notes=_notes(sides, same),
        damaged=damaged,
    )


def _facts(side: Side) -> dict[str, Any]:
    return {
        "run": side.letter,
        "name": side.record["name"],
        "path": shown(side.folder.path),
        "state": side.state,
        "data": side.recipe.get("data.use"),
        "device": side.environment.get("device"),
    }


def _notes(sides: Sequence[Side], same: bool) -> list[str]:
    """Return what a reader has to keep in mind."""
    notes = []
    if not same:
        notes.append("The runs have different data: their values are of other images, so that no best one is marked.")
    if open_ := [f"{side.letter} is {side.state}" for side in sides if side.state != "finished"]:
        notes.append(f"{'; '.join(open_)}: what there is of it is shown.")
    if without := [side.letter for side in sides if not side.recipe]:
        notes.append(f"There is no resolved recipe of {' and '.join(without)}: its settings are not compared.")
    if watched := [side.letter for side in sides if side.record.get("watched") == "test"]:
        notes.append(
            f"{', '.join(watched)} watched the test set while training, so that what is best there was chosen by "
            "looking at it."
        )
    if len(sides) > 2:
        pairs = len(sides) * (len(sides) - 1) // 2
        notes.append(
            f"McNemar's test is made for {pairs} pairs, and one in 20 has p < 0.05 by chance; p < {0.05 / pairs:.2g} "
            "(Bonferroni) is what a pair needs to stand out."
        )
    return notes
